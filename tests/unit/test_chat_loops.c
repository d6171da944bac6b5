/* SPDX-License-Identifier: MIT */
/*
 * Chat rooms and echo servers made to talk to each other, by forged sources or by consoles: on
 * a small segment whose datagrams are delivered until there are none left, every exchange ends.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <time.h>

#include "unit/fake_node.h"

#define MAX_HOSTS 8
#define LIMIT 20000 /* datagrams after which an exchange counts as endless */

/* A host: a service of ours, or (with no class) a program that answers what it gets. */
struct host {
	struct udpxdp_endpoint at;
	struct node node;
	bool service;
	const char *mangle; /* what a foreign echo puts in front */
	unsigned received;
};

struct flight {
	struct udpxdp_endpoint from, to;
	uint8_t *payload;
	size_t len;
};

struct segment {
	struct host hosts[MAX_HOSTS];
	unsigned count;
	struct flight *flights;
	size_t sent, delivered;
};

static struct host *add_host(struct segment *s, const char *spec, uint16_t port)
{
	struct host *host = &s->hosts[s->count];

	host->at = on_link((uint8_t)++s->count, port);
	host->service = strchr("ce", spec[0]) != NULL; /* chat, echo */
	if (host->service) {
		node_start(&host->node, spec, fake_net(&host->at.addr, 1500));
		host->node.out.served[host->node.out.served_count++] = port;
	} else {
		host->mangle = spec + 1;
	}
	return host;
}

static void launch(struct segment *s, struct udpxdp_endpoint from, struct udpxdp_endpoint to,
	const void *payload, size_t len)
{
	s->flights = fake_grow(s->flights, s->sent, sizeof(*s->flights));
	s->flights[s->sent++] = (struct flight){from, to, fake_copy(payload, len), len};
}

static void say(
	struct segment *s, struct udpxdp_endpoint from, const struct host *to, const char *text)
{
	launch(s, from, to->at, text, strlen(text));
}

static void arrive(struct segment *s, struct host *host, const struct flight *flight)
{
	struct udpxdp_ctx *out = &host->node.out;

	host->received++;
	if (!host->service) {
		uint8_t answer[4096];
		size_t front = strlen(host->mangle);

		assert_true(front + flight->len <= sizeof(answer));
		memcpy(answer, host->mangle, front);
		memcpy(answer + front, flight->payload, flight->len);
		launch(s, host->at, flight->from, answer, front + flight->len);
		return;
	}
	node_hear_bytes(&host->node, flight->from, flight->payload, flight->len);
	for (size_t i = 0; i < out->sent_count; i++) {
		struct udpxdp_endpoint to = out->sent[i].path.peer;

		launch(s, host->at, to, out->sent[i].payload, out->sent[i].len);
	}
	fake_ctx_forget(out);
}

/* Delivers until nothing is under way. Returns how many datagrams that took. */
static size_t settle(struct segment *s)
{
	size_t before = s->delivered;

	while (s->delivered < s->sent) {
		const struct flight flight = s->flights[s->delivered++];

		if (s->delivered - before > LIMIT)
			fail_msg("an exchange does not end");
		for (unsigned i = 0; i < s->count; i++)
			if (udpxdp_addr_equal(&s->hosts[i].at.addr, &flight.to.addr) &&
				s->hosts[i].at.port == flight.to.port)
				arrive(s, &s->hosts[i], &flight);
	}
	return s->delivered - before;
}

static void demolish(struct segment *s)
{
	for (size_t i = 0; i < s->sent; i++)
		free(s->flights[i].payload);
	free(s->flights);
	for (unsigned i = 0; i < s->count; i++)
		if (s->hosts[i].service)
			node_stop(&s->hosts[i].node);
	*s = (struct segment){0};
}

static void refuses_what_could_loop(void **state)
{
	static const char *const texts[] = {
		"\u3010Mon Nov 23 02:00:00 2026\u3011 hello",
		"\u3010Sun Feb  3 23:59:60 1999\u3011",
	};
	static const char *const named[] = {
		"10.0.0.2:8090: [2001:db8::9]:8090: bob: hello",
		"a: b: c: d: e",
	};
	struct node node;

	node_start(&node, "chat", fake_net(NULL, 1500));
	node_hear(&node, on_link(9, 4000), "");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		node_hear(&node, on_link(2, 4001), texts[i]);
		assert_int_equal(node.out.recorded.count + node.out.printed.count, 0);
		assert_int_equal(node.out.drops[UDPXDP_DROP_loop], 1);
		expect_answer(&node, on_link(2, 4001), "* not sent: it begins with a time stamp");
		node.out.served[0] = 4001; /* an echo of ours, or of a host like this one */
		node.out.served_count = 1;
		node_hear(&node, on_link(2, 4001), texts[i]);
		expect_refused(&node, UDPXDP_DROP_loop);
		node.out.served_count = 0;
	}
	/* Our own answers, sent back by an echo or two. */
	node_hear(&node, on_link(2, 4001), "\u3010Mon Nov 23 02:00:00 2026\u3011 * not sent: x");
	expect_refused(&node, UDPXDP_DROP_loop);
	node_hear(&node, on_link(2, 4001),
		"\u3010Mon Nov 23 02:00:00 2026\u3011 \u3010Mon Nov 23 02:00:00 2026\u3011* x");
	expect_refused(&node, UDPXDP_DROP_loop);
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		node_hear(&node, on_link(2, 4001), named[i]);
		assert_int_equal(node.out.recorded.count + node.out.printed.count, 0);
		assert_int_equal(node.out.drops[UDPXDP_DROP_loop], 1);
		expect_answer(&node, on_link(2, 4001), "* not sent: 3 names stand");
	}
	node_hear(&node, on_link(2, 1023), "hello");
	expect_refused(&node, UDPXDP_DROP_loop);
	node_hear(&node, on_link(2, 7), "\xff");
	expect_refused(&node, UDPXDP_DROP_loop);
	node_hear(&node, on_link(2, 4001), "* an answer");
	assert_int_equal(node.out.printed.count, 1);
	assert_int_equal(node.out.notified.count, 1);
	assert_int_equal(node.out.recorded.count, 0);
	expect_refused(&node, UDPXDP_DROP_loop);
	node_hear(&node, on_link(2, 4001), "* an answer that is not UTF-8 \xff");
	expect_refused(&node, UDPXDP_DROP_loop);
	node_hear(&node, on_link(9, 4000), "none of them is a member by that");
	assert_int_equal(node.out.sent_count, 0);
	node_stop(&node);
}

static void takes_what_only_looks_like_it(void **state)
{
	static const char *const texts[] = {
		"\u3010notice\u3011 hello",
		"*",
		"*emphasis*",
		" * list",
		"note: this: is fine",
		"a: b: c",
		"a:b: c:d: e:f:",
		": : : :",
		"http://example.com/a:b c: d",
	};
	struct node node;

	node_start(&node, "chat", fake_net(NULL, 1500));
	node_hear(&node, on_link(9, 4000), "");
	node_hear(&node, on_link(2, 8080), "a port that a tutorial's program uses");
	node_hear(&node, on_link(3, 1024), "the first port of a client");
	assert_int_equal(node.out.sent_count, 3);
	fake_ctx_forget(&node.out);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		node_hear(&node, on_link(9, 4000), texts[i]);
		assert_int_equal(node.out.sent_count, 2);
		assert_int_equal(fake_drops(&node.out), 0);
		fake_ctx_forget(&node.out);
	}
	node_stop(&node);
}

/* Everything that a room answers to, sent to it with the source of another host. */
static const char *const provocations[] = {
	"",
	"hello",
	"/who",
	"/help",
	"/nick x",
	"/nick",
	"/quit",
	"/none",
	"\xff",
	"* x",
	"/nick /who",
	"10.0.0.1:8090: hi",
	"\u3010Mon Nov 23 02:00:00 2026\u3011",
};

#define PROVOCATIONS (sizeof(provocations) / sizeof(provocations[0]))

static void provoke(
	const char *spec, uint16_t port, const char *other, uint16_t other_port, size_t bound)
{
	for (size_t i = 0; i < PROVOCATIONS; i++)
		for (size_t k = 0; k < PROVOCATIONS; k++) {
			struct segment s = {.count = 0};
			struct host *a = add_host(&s, spec, port);
			struct host *b = add_host(&s, other, other_port);
			size_t hops;

			say(&s, b->at, a, provocations[i]);
			say(&s, a->at, b, provocations[k]);
			say(&s, b->at, a, provocations[k]);
			hops = settle(&s);
			if (hops > bound)
				fail_msg("%s and %s: %zu datagrams", spec, other, hops);
			demolish(&s);
		}
}

static void chat_and_chat_end(void **state)
{
	provoke("chat", 8090, "chat", 8090, 6);
	provoke("chat:8090", 8090, "chat:9000", 9000, 6);
	provoke("chat,members=1", 8090, "chat,members=1", 8090, 6);
}

static void chat_and_echo_end(void **state)
{
	provoke("chat", 8090, "echo", 8080, 10);
	provoke("chat", 8090, "echo,stamp=off,loops=allow", 8080, 10);
	provoke("chat", 8090, ":", 7777, 10);          /* RFC 862 */
	provoke("chat", 8090, ":you said ", 7777, 12); /* one that adds to it */
	provoke("chat", 8090, ":a: ", 7777, 12);
}

/* One that makes each answer wrong anew does loop, but slowly. */
static void chat_and_a_mangler_end_slowly(void **state)
{
	struct segment s = {.count = 0};
	struct host *room = add_host(&s, "chat", 8090);
	struct host *mangler = add_host(&s, ":\xff", 7777);

	say(&s, mangler->at, room, "\xff");
	assert_true(settle(&s) < 40);
	demolish(&s);
}

/* Every room is a member of every other, and one person in the first speaks. */
static size_t mesh(unsigned rooms, uint16_t (*port)(unsigned), bool named)
{
	const struct udpxdp_endpoint person = on_link(200, 5000);
	struct segment s = {.count = 0};
	size_t hops;

	for (unsigned i = 0; i < rooms; i++) {
		char spec[16];

		sprintf(spec, "chat:%u", port(i));
		add_host(&s, spec, port(i));
	}
	for (unsigned i = 0; i < rooms; i++)
		for (unsigned k = 0; k < rooms; k++) {
			char nick[16];

			sprintf(nick, "/nick r%u", i);
			if (i != k)
				say(&s, s.hosts[i].at, &s.hosts[k], named ? nick : "");
		}
	settle(&s);
	say(&s, person, &s.hosts[0], "hello");
	hops = settle(&s);
	demolish(&s);
	return hops;
}

static uint16_t same_port(unsigned i)
{
	return 8090;
}

static uint16_t own_port(unsigned i)
{
	return (uint16_t)(9000 + i);
}

static void rooms_in_a_mesh_pass_nothing_on(void **state)
{
	for (unsigned rooms = 2; rooms <= 5; rooms++) {
		/* The person's message, and one relay to each other room: no room passes on. */
		assert_int_equal(mesh(rooms, same_port, false), 1 + (rooms - 1));
		assert_int_equal(mesh(rooms, same_port, true), 1 + (rooms - 1));
		/* Rooms that do not know each other as such: three generations at most. */
		assert_true(mesh(rooms, own_port, false) < 2 + rooms * rooms * rooms);
		assert_true(mesh(rooms, own_port, true) < 2 + rooms * rooms * rooms);
	}
}

static void echoes_in_a_room_end(void **state)
{
	struct segment s = {.count = 0};
	struct host *room = add_host(&s, "chat", 8090);

	for (int i = 0; i < 4; i++) {
		struct host *echo = add_host(&s, ":", 7777);

		say(&s, echo->at, room, "");
	}
	settle(&s);
	say(&s, on_link(200, 5000), room, "hello");
	assert_true(settle(&s) < 200);
	demolish(&s);
}

/* Persons at three consoles who write to each other's rooms hear each message once. */
static void three_consoles_hear_each_other_once(void **state)
{
	struct segment s = {.count = 0};
	struct host *rooms[3];

	for (int i = 0; i < 3; i++)
		rooms[i] = add_host(&s, "chat", 8090);
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 3; k++)
			if (i != k)
				say(&s, rooms[i]->at, rooms[k], "");
	settle(&s);
	for (int i = 0; i < 3; i++)
		rooms[i]->received = 0;
	say(&s, rooms[0]->at, rooms[1], "hello, you two");
	assert_int_equal(settle(&s), 2);
	assert_int_equal(rooms[0]->received, 0);
	assert_int_equal(rooms[1]->received, 1);
	assert_int_equal(rooms[2]->received, 1);
	demolish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_could_loop),
		cmocka_unit_test(takes_what_only_looks_like_it),
		cmocka_unit_test(chat_and_chat_end),
		cmocka_unit_test(chat_and_echo_end),
		cmocka_unit_test(chat_and_a_mangler_end_slowly),
		cmocka_unit_test(rooms_in_a_mesh_pass_nothing_on),
		cmocka_unit_test(echoes_in_a_room_end),
		cmocka_unit_test(three_consoles_hear_each_other_once),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests_name("chat_loops", tests, NULL, NULL);
}
