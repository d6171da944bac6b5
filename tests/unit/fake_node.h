/* SPDX-License-Identifier: MIT */
/* A service on a host of its own, and what is said to it, for tests of services. */
#ifndef FAKE_NODE_H
#define FAKE_NODE_H

#include "services/service_spec.h"
#include "unit/fake_ctx.h"

#define T0 (1795399200 * UDPXDP_NSEC_PER_SEC) /* Mon Nov 23 02:00:00 2026, UTC */
#define SEC UDPXDP_NSEC_PER_SEC

struct node {
	struct service_config *config; /* stays where it is when the node moves */
	void *state;
	struct udpxdp_ctx out;
	uint64_t now;
};

static const uint8_t fake_mac[6] = {2, 0, 0, 0, 0, 1};

/* The host 10.0.0.1/24 and 2001:db8::1/64 when addr is NULL, else just addr/24. */
static inline struct udpxdp_host *fake_net(const struct udpxdp_addr *addr, uint32_t mtu)
{
	const struct udpxdp_host_addr both[2] = {
		{.addr = udpxdp_addr_ipv4(10, 0, 0, 1),
			.broadcast = udpxdp_addr_ipv4(10, 0, 0, 255),
			.prefix_len = 24,
			.on_iface = true},
		{.addr = {.b = {0x20, 1, 0x0d, 0xb8, [15] = 1}},
			.prefix_len = 64,
			.on_iface = true},
	};
	struct udpxdp_host_addr one = both[0];

	if (!addr)
		return udpxdp_host_new(fake_mac, mtu, both, 2);
	one.addr = *addr;
	return udpxdp_host_new(fake_mac, mtu, &one, 1);
}

/* Starts the service as it is configured, with these secrets. */
static inline void node_restart(struct node *node, struct udpxdp_seed seed)
{
	node->config->service->start(
		node->state, &(struct udpxdp_start){.options = node->config->options,
				     .port = node->config->port,
				     .seed = seed});
}

static inline void node_start(struct node *node, const char *spec, struct udpxdp_host *net)
{
	char error[256];
	size_t size;

	*node = (struct node){.now = T0, .out = {.net = net, .hostname = "node"}};
	node->config = aligned_alloc(_Alignof(struct service_config), sizeof(*node->config));
	if (service_parse(node->config, spec, error, sizeof(error)) < 0)
		fail_msg("%s", error);
	size = (node->config->service->state_size(node->config->options) + 63) & ~(size_t)63;
	node->state = aligned_alloc(64, size);
	memset(node->state, 0, size);
	node_restart(node, (struct udpxdp_seed){});
}

static inline void node_stop(struct node *node)
{
	fake_ctx_forget(&node->out);
	free(node->out.net);
	free(node->state);
	free(node->config);
}

static inline struct udpxdp_datagram node_datagram(
	struct node *node, struct udpxdp_endpoint peer, const void *payload, size_t len)
{
	struct udpxdp_datagram d = {.payload = payload,
		.len = (uint32_t)len,
		.time_ns = node->now,
		.taken_ns = node->now};

	d.path.peer = peer;
	d.path.local.port = node->config->port;
	d.path.local.addr = node->out.net->addrs[0].addr;
	for (uint32_t i = 0; i < node->out.net->count; i++)
		if (udpxdp_addr_is_ipv4(&node->out.net->addrs[i].addr) ==
			udpxdp_addr_is_ipv4(&peer.addr))
			d.path.local.addr = node->out.net->addrs[i].addr;
	memcpy(d.path.local.mac, fake_mac, 6);
	d.path.proven =
		node->out.net->any_unicast || udpxdp_host_on_link(node->out.net, &peer.addr);
	return d;
}

/* Goes on, slice by slice, with what the service left for later. */
static inline void node_resume(struct node *node)
{
	while (node->out.resume) {
		node->out.resume = false;
		node->config->service->resume(node->state, &node->out);
	}
}

/* The service gets the bytes in a block of exactly that size, which goes away afterwards. */
static inline void node_receive(struct node *node, const struct udpxdp_datagram *d)
{
	struct udpxdp_datagram copy = *d;

	copy.payload = fake_copy(d->payload, d->len);
	node->out.received = &copy;
	node->out.steady_ns = node->now;
	node->config->service->receive(node->state, &node->out, &copy);
	node->out.received = NULL;
	node_resume(node);
	free((void *)copy.payload);
}

static inline void node_hear_bytes(
	struct node *node, struct udpxdp_endpoint peer, const void *bytes, size_t len)
{
	struct udpxdp_datagram d = node_datagram(node, peer, bytes, len);

	node_receive(node, &d);
}

static inline void node_hear(struct node *node, struct udpxdp_endpoint peer, const char *text)
{
	node_hear_bytes(node, peer, text, strlen(text));
}

static inline const char *node_command(
	struct node *node, struct udpxdp_endpoint peer, const char *text)
{
	struct udpxdp_datagram d = node_datagram(node, peer, text, strlen(text));
	struct udpxdp_command command = {
		.time_ns = node->now, .path = d.path, .text = d.payload, .len = d.len};

	command.path.local.port = 0;
	node->out.steady_ns = node->now;
	return node->config->service->command(node->state, &node->out, &command);
}

/* Has the service sent exactly this text, to this peer, as its n-th datagram? */
static inline void expect_sent(
	const struct node *node, size_t n, struct udpxdp_endpoint peer, const char *text)
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
static inline void expect_answer(struct node *node, struct udpxdp_endpoint peer, const char *start)
{
	assert_int_equal(node->out.sent_count, 1);
	if (node->out.sent[0].len < strlen(start) ||
		memcmp(node->out.sent[0].payload, start, strlen(start)))
		fail_msg("answered \"%.*s\" instead of \"%s\"", (int)node->out.sent[0].len,
			(const char *)node->out.sent[0].payload, start);
	assert_memory_equal(&node->out.sent[0].path.peer.addr, &peer.addr, sizeof(peer.addr));
	assert_int_equal(node->out.sent[0].path.peer.port, peer.port);
	fake_ctx_forget(&node->out);
}

/* Nothing was sent, and one thing counted; everything is forgotten then. */
static inline void expect_refused(struct node *node, enum udpxdp_drop reason)
{
	assert_int_equal(node->out.sent_count, 0);
	assert_int_equal(fake_drops(&node->out), 1);
	assert_int_equal(node->out.drops[reason], 1);
	fake_ctx_forget(&node->out);
}

static inline void expect_message(const struct messages *messages, size_t n,
	enum udpxdp_direction direction, struct udpxdp_endpoint peer, const char *text)
{
	const struct udpxdp_message *m;

	assert_true(n < messages->count);
	m = &messages->list[n];
	assert_int_equal(m->direction, direction);
	assert_memory_equal(&m->addr, &peer.addr, sizeof(peer.addr));
	assert_int_equal(m->port, peer.port);
	assert_int_equal(m->len, strlen(text));
	assert_memory_equal(m->text, text, m->len);
}

/* 10.0.0.HOST:PORT, with a MAC of its own. */
static inline struct udpxdp_endpoint on_link(uint8_t host, uint16_t port)
{
	return (struct udpxdp_endpoint){.addr = udpxdp_addr_ipv4(10, 0, 0, host),
		.port = port,
		.mac = {2, 0, 0, 0, 1, host}};
}

/* 192.0.2.HOST:PORT, behind a router. */
static inline struct udpxdp_endpoint off_link(uint8_t host, uint16_t port)
{
	return (struct udpxdp_endpoint){.addr = udpxdp_addr_ipv4(192, 0, 2, host),
		.port = port,
		.mac = {2, 0, 0, 0, 2, 0xfe}};
}

/* 2001:db8::HOST, on the link. */
static inline struct udpxdp_endpoint on_link6(uint8_t host, uint16_t port)
{
	return (struct udpxdp_endpoint){.addr = {.b = {0x20, 1, 0x0d, 0xb8, [15] = host}},
		.port = port,
		.mac = {2, 0, 0, 0, 6, host}};
}

/* What another host of the room tells, of its member 10.9.9.9:99. text outlives it. */
static inline struct udpxdp_room_event node_room_event(
	enum udpxdp_room_kind kind, const char *name, const char *host, const char *text)
{
	struct udpxdp_room_event event = {.kind = kind,
		.record = true,
		.show = true,
		.time_ns = T0,
		.addr = udpxdp_addr_ipv4(10, 9, 9, 9),
		.port = 99,
		.place = {7, 8, 9},
		.name_len = (uint32_t)strlen(name),
		.host_len = (uint32_t)strlen(host),
		.len = (uint32_t)strlen(text),
		.text = (const uint8_t *)text};

	memcpy(event.name, name, event.name_len);
	memcpy(event.host, host, event.host_len);
	return event;
}

#endif
