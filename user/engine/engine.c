/* SPDX-License-Identifier: MIT */
#include "engine/engine.h"

#include "base/headers.h"
#include "base/checksum.h"
#include "engine/internal.h"
#include "udpxdp/packet.h"

#define CLOCK_SPAN (2 * (int64_t)UDPXDP_NSEC_PER_SEC)

static inline bool is_group_mac(const uint8_t mac[6])
{
	return mac[0] & 1;
}

/* What its destination is to this host: see udpxdp_host_kind(). */
static inline uint32_t kind_from_kernel(const struct frame *frame, const struct frame_info *info)
{
	if (is_special(&info->dest) && !is_loopback(&info->dest))
		return 0; /* a group that somebody else here has joined */
	return is_group_mac(frame->data) ? UDPXDP_LOCAL_BROADCAST : UDPXDP_LOCAL_UNICAST;
}

/* The same, 0 where the kernel would not take the frame for its MAC address or its tags. */
static inline uint32_t kind_from_wire(const struct udpxdp_host *net, const struct frame_info *info)
{
	const uint32_t vlan = udpxdp_host_vlan_of(net, info->vlan);
	const bool group = packet_mac_is_group(info->dest_mac);
	uint32_t kind;

	if (vlan == UDPXDP_VLAN_NONE || (!group && !udpxdp_host_has_mac(net, info->dest_mac)))
		return 0;
	kind = udpxdp_host_kind_on(net, &info->dest, vlan);
	if (!kind && net->any_unicast && !is_special(&info->dest))
		kind = UDPXDP_LOCAL_UNICAST;
	return kind == UDPXDP_LOCAL_UNICAST && group && !net->any_group ? 0 : kind;
}

/* The verdict on a frame's destination: the same questions, in the same order, as the filter. */
static enum frame_verdict admit(struct engine *e, const struct udpxdp_host *net,
	const struct frame *frame, const struct frame_info *info,
	struct service_instance **instance, bool *broadcast)
{
	const uint32_t kind =
		frame->from_kernel ? kind_from_kernel(frame, info) : kind_from_wire(net, info);

	*instance = e->dispatch[info->dest_port];
	*broadcast = kind == UDPXDP_LOCAL_BROADCAST;
	if (!kind || (*broadcast && !(*instance && (*instance)->service->wants_broadcast)))
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
static inline bool is_bad_source(const struct engine *e, const struct udpxdp_host *net,
	const struct frame *frame, const struct frame_info *info)
{
	const bool special = is_special(&info->source);

	if (!frame->from_kernel)
		return special || is_group_mac(frame->data + 6) ||
		       udpxdp_host_kind(net, &info->source);
	if (special && !is_loopback(&info->source))
		return true;
	return e->dispatch[info->source_port] && (special || udpxdp_host_kind(net, &info->source));
}

/* Why a datagram must not reach its service; UDPXDP_DROP_NONE: it may. */
static enum udpxdp_drop refuse(const struct engine *e, const struct udpxdp_host *net,
	const struct frame *frame, const struct frame_info *info, uint32_t payload_sum)
{
	if (info->version == 4 && !ip_checksum_ok(frame->data + info->l3, info->l4 - info->l3))
		return UDPXDP_DROP_bad_ip_checksum;
	if (!udp_checksum_ok(info, frame->data + info->l4, payload_sum))
		return UDPXDP_DROP_bad_udp_checksum;
	if (!info->source_port)
		return UDPXDP_DROP_source_port_zero;
	if (is_bad_source(e, net, frame, info))
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

static void read_path(struct udpxdp_path *path, const struct udpxdp_host *net,
	const struct frame *frame, const struct frame_info *info, bool broadcast)
{
	const struct eth_header *eth = (const void *)frame->data;
	const uint8_t *tag = frame->data + 12;

	path->local.addr = broadcast ? own_ipv4(net, &info->source) : info->dest;
	path->local.port = info->dest_port;
	memcpy(path->local.mac, is_group_mac(eth->dest) ? net->mac : eth->dest, 6);
	path->peer.addr = info->source;
	path->peer.port = info->source_port;
	memcpy(path->peer.mac, eth->source, 6);
	path->ttl = path->tos = 0;
	path->proven = false;
	path->tag_count = info->tags;
	for (int i = 0; i < info->tags; i++, tag += VLAN_TAG_LEN) {
		path->tags[i].tpid = (uint16_t)(tag[0] << 8 | tag[1]);
		path->tags[i].tci = (uint16_t)(tag[2] << 8 | tag[3]);
	}
}

/* Who is on the link of another interface is not a neighbour here, whatever somebody's ARP says. */
static bool is_elsewhere(
	const struct engine *e, const struct ingress *way, const struct udpxdp_addr *peer)
{
	if (udpxdp_host_on_link(way->net, peer))
		return false;
	for (unsigned i = 0; i < e->interface_count; i++)
		if (udpxdp_host_on_link(e->ingresses[i].net, peer))
			return true;
	return false;
}

bool engine_proves(const struct engine *e, const struct udpxdp_path *path)
{
	const struct ingress *way = &e->ingresses[path->ingress];
	const struct udpxdp_host *net = way->net;
	const struct udpxdp_addr *peer = &path->peer.addr;
	uint8_t mac[6];

	if (net->any_unicast || is_loopback(peer) ||
		udpxdp_host_kind(net, peer) == UDPXDP_LOCAL_UNICAST)
		return true;
	if (!way->neighbours) /* what came by the kernel beside XDP shows no MAC */
		return way != e->kernel && udpxdp_host_on_link(net, peer);
	return engine_neighbour(e, path, mac) == NEIGHBOUR_FOUND &&
	       !memcmp(mac, path->peer.mac, sizeof(mac)) && !is_elsewhere(e, way, peer);
}

uint64_t engine_steady(const struct engine *e, uint64_t time_ns)
{
	const int64_t since = (int64_t)(time_ns - e->clock_real);

	if (!e->clock_steady)
		return time_ns;
	/* Further from when it was set, it is the other clock that has jumped. */
	return e->clock_steady + (uint64_t)(since < 0            ? 0
					    : since < CLOCK_SPAN ? since
								 : CLOCK_SPAN);
}

void engine_settle(struct udpxdp_ctx *ctx)
{
	const struct udpxdp_datagram *d = ctx->received;

	if (ctx->settled || !d)
		return;
	ctx->settled = true;
	accounts_earn(&ctx->engine->accounts, &d->path.peer.addr, ip_udp_len(&d->path) + d->len);
}

static inline void serve(struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	ctx->received = d;
	ctx->settled = d->path.proven;
	ctx->instance->service->receive(ctx->instance->state, ctx, d);
	if (!ctx->settled)
		engine_settle(ctx);
}

void engine_serve(struct engine *e, unsigned n, const struct udpxdp_datagram *d)
{
	struct udpxdp_ctx ctx = ctx_of(e, n, d->path.ingress, d->time_ns);

	serve(&ctx, d);
}

/* To a service that lives here: at once, or when it is known who speaks. */
static inline void deliver(struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	struct engine *e = ctx->engine;

	if (ctx->instance->service->single && !d->path.proven &&
		waiting_take(e, ctx->instance->number, d))
		return;
	serve(ctx, d);
}

static inline void read_ip(struct udpxdp_datagram *d, const uint8_t *ip, uint8_t version)
{
	d->ttl = version == 4 ? ip[8] : ip[7];
	d->tos = version == 4 ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4);
}

/* The straight line. Returns with the frame sent, or to be given back (ctx.frame is set). */
static void handle(struct engine *e, struct udpxdp_ctx *ctx)
{
	const struct udpxdp_host *net = ctx->ingress->net;
	struct frame *frame = ctx->frame;
	struct service_instance *instance;
	struct frame_info info;
	struct udpxdp_datagram d;
	enum frame_verdict verdict;
	enum udpxdp_drop drop;
	bool broadcast;

	verdict = frame_classify(frame->data, frame->data + frame->len, frame->len, &info);
	if (verdict == FRAME_UDP)
		verdict = admit(e, net, frame, &info, &instance, &broadcast);
	e->verdicts[verdict]++;
	if (verdict != FRAME_UDP)
		return;

	ctx->instance = instance;
	ctx->counters = &ctx->ingress->counters[instance->number];
	ctx->counters->rx++;
	ctx->counters->rx_bytes += info.payload_len;
	d.payload = frame->data + info.payload;
	d.len = info.payload_len;
	d.payload_sum = checksum_sum(d.payload, d.len);
	drop = refuse(e, net, frame, &info, d.payload_sum);
	if (drop != UDPXDP_DROP_NONE) {
		udpxdp_count_drop(ctx, drop);
		return;
	}

	read_path(&d.path, net, frame, &info, broadcast);
	d.path.ingress = ctx->ingress - e->ingresses;
	d.broadcast = broadcast;
	d.time_ns = frame->time_ns;
	d.taken_ns = frame->taken_ns ? frame->taken_ns : frame->time_ns;
	read_ip(&d, frame->data + info.l3, info.version);
	if (instance->service->single)
		d.path.proven = engine_proves(e, &d.path);
	if (!instance->elsewhere)
		deliver(ctx, &d);
	else if (!e->handover->push(e->handover->context, instance->number, &d))
		udpxdp_count_drop(ctx, UDPXDP_DROP_handover_full);
}

/* Goes on with what was left for later. Returns how much that was. */
static int resume(struct engine *e)
{
	uint32_t asked = e->resume;
	int count = (int)waiting_poll(e);

	e->resume &= ~asked;
	for (; asked; asked &= asked - 1, count++) {
		struct udpxdp_ctx ctx = ctx_of(e, __builtin_ctz(asked), 0, e->time_ns);

		ctx.instance->service->resume(ctx.instance->state, &ctx);
	}
	return count;
}

static int take_batch(struct engine *e, struct ingress *ingress)
{
	struct frame_io *io = ingress->io;
	struct frame frames[FRAME_BATCH];
	struct udpxdp_ctx ctx = {.engine = e, .ingress = ingress};
	int n = io->ops->receive(io, frames, FRAME_BATCH);

	for (int i = 0; i < n; i++) {
		ctx.frame = &frames[i];
		ctx.time_ns = frames[i].time_ns;
		ctx.received = NULL;
		handle(e, &ctx);
		if (ctx.frame)
			io->ops->release(io, ctx.frame);
	}
	if (n > 0)
		e->time_ns = frames[n - 1].time_ns;
	ingress->queued |= n > 0;
	return n;
}

/* Frames may be queued on other ways than the one that the batch came by. */
static void flush_queued(struct engine *e)
{
	for (unsigned i = 0; i < e->ingress_count; i++) {
		struct ingress *ingress = &e->ingresses[i];

		if (ingress->queued)
			ingress->io->ops->flush(ingress->io);
		ingress->queued = false;
	}
}

int engine_poll(struct engine *e)
{
	int taken = 0, end = 0, resumed;

	for (unsigned i = 0; i < e->ingress_count; i++) {
		struct ingress *ingress = &e->ingresses[i];
		int n;

		if (!ingress->io)
			continue;
		if (ingress->due) {
			ingress->due -= ingress->due < e->last_turn ? ingress->due : e->last_turn;
			continue;
		}
		n = take_batch(e, ingress);
		ingress->due = n > 0 ? 0 : ingress->patience;
		if (n > 0)
			taken += n;
		else if (!i)
			end = n;
	}
	e->last_turn = (unsigned)taken + 1;
	resumed = resume(e);
	flush_queued(e);
	if (!taken)
		taken = end;
	return taken > 0 || !resumed ? taken : resumed;
}

void engine_look_everywhere(struct engine *e)
{
	for (unsigned i = 0; i < e->ingress_count; i++)
		e->ingresses[i].due = 0;
}

void engine_deliver(struct engine *e, unsigned n, const struct udpxdp_datagram *d)
{
	struct udpxdp_ctx ctx = ctx_of(e, n, d->path.ingress, d->time_ns);

	e->time_ns = d->time_ns;
	deliver(&ctx, d);
}

bool engine_is_busy(const struct engine *e, unsigned n)
{
	return e->resume >> n & 1;
}

void engine_set_clock(struct engine *e, uint64_t time_ns, uint64_t steady_ns)
{
	e->time_ns = time_ns;
	e->clock_real = time_ns;
	e->clock_steady = steady_ns;
}

void engine_tick(struct engine *e, uint64_t time_ns)
{
	e->time_ns = time_ns;
	for (unsigned n = 0; n < e->instance_count; n++) {
		struct udpxdp_ctx ctx = ctx_of(e, n, 0, time_ns);

		if (!ctx.instance->elsewhere && ctx.instance->service->tick)
			ctx.instance->service->tick(ctx.instance->state, &ctx, time_ns);
	}
}

void engine_flush(struct engine *e)
{
	for (unsigned i = 0; i < e->ingress_count; i++)
		e->ingresses[i].queued = e->ingresses[i].io;
	flush_queued(e);
}

void engine_set_hostname(struct engine *e, const char *hostname)
{
	e->hostname = hostname;
}

void engine_set_ingress_net(struct engine *e, unsigned ingress, const struct udpxdp_host *net)
{
	struct ingress *way = &e->ingresses[ingress];

	if (memcmp(way->mac, net->mac, sizeof(way->mac)))
		memcpy(way->mac_before, way->mac, sizeof(way->mac));
	memcpy(way->mac, net->mac, sizeof(way->mac));
	way->net = net;
}

void engine_set_net(struct engine *e, const struct udpxdp_host *net)
{
	for (unsigned i = 0; i < e->ingress_count; i++)
		engine_set_ingress_net(e, i, net);
}

uint64_t engine_verdict(const struct engine *e, enum frame_verdict verdict)
{
	return e->verdicts[verdict];
}
