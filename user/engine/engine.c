/* SPDX-License-Identifier: MIT */
#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>

#include "base/checksum.h"
#include "engine/internal.h"
#include "udpxdp/packet.h"

static inline bool is_group_mac(const uint8_t mac[6])
{
	return mac[0] & 1;
}

/*
 * Multicast, unspecified or loopback (RFC 1122 3.2.1.3, RFC 4291 2.7), whatever the host's own
 * addresses are. 255.255.255.255 is among those (see udpxdp_host_kind()).
 */
static inline bool is_special(const struct udpxdp_addr *a)
{
	if (udpxdp_addr_is_ipv4(a)) {
		uint8_t first = a->b[12];

		return !first || first == 127 || (first & 0xf0) == 0xe0;
	}
	return a->b[0] == 0xff || (!a->w[0] && !a->w[1] && !a->w[2] &&
					  !memcmp(a->b + 12, "\0\0\0", 3) && a->b[15] <= 1);
}

/* RFC 1122 3.2.1.3 (g), RFC 4291 2.5.3. */
static inline bool is_loopback(const struct udpxdp_addr *a)
{
	return is_special(a) &&
	       (udpxdp_addr_is_ipv4(a) ? a->b[12] == 127 : a->b[15] == 1 && !a->b[0]);
}

/* What its destination is to this host: see udpxdp_host_kind(). */
static inline uint32_t dest_kind(
	const struct engine *e, const struct frame *frame, const struct frame_info *info)
{
	if (!frame->from_kernel)
		return udpxdp_host_kind(e->net, &info->dest);
	if (is_special(&info->dest) && !is_loopback(&info->dest))
		return 0; /* a group that somebody else here has joined */
	return is_group_mac(frame->data) ? LOCAL_BROADCAST : LOCAL_UNICAST;
}

/* The verdict on a frame's destination: the same questions, in the same order, as the filter. */
static enum frame_verdict admit(struct engine *e, const struct frame *frame,
	const struct frame_info *info, struct service_instance **instance, bool *broadcast)
{
	const struct udpxdp_host *net = e->net;
	uint32_t kind = dest_kind(e, frame, info);

	*instance = e->dispatch[info->dest_port];
	*broadcast = kind == LOCAL_BROADCAST;
	if (*broadcast && !(*instance && (*instance)->service->wants_broadcast))
		return FRAME_NOT_OURS;
	if (!kind && !(net->any_unicast && !is_special(&info->dest)))
		return FRAME_NOT_OURS;
	return *instance ? FRAME_UDP : FRAME_NOT_SERVED;
}

/*
 * Is the UDP checksum complete and right, absent (IPv4 only), or the bare pseudo-header sum that
 * a sender on this machine left for an offload to complete?
 */
static inline bool udp_checksum_ok(
	const struct frame_info *info, const uint8_t *udp, uint32_t payload_sum)
{
	uint16_t udp_len = PACKET_BE16(UDP_HEADER_LEN + info->payload_len), field;
	uint64_t pseudo = PACKET_BE16(IP_PROTO_UDP) + (uint32_t)udp_len;

	memcpy(&field, udp + offsetof(struct udp_header, checksum), sizeof(field));
	if (info->version == 4)
		pseudo += (uint64_t)info->source.w[3] + info->dest.w[3];
	else
		pseudo += checksum_sum(&info->source, 16) + checksum_sum(&info->dest, 16);
	if (checksum_fold(pseudo + checksum_word32(udp) + checksum_word32(udp + 4) + payload_sum) ==
			0xffff &&
		field)
		return true;
	return field ? field == checksum_fold(pseudo) : info->version == 4;
}

static inline bool ip_checksum_ok(const uint8_t *ip, uint32_t len)
{
	if (len != IPV4_HEADER_LEN)
		return checksum_sum(ip, len) == 0xffff;
	return checksum_fold(checksum_word32(ip) + checksum_word32(ip + 4) +
			     checksum_word32(ip + 8) + checksum_word32(ip + 12) +
			     checksum_word32(ip + 16)) == 0xffff;
}

/*
 * An answer to this source could go astray, or to ourselves. What the kernel delivers may come
 * from another program of this host, and that is not on a port of ours.
 */
static inline bool is_bad_source(
	const struct engine *e, const struct frame *frame, const struct frame_info *info)
{
	const bool special = is_special(&info->source);

	if (!frame->from_kernel)
		return special || is_group_mac(frame->data + 6) ||
		       udpxdp_host_kind(e->net, &info->source);
	if (special && !is_loopback(&info->source))
		return true;
	return e->dispatch[info->source_port] &&
	       (special || udpxdp_host_kind(e->net, &info->source));
}

/* Why a datagram must not reach its service; UDPXDP_DROP_NONE: it may. */
static enum udpxdp_drop refuse(const struct engine *e, const struct frame *frame,
	const struct frame_info *info, uint32_t payload_sum)
{
	if (info->version == 4 && !ip_checksum_ok(frame->data + info->l3, info->l4 - info->l3))
		return UDPXDP_DROP_bad_ip_checksum;
	if (!udp_checksum_ok(info, frame->data + info->l4, payload_sum))
		return UDPXDP_DROP_bad_udp_checksum;
	if (!info->source_port)
		return UDPXDP_DROP_source_port_zero;
	if (is_bad_source(e, frame, info))
		return UDPXDP_DROP_source_address;
	return UDPXDP_DROP_NONE;
}

/* Who answers what was sent to everybody: the address that the sender takes for its neighbour. */
static __attribute__((noinline)) struct udpxdp_addr own_ipv4(
	const struct udpxdp_host *net, const struct udpxdp_addr *peer)
{
	const struct udpxdp_addr *neighbour = udpxdp_host_addr_on_subnet_of(net, peer);

	return neighbour ? *neighbour : net->ipv4;
}

static void read_path(struct udpxdp_path *path, const struct engine *e, const struct frame *frame,
	const struct frame_info *info, bool broadcast)
{
	const struct eth_header *eth = (const void *)frame->data;
	const uint8_t *tag = frame->data + 12;

	path->local.addr = broadcast ? own_ipv4(e->net, &info->source) : info->dest;
	path->local.port = info->dest_port;
	memcpy(path->local.mac, is_group_mac(eth->dest) ? e->net->mac : eth->dest, 6);
	path->peer.addr = info->source;
	path->peer.port = info->source_port;
	memcpy(path->peer.mac, eth->source, 6);
	path->ttl = 0;
	path->tag_count = info->tags;
	for (int i = 0; i < info->tags; i++, tag += VLAN_TAG_LEN) {
		path->tags[i].tpid = (uint16_t)(tag[0] << 8 | tag[1]);
		path->tags[i].tci = (uint16_t)(tag[2] << 8 | tag[3]);
	}
}

/* The straight line. Returns with the frame sent, or to be given back (ctx.frame is set). */
static void handle(struct engine *e, struct udpxdp_ctx *ctx)
{
	struct frame *frame = ctx->frame;
	struct service_instance *instance;
	struct frame_info info;
	struct udpxdp_datagram d;
	enum frame_verdict verdict;
	enum udpxdp_drop drop;
	bool broadcast;

	verdict = frame_classify(frame->data, frame->data + frame->len, frame->len, &info);
	if (verdict == FRAME_UDP)
		verdict = admit(e, frame, &info, &instance, &broadcast);
	e->verdicts[verdict]++;
	if (verdict != FRAME_UDP)
		return;

	ctx->instance = instance;
	instance->counters->rx++;
	instance->counters->rx_bytes += info.payload_len;
	d.payload = frame->data + info.payload;
	d.len = info.payload_len;
	d.payload_sum = checksum_sum(d.payload, d.len);
	drop = refuse(e, frame, &info, d.payload_sum);
	if (drop != UDPXDP_DROP_NONE) {
		udpxdp_count_drop(ctx, drop);
		return;
	}

	read_path(&d.path, e, frame, &info, broadcast);
	d.broadcast = broadcast;
	d.time_ns = frame->time_ns;
	if (!instance->elsewhere)
		instance->service->receive(instance->state, ctx, &d);
	else if (!e->handover->push(e->handover->context, instance - e->instances, &d))
		udpxdp_count_drop(ctx, UDPXDP_DROP_handover_full);
}

int engine_poll(struct engine *e)
{
	struct frame_io *io = e->io;
	struct frame frames[FRAME_BATCH];
	struct udpxdp_ctx ctx = {.engine = e};
	int n = io->ops->receive(io, frames, FRAME_BATCH);

	for (int i = 0; i < n; i++) {
		ctx.frame = &frames[i];
		ctx.time_ns = frames[i].time_ns;
		handle(e, &ctx);
		if (ctx.frame)
			io->ops->release(io, ctx.frame);
	}
	if (n > 0)
		io->ops->flush(io);
	return n;
}

void engine_deliver(struct engine *e, unsigned n, const struct udpxdp_datagram *d)
{
	struct udpxdp_ctx ctx = {.engine = e, .instance = &e->instances[n], .time_ns = d->time_ns};

	ctx.instance->service->receive(ctx.instance->state, &ctx, d);
}

const char *engine_command(struct engine *e, unsigned n, const struct udpxdp_command *command)
{
	struct udpxdp_ctx ctx = {
		.engine = e, .instance = &e->instances[n], .time_ns = command->time_ns};

	return ctx.instance->service->command(ctx.instance->state, &ctx, command);
}

void engine_tick(struct engine *e, uint64_t time_ns)
{
	for (unsigned n = 0; n < e->instance_count; n++) {
		struct udpxdp_ctx ctx = {
			.engine = e, .instance = &e->instances[n], .time_ns = time_ns};

		if (!ctx.instance->elsewhere && ctx.instance->service->tick)
			ctx.instance->service->tick(ctx.instance->state, &ctx, time_ns);
	}
}

void engine_flush(struct engine *e)
{
	e->io->ops->flush(e->io);
}

void engine_set_hostname(struct engine *e, const char *hostname)
{
	e->hostname = hostname;
}

void engine_set_net(struct engine *e, const struct udpxdp_host *net)
{
	e->net = net;
}

uint64_t engine_verdict(const struct engine *e, enum frame_verdict verdict)
{
	return e->verdicts[verdict];
}

static int start_instance(
	struct service_instance *i, const struct engine_config *config, unsigned n)
{
	const struct service_config *spec = &config->services[n];
	struct udpxdp_start start = {.options = spec->options, .port = spec->port};
	size_t size;

	if (config->seed) {
		start.seed = *config->seed;
		start.seed.key[0] ^= spec->port; /* rooms do not know each other's tokens */
	}

	i->service = spec->service;
	i->counters = &config->counters[n];
	memcpy(i->counters->service, spec->service->name, strlen(spec->service->name) + 1);
	i->counters->port = spec->port;
	i->counters->worker = config->worker;
	i->elsewhere = spec->service->single && config->handover;
	if (i->elsewhere)
		return 0;
	size = (spec->service->state_size(spec->options) + 63) & ~(size_t)63;
	i->state = aligned_alloc(64, size ? size : 64);
	if (!i->state)
		return -1;
	memset(i->state, 0, size);
	spec->service->start(i->state, &start);
	return 0;
}

struct engine *engine_new(const struct engine_config *config)
{
	struct engine *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->io = config->io;
	e->sinks = config->sinks;
	e->handover = config->handover;
	e->hostname = config->hostname;
	for (unsigned n = 0; n < config->service_count; n++) {
		e->instance_count++;
		if (start_instance(&e->instances[n], config, n) < 0) {
			engine_free(e);
			errno = ENOMEM;
			return NULL;
		}
		e->dispatch[config->services[n].port] = &e->instances[n];
	}
	return e;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	for (unsigned n = 0; n < e->instance_count; n++)
		free(e->instances[n].state);
	free(e);
}
