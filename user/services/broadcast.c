/* SPDX-License-Identifier: MIT */
/*
 * Announcements on the local network: 【ctime】text to everybody, once, and the replies to it.
 *
 * What arrives by broadcast is somebody's announcement and is answered by unicast; what arrives
 * by unicast is a reply and never is. So no two nodes can answer each other's answers.
 */
#include "udpxdp/service.h"

struct options {
	bool answer;
};

struct broadcast {
	const struct options *options;
	uint16_t port;
	uint64_t second; /* that the stamp says, since the epoch */
	size_t stamp_len;
	uint8_t payload[UDPXDP_STAMP_MAX + UDPXDP_PAYLOAD_MAX]; /* the stamp stays at its start */
};

static const struct udpxdp_option options[] = {
	{.name = "answer",
		.kind = UDPXDP_OPTION_BOOL,
		.offset = offsetof(struct options, answer),
		.fallback = "on",
		.help = "answer other hosts' announcements with this host's name"},
	{},
};

static size_t state_size(const void *o)
{
	return sizeof(struct broadcast);
}

static void start(void *state, const struct udpxdp_start *start)
{
	struct broadcast *broadcast = state;

	broadcast->options = start->options;
	broadcast->port = start->port;
	broadcast->second = UINT64_MAX;
}

/* Puts text, cut to what can be sent at all, behind the stamp. Returns the payload's length. */
static size_t compose(struct broadcast *broadcast, uint64_t time_ns, const void *text, size_t len)
{
	if (time_ns / NSEC_PER_SEC != broadcast->second) {
		broadcast->stamp_len = udpxdp_stamp_format(broadcast->payload, time_ns);
		broadcast->second = time_ns / NSEC_PER_SEC;
	}
	if (len > UDPXDP_PAYLOAD_MAX)
		len = UDPXDP_PAYLOAD_MAX;
	if (len)
		memcpy(broadcast->payload + broadcast->stamp_len, text, len);
	return broadcast->stamp_len + len;
}

static void answer(
	struct broadcast *broadcast, struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	const struct udpxdp_host *net = udpxdp_host(ctx);
	const char *hostname = udpxdp_hostname(ctx);
	size_t len;

	if (!udpxdp_addr_is_ipv4(&net->ipv4)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_no_address);
		return;
	}
	if (!udpxdp_host_on_link(net, &d->path.peer.addr)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_off_subnet);
		return;
	}
	len = compose(broadcast, d->time_ns, hostname, strlen(hostname));
	udpxdp_send(ctx, &d->path, broadcast->payload, len);
}

static void receive(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	struct broadcast *broadcast = state;
	const struct udpxdp_message message = {
		.time_ns = d->time_ns,
		.direction = UDPXDP_RECEIVED,
		.broadcast = d->broadcast,
		.addr = d->path.peer.addr,
		.port = d->path.peer.port,
		.text = d->payload,
		.len = d->len,
	};

	udpxdp_print(ctx, &message);
	udpxdp_notify(ctx, &message);
	if (d->broadcast && broadcast->options->answer)
		answer(broadcast, ctx, d);
}

static struct udpxdp_path to_everybody(const struct udpxdp_host *net, uint16_t port)
{
	struct udpxdp_path path = {
		.local = {.addr = net->ipv4, .port = port},
		.peer = {.addr = udpxdp_addr_ipv4(255, 255, 255, 255), .port = port},
		.ttl = 1,
	};

	memcpy(path.local.mac, net->mac, sizeof(path.local.mac));
	memset(path.peer.mac, 0xff, sizeof(path.peer.mac));
	return path;
}

static const char *command(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_command *c)
{
	struct broadcast *broadcast = state;
	const struct udpxdp_path path = to_everybody(udpxdp_host(ctx), broadcast->port);
	struct udpxdp_message message = {
		.time_ns = c->time_ns,
		.direction = UDPXDP_SENT,
		.broadcast = true,
		.addr = path.peer.addr,
		.port = path.peer.port,
		.text = broadcast->payload,
	};

	if (!udpxdp_addr_is_ipv4(&path.local.addr)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_no_address);
		return "the interface has no IPv4 address to announce from; add one with ip "
		       "address";
	}
	message.len = (uint32_t)compose(broadcast, c->time_ns, c->text, c->len);
	if (!udpxdp_send(ctx, &path, broadcast->payload, message.len))
		return message.len > udpxdp_send_max(ctx, &path)
			       ? "the text does not fit the interface's MTU; shorten it"
			       : "no transmit frame is free; try again";
	udpxdp_print(ctx, &message);
	return NULL;
}

const struct udpxdp_service broadcast_service = {
	.name = "broadcast",
	.port = 8086,
	.single = true,
	.wants_broadcast = true,
	.options = options,
	.state_size = state_size,
	.start = start,
	.receive = receive,
	.command = command,
};
