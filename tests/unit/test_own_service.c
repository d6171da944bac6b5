/* SPDX-License-Identifier: MIT */
/* What the engine tells a service of a datagram, and does for it, that others do not ask for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/headers.h"
#include "engine/engine.h"
#include "memory_io.h"
#include "services/service_table.h"

#define TIME_NS (7 * UDPXDP_NSEC_PER_SEC)

static struct udpxdp_datagram seen;
static char seen_ingress[16];

static void receive(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	struct udpxdp_datagram answer = *d;

	seen = *d;
	memcpy(seen_ingress, udpxdp_ingress_name(ctx, &d->path), sizeof("eth0"));
	udpxdp_count_drop(ctx, UDPXDP_DROP_OWN + 1);
	udpxdp_count_drop(ctx, UDPXDP_DROP_OWN + UDPXDP_OWN_DROPS); /* not one of ours */
	answer.path.ttl = 255;
	answer.path.tos = 0xb8;
	udpxdp_reply(ctx, &answer, NULL);
}

static const struct udpxdp_reason drops[] = {{"first", "1"}, {"second", "2"}, {}};

/* Nothing but what has to be there. */
static const struct udpxdp_service bare = {
	.version = UDPXDP_SERVICE_VERSION,
	.name = "bare",
	.port = 9,
	.drops = drops,
	.receive = receive,
};

static void check_answer(const uint8_t *ip, bool ipv6)
{
	if (ipv6) {
		assert_int_equal(ip[0] << 8 | ip[1], 0x6b80);
		assert_int_equal(ip[7], 255);
	} else {
		assert_int_equal(ip[1], 0xb8);
		assert_int_equal(ip[8], 255);
	}
}

static void serve(bool ipv6)
{
	const struct udpxdp_addr peer =
		ipv6 ? (struct udpxdp_addr){.b = {0xfd, [15] = 2}} : udpxdp_addr_ipv4(10, 0, 0, 2);
	const struct udpxdp_addr own =
		ipv6 ? (struct udpxdp_addr){.b = {0xfd, [15] = 1}} : udpxdp_addr_ipv4(10, 0, 0, 1);
	const struct udpxdp_path path = {
		.local = {.addr = peer, .port = 4000, .mac = {2, 0, 0, 0, 0, 2}},
		.peer = {.addr = own, .port = 9, .mac = {2, 0, 0, 0, 0, 1}},
		.ttl = 3,
		.tos = 0x2e,
	};
	const struct udpxdp_host_addr addr = {
		.addr = own, .prefix_len = ipv6 ? 64 : 24, .on_iface = true};
	struct service_config config = {.service = &bare, .port = 9};
	static struct service_counters counters;
	struct udpxdp_host *net = udpxdp_host_new(path.peer.mac, 1500, &addr, 1);
	struct memory_io *io = calloc(1, sizeof(*io));
	struct engine *engine;
	uint8_t frame[128];

	memset(&counters, 0,
		sizeof(counters)); /* static: the stack of ASan aligns to less than 64 */
	memory_open(io);
	engine = engine_new(&(struct engine_config){.io = &io->io,
		.services = &config,
		.service_count = 1,
		.counters = &counters,
		.ingress = "eth0"});
	assert_non_null(engine);
	engine_set_net(engine, net);
	headers_write(frame, &path, 0, 0);
	memory_put(io, frame, headers_len(&path), TIME_NS);
	assert_int_equal(engine_poll(engine), 1);

	assert_int_equal(seen.ttl, 3);
	assert_int_equal(seen.tos, 0x2e);
	assert_int_equal(seen.path.tos, 0); /* of what is sent */
	assert_int_equal(seen.time_ns, TIME_NS);
	assert_int_equal(seen.taken_ns, TIME_NS);
	assert_string_equal(seen_ingress, "eth0");
	assert_string_equal(counters.own[0].name, "first");
	assert_string_equal(counters.own[1].name, "second");
	assert_string_equal(counters.own[2].name, "");
	assert_int_equal(counters.own[0].count, 0);
	assert_int_equal(counters.own[1].count, 1);
	assert_int_equal(counters.tx, 1);
	check_answer(io->out[0].data + 14, ipv6);

	engine_free(engine);
	free(net);
	free(io);
}

static void ipv4_says_ttl_and_tos(void **state)
{
	serve(false);
}

static void ipv6_says_hop_limit_and_class(void **state)
{
	serve(true);
}

static void bad_services_are_told_what_is_wrong(void **state)
{
	static const struct udpxdp_option outside[] = {
		{.name = "x", .kind = UDPXDP_OPTION_UINT, .offset = 510}, {}};
	static const struct udpxdp_option twice[] = {{.name = "x", .kind = UDPXDP_OPTION_BOOL},
		{.name = "x", .kind = UDPXDP_OPTION_BOOL}, {}};
	static const struct udpxdp_option lasting[] = {
		{.name = "x", .kind = UDPXDP_OPTION_STRING}, {}};
	static const struct udpxdp_reason common[] = {{"loop", "a loop"}, {}};
	static const struct {
		const char *why;
		struct udpxdp_service service;
	} rows[] = {
		{"made for version 2 of the service interface, and this udpxdp has 1",
			{.version = 2, .name = "a", .port = 1, .receive = receive}},
		{"its name is not 1 to 11 of a-z, 0-9, _ and -",
			{.version = 1, .name = "twelve_chars", .port = 1, .receive = receive}},
		{"its name is not 1 to 11 of a-z, 0-9, _ and -",
			{.version = 1, .port = 1, .receive = receive}},
		{"it has no default port", {.version = 1, .name = "a", .receive = receive}},
		{"it has no receive()", {.version = 1, .name = "a", .port = 1}},
	};
	struct udpxdp_service s = bare;
	char why[200];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(service_check(&rows[i].service, why, sizeof(why)), -1);
		assert_string_equal(why, rows[i].why);
	}
	s.options = outside;
	assert_int_equal(service_check(&s, why, sizeof(why)), -1);
	assert_string_equal(why,
		"option 'x': it ends behind the 512 bytes that a service's options "
		"may take");
	s.options = twice;
	assert_int_equal(service_check(&s, why, sizeof(why)), -1);
	assert_string_equal(why, "option 'x': it is there twice");
	s.options = lasting;
	assert_int_equal(service_check(&s, why, sizeof(why)), -1);
	assert_string_equal(why, "option 'x': a service's options are of another kind");
	s.options = NULL;
	s.drops = common;
	assert_int_equal(service_check(&s, why, sizeof(why)), -1);
	assert_string_equal(why, "drop reason 'loop': it is called as one that all services have");
	assert_int_equal(service_check(&bare, why, sizeof(why)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_says_ttl_and_tos),
		cmocka_unit_test(ipv6_says_hop_limit_and_class),
		cmocka_unit_test(bad_services_are_told_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
