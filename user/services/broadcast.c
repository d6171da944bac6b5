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
	uint8_t payload[STAMP_MAX + DATAGRAM_PAYLOAD_MAX]; /* the stamp stays at its start */
};

static const struct service_option options[] = {
		{.key = "answer",
				.kind = OPTION_ON_OFF,
				.offset = offsetof(struct options, answer),
				.fallback = "on",
				.help = "answer announcements of others with this host's name"},
		{},
};

static size_t state_size(const void *o)
{
	return sizeof(struct broadcast);
}

static void start(void *state, const void *o, uint16_t port)
{
	struct broadcast *broadcast = state;

	broadcast->options = o;
	broadcast->port = port;
	broadcast->second = UINT64_MAX;
}

/* Puts text, cut to what can be sent at all, behind the stamp. Returns the payload's length. */
static size_t compose(struct broadcast *broadcast, uint64_t time_ns, const void *text, size_t len)
{
	if (time_ns / NSEC_PER_SEC != broadcast->second) {
		broadcast->stamp_len = stamp_format(broadcast->payload, time_ns);
		broadcast->second = time_ns / NSEC_PER_SEC;
	}
	if (len > DATAGRAM_PAYLOAD_MAX)
		len = DATAGRAM_PAYLOAD_MAX;
	if (len)
		memcpy(broadcast->payload + broadcast->stamp_len, text, len);
	return broadcast->stamp_len + len;
}

static void answer(struct broadcast *broadcast, struct outlet *out, const struct datagram *d)
{
	const struct local_net *net = outlet_net(out);
	const char *hostname = outlet_hostname(out);
	size_t len;

	if (!ip_addr_is_ipv4(&net->ipv4)) {
		count_drop(out, DROP_no_address);
		return;
	}
	if (!local_net_on_link(net, &d->path.peer.addr)) {
		count_drop(out, DROP_off_subnet);
		return;
	}
	len = compose(broadcast, d->time_ns, hostname, strlen(hostname));
	emit(out, &d->path, broadcast->payload, len);
}

static void receive(void *state, struct outlet *out, const struct datagram *d)
{
	struct broadcast *broadcast = state;
	const struct message message = {
			.time_ns = d->time_ns,
			.direction = RECEIVED,
			.broadcast = d->broadcast,
			.addr = d->path.peer.addr,
			.port = d->path.peer.port,
			.text = d->payload,
			.len = d->len,
	};

	print(out, &message);
	notify(out, &message);
	if (d->broadcast && broadcast->options->answer)
		answer(broadcast, out, d);
}

static struct path to_everybody(const struct local_net *net, uint16_t port)
{
	struct path path = {
			.local = {.addr = net->ipv4, .port = port},
			.peer = {.addr = ip_addr_ipv4(255, 255, 255, 255), .port = port},
			.ttl = 1,
	};

	memcpy(path.local.mac, net->mac, sizeof(path.local.mac));
	memset(path.peer.mac, 0xff, sizeof(path.peer.mac));
	return path;
}

static const char *command(void *state, struct outlet *out, const struct command *c)
{
	struct broadcast *broadcast = state;
	const struct path path = to_everybody(outlet_net(out), broadcast->port);
	struct message message = {
			.time_ns = c->time_ns,
			.direction = SENT,
			.broadcast = true,
			.addr = path.peer.addr,
			.port = path.peer.port,
			.text = broadcast->payload,
	};

	if (!ip_addr_is_ipv4(&path.local.addr)) {
		count_drop(out, DROP_no_address);
		return "the interface has no IPv4 address to announce from; add one with ip address";
	}
	message.len = (uint32_t)compose(broadcast, c->time_ns, c->text, c->len);
	if (!emit(out, &path, broadcast->payload, message.len))
		return message.len > emit_max(out, &path)
				       ? "the text does not fit the interface's MTU; shorten it"
				       : "no transmit frame is free; try again";
	print(out, &message);
	return NULL;
}

const struct service_class broadcast_service = {
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
