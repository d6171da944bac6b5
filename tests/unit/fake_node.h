/* SPDX-License-Identifier: MIT */
/* A service on a host of its own, and what is said to it, for tests of services. */
#ifndef FAKE_NODE_H
#define FAKE_NODE_H

#include "services/service_table.h"
#include "unit/fake_outlet.h"

#define T0 (1795399200 * NSEC_PER_SEC) /* Mon Nov 23 02:00:00 2026, UTC */
#define SEC NSEC_PER_SEC

struct node {
	struct service_config *config; /* stays where it is when the node moves */
	void *state;
	struct outlet out;
	uint64_t now;
};

static const uint8_t fake_mac[6] = {2, 0, 0, 0, 0, 1};

/* The host 10.0.0.1/24 and 2001:db8::1/64 when addr is NULL, else just addr/24. */
static inline struct local_net *fake_net(const struct ip_addr *addr, uint32_t mtu)
{
	const struct local_addr both[2] = {
			{.addr = ip_addr_ipv4(10, 0, 0, 1),
					.broadcast = ip_addr_ipv4(10, 0, 0, 255),
					.prefix_len = 24,
					.on_iface = true},
			{.addr = {.b = {0x20, 1, 0x0d, 0xb8, [15] = 1}},
					.prefix_len = 64,
					.on_iface = true},
	};
	struct local_addr one = both[0];

	if (!addr)
		return local_net_new(fake_mac, mtu, both, 2);
	one.addr = *addr;
	return local_net_new(fake_mac, mtu, &one, 1);
}

static inline void node_start(struct node *node, const char *spec, struct local_net *net)
{
	char error[256];
	size_t size;

	*node = (struct node){.now = T0, .out = {.net = net, .hostname = "node"}};
	node->config = aligned_alloc(_Alignof(struct service_config), sizeof(*node->config));
	if (service_parse(node->config, spec, error, sizeof(error)) < 0)
		fail_msg("%s", error);
	size = (node->config->class->state_size(node->config->options) + 63) & ~(size_t)63;
	node->state = aligned_alloc(64, size);
	memset(node->state, 0, size);
	node->config->class->start(node->state, node->config->options, node->config->port);
}

static inline void node_stop(struct node *node)
{
	fake_outlet_forget(&node->out);
	free(node->out.net);
	free(node->state);
	free(node->config);
}

static inline struct datagram node_datagram(struct node *node, struct endpoint peer,
		const void *payload, size_t len)
{
	struct datagram d = {.payload = payload, .len = (uint32_t)len, .time_ns = node->now};

	d.path.peer = peer;
	d.path.local.port = node->config->port;
	d.path.local.addr = node->out.net->addrs[0].addr;
	for (uint32_t i = 0; i < node->out.net->count; i++)
		if (ip_addr_is_ipv4(&node->out.net->addrs[i].addr) == ip_addr_is_ipv4(&peer.addr))
			d.path.local.addr = node->out.net->addrs[i].addr;
	memcpy(d.path.local.mac, fake_mac, 6);
	return d;
}

/* The service gets the bytes in a block of exactly that size, which goes away afterwards. */
static inline void node_receive(struct node *node, const struct datagram *d)
{
	struct datagram copy = *d;

	copy.payload = fake_copy(d->payload, d->len);
	node->config->class->receive(node->state, &node->out, &copy);
	free((void *)copy.payload);
}

static inline void node_hear_bytes(struct node *node, struct endpoint peer, const void *bytes,
		size_t len)
{
	struct datagram d = node_datagram(node, peer, bytes, len);

	node_receive(node, &d);
}

static inline void node_hear(struct node *node, struct endpoint peer, const char *text)
{
	node_hear_bytes(node, peer, text, strlen(text));
}

static inline const char *node_command(struct node *node, struct endpoint peer, const char *text)
{
	struct datagram d = node_datagram(node, peer, text, strlen(text));
	struct command command = {.time_ns = node->now,
			.path = d.path,
			.text = d.payload,
			.len = d.len};

	command.path.local.port = 0;
	return node->config->class->command(node->state, &node->out, &command);
}

/* Has the service sent exactly this text, to this peer, as its n-th datagram? */
static inline void expect_sent(const struct node *node, size_t n, struct endpoint peer,
		const char *text)
{
	const struct sent *sent;

	assert_true(n < node->out.sent_count);
	sent = &node->out.sent[n];
	if (sent->len != strlen(text) || memcmp(sent->payload, text, sent->len))
		fail_msg("sent \"%.*s\" instead of \"%s\"", (int)sent->len,
				(const char *)sent->payload, text);
	assert_memory_equal(&sent->path.peer.addr, &peer.addr, sizeof(peer.addr));
	assert_int_equal(sent->path.peer.port, peer.port);
	assert_memory_equal(sent->path.peer.mac, peer.mac, 6);
	assert_int_equal(sent->path.local.port, node->config->port);
	assert_memory_equal(sent->path.local.mac, fake_mac, 6);
}

/* One answer, to this peer, that begins with this; everything is forgotten then. */
static inline void expect_answer(struct node *node, struct endpoint peer, const char *start)
{
	assert_int_equal(node->out.sent_count, 1);
	if (node->out.sent[0].len < strlen(start) ||
			memcmp(node->out.sent[0].payload, start, strlen(start)))
		fail_msg("answered \"%.*s\" instead of \"%s\"", (int)node->out.sent[0].len,
				(const char *)node->out.sent[0].payload, start);
	assert_memory_equal(&node->out.sent[0].path.peer.addr, &peer.addr, sizeof(peer.addr));
	assert_int_equal(node->out.sent[0].path.peer.port, peer.port);
	fake_outlet_forget(&node->out);
}

/* Nothing was sent, and one thing counted; everything is forgotten then. */
static inline void expect_refused(struct node *node, enum drop_reason reason)
{
	assert_int_equal(node->out.sent_count, 0);
	assert_int_equal(fake_drops(&node->out), 1);
	assert_int_equal(node->out.drops[reason], 1);
	fake_outlet_forget(&node->out);
}

static inline void expect_message(const struct messages *messages, size_t n,
		enum direction direction, struct endpoint peer, const char *text)
{
	const struct message *m;

	assert_true(n < messages->count);
	m = &messages->list[n];
	assert_int_equal(m->direction, direction);
	assert_memory_equal(&m->addr, &peer.addr, sizeof(peer.addr));
	assert_int_equal(m->port, peer.port);
	assert_int_equal(m->len, strlen(text));
	assert_memory_equal(m->text, text, m->len);
}

/* 10.0.0.HOST:PORT, with a MAC of its own. */
static inline struct endpoint on_link(uint8_t host, uint16_t port)
{
	return (struct endpoint){.addr = ip_addr_ipv4(10, 0, 0, host),
			.port = port,
			.mac = {2, 0, 0, 0, 1, host}};
}

/* 192.0.2.HOST:PORT, behind a router. */
static inline struct endpoint off_link(uint8_t host, uint16_t port)
{
	return (struct endpoint){.addr = ip_addr_ipv4(192, 0, 2, host),
			.port = port,
			.mac = {2, 0, 0, 0, 2, 0xfe}};
}

/* 2001:db8::HOST, on the link. */
static inline struct endpoint on_link6(uint8_t host, uint16_t port)
{
	return (struct endpoint){.addr = {.b = {0x20, 1, 0x0d, 0xb8, [15] = host}},
			.port = port,
			.mac = {2, 0, 0, 0, 6, host}};
}

#endif
