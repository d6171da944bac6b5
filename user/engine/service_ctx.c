/* SPDX-License-Identifier: MIT */
/* What a service may call: see service.h. */
#include "base/headers.h"
#include "base/checksum.h"
#include "engine/internal.h"

#define IPV6_MTU_MIN 1280

_Static_assert(sizeof(((struct udpxdp_prefix *)0)->text) <= FRAME_HEADROOM,
	"an answer in place grows into the headroom");

void udpxdp_count_drop(struct udpxdp_ctx *ctx, enum udpxdp_drop reason)
{
	struct service_counters *counters = ctx->counters;

	if (reason < UDPXDP_DROP_COUNT)
		counters->drops[reason]++;
	else if (reason - UDPXDP_DROP_OWN < UDPXDP_OWN_DROPS)
		counters->own[reason - UDPXDP_DROP_OWN].count++;
}

static void count_sent(struct udpxdp_ctx *ctx, uint32_t len)
{
	ctx->counters->tx++;
	ctx->counters->tx_bytes += len;
}

/* ---- the way out ---------------------------------------------------------------------- */

static struct ingress *ingress_of(const struct udpxdp_ctx *ctx, const struct udpxdp_path *path)
{
	return &ctx->engine->ingresses[path->ingress];
}

/* May what does not fit this path leave by a socket of the kernel? One of the service's port is
 * bound to the interface, not to a VLAN on it. */
static bool has_kernel_way(const struct udpxdp_ctx *ctx, const struct udpxdp_path *path)
{
	const struct ingress *kernel = ctx->engine->kernel;

	return kernel && !path->tag_count && kernel->services >> ctx->instance->number & 1;
}

size_t udpxdp_send_max(const struct udpxdp_ctx *ctx, const struct udpxdp_path *path)
{
	const size_t fits = ingress_of(ctx, path)->net->mtu - ip_udp_len(path);

	return fits < UDPXDP_PAYLOAD_MAX && !has_kernel_way(ctx, path) ? fits : UDPXDP_PAYLOAD_MAX;
}

/*
 * Does so much payload fit the path as it is? Over IPv6 nobody but the sender fragments, so what
 * every link takes (RFC 8200, 5) needs no thought; what is longer is for who knows the path's MTU,
 * unless it ends on this link.
 */
static inline bool fits(const struct udpxdp_ctx *ctx, const struct udpxdp_path *path, size_t len)
{
	const struct ingress *way = ingress_of(ctx, path);
	const size_t size = len + ip_udp_len(path);

	if (size > way->net->mtu || len > UDPXDP_PAYLOAD_MAX)
		return false;
	return size <= IPV6_MTU_MIN || udpxdp_addr_is_ipv4(&path->peer.addr) ||
	       way == ctx->engine->kernel || !has_kernel_way(ctx, path) ||
	       udpxdp_host_on_link(way->net, &path->peer.addr);
}

/* The same peer, reached by the kernel's sockets on the path's interface. */
static void turn_to_kernel(
	const struct udpxdp_ctx *ctx, struct udpxdp_path *to, const struct udpxdp_path *path)
{
	const struct engine *e = ctx->engine;

	*to = *path;
	frame_mac_of_ifindex(to->peer.mac, ingress_of(ctx, path)->net->ifindex);
	to->ingress = e->kernel - e->ingresses;
}

static void write_headers(struct engine *e, uint8_t *start, const struct udpxdp_path *path,
	uint32_t len, uint32_t payload_sum)
{
	headers_write(start, path, len, payload_sum);
	if (headers_may_be_fragmented(path, len))
		headers_allow_fragments(start, path, ++e->ipv4_id);
}

/*
 * May so much payload go to this peer? Counts it when it may not. What is proven costs no look at
 * the account, and a neighbour of which the service does not know needs none.
 */
static bool affordable(struct udpxdp_ctx *ctx, const struct udpxdp_path *path, size_t len)
{
	struct engine *e = ctx->engine;

	if (path->proven)
		return true;
	engine_settle(ctx);
	if (accounts_spend(&e->accounts, &path->peer.addr, (uint32_t)(ip_udp_len(path) + len)) ||
		engine_proves(e, path))
		return true;
	udpxdp_count_drop(ctx, UDPXDP_DROP_amplification);
	return false;
}

/* The same for a reply in place, which as a rule spends what came with the request. */
static bool reply_affordable(struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d, size_t len)
{
	const uint32_t headers = ip_udp_len(&d->path);

	if (ctx->settled || headers + len > ACCOUNT_FACTOR * (headers + (size_t)d->len))
		return affordable(ctx, &d->path, len);
	ctx->settled = true;
	return true;
}

/* Sends prefix (NULL: nothing) and len bytes of payload, whose sum is payload_sum, by a copy. */
static bool send_copy(struct udpxdp_ctx *ctx, const struct udpxdp_path *path,
	const struct udpxdp_prefix *prefix, const void *payload, uint32_t len, uint32_t payload_sum)
{
	struct ingress *way = ingress_of(ctx, path);
	struct frame_io *io = way->io;
	struct frame frame;
	uint8_t *to;

	if (!io->ops->allocate(io, &frame)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_no_tx_frame);
		return false;
	}
	way->queued = true;
	to = frame.data + headers_len(path);
	if (prefix) {
		memcpy(to, prefix->text + sizeof(prefix->text) - prefix->len, prefix->len);
		to += prefix->len;
		payload_sum = prefix->sum + checksum_behind(prefix->len, payload_sum);
	}
	memcpy(to, payload, len);
	frame.len = to + len - frame.data;
	len = frame.len - headers_len(path);
	write_headers(ctx->engine, frame.data, path, len, payload_sum);
	frame.time_ns = ctx->time_ns;
	io->ops->send(io, &frame);
	count_sent(ctx, len);
	return true;
}

/* The same along whichever way takes it. */
static bool send_somehow(struct udpxdp_ctx *ctx, const struct udpxdp_path *path,
	const struct udpxdp_prefix *prefix, const void *payload, size_t len, uint32_t payload_sum)
{
	const size_t total = len + (prefix ? prefix->len : 0);
	const bool as_it_is = fits(ctx, path, total);
	struct udpxdp_path by_kernel;

	if (!as_it_is && (total > UDPXDP_PAYLOAD_MAX || !has_kernel_way(ctx, path))) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_reply_too_big);
		return false;
	}
	if (!affordable(ctx, path, total))
		return false;
	if (as_it_is)
		return send_copy(ctx, path, prefix, payload, len, payload_sum);
	turn_to_kernel(ctx, &by_kernel, path);
	return send_copy(ctx, &by_kernel, prefix, payload, len, payload_sum);
}

bool udpxdp_send(
	struct udpxdp_ctx *ctx, const struct udpxdp_path *path, const void *payload, size_t len)
{
	return send_somehow(ctx, path, NULL, payload, len,
		len <= UDPXDP_PAYLOAD_MAX ? checksum_sum(payload, len) : 0);
}

bool udpxdp_forward(struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d,
	const struct udpxdp_path *path, const struct udpxdp_prefix *prefix)
{
	return send_somehow(ctx, path, prefix, d->payload, d->len, d->payload_sum);
}

bool udpxdp_reply(
	struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d, const struct udpxdp_prefix *prefix)
{
	struct frame_io *io = ctx->ingress->io;
	struct frame *frame = ctx->frame;
	uint8_t *payload = (uint8_t *)d->payload, *start;
	uint32_t len = d->len, sum = d->payload_sum;

	if (prefix) {
		len += prefix->len;
		sum = prefix->sum + checksum_behind(prefix->len, sum);
	}
	if (!frame || !fits(ctx, &d->path, len))
		return udpxdp_forward(ctx, d, &d->path, prefix);
	if (!reply_affordable(ctx, d, len))
		return false;
	if (prefix) {
		/* A fixed length costs no call; what it spoils is written anew below. */
		memcpy(payload - sizeof(prefix->text), prefix->text, sizeof(prefix->text));
		payload -= prefix->len;
	}
	start = payload - headers_len(&d->path);
	write_headers(ctx->engine, start, &d->path, len, sum);
	frame->len = payload + len - start;
	frame->data = start;
	if (!io->ops->send(io, frame)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_no_tx_frame);
		return false;
	}
	ctx->frame = NULL;
	count_sent(ctx, len);
	return true;
}

bool udpxdp_prints(const struct udpxdp_ctx *ctx)
{
	return ctx->engine->sinks.print;
}

/* Hands a message to a sink, if there is one; counts it when the sink lets it go. */
static void hand_on(struct udpxdp_ctx *ctx, engine_sink *sink, enum udpxdp_drop lost,
	const struct udpxdp_message *message)
{
	const struct engine *e = ctx->engine;

	if (sink && !sink(e->sinks.context, ctx->instance->number, message))
		udpxdp_count_drop(ctx, lost);
}

void udpxdp_print(struct udpxdp_ctx *ctx, const struct udpxdp_message *message)
{
	hand_on(ctx, ctx->engine->sinks.print, UDPXDP_DROP_print_lost, message);
}

void udpxdp_record(struct udpxdp_ctx *ctx, const struct udpxdp_message *message)
{
	hand_on(ctx, ctx->engine->sinks.record, UDPXDP_DROP_history_lost, message);
}

void udpxdp_notify(struct udpxdp_ctx *ctx, const struct udpxdp_message *message)
{
	hand_on(ctx, ctx->engine->sinks.notify, UDPXDP_DROP_console_lost, message);
}

bool udpxdp_publish(struct udpxdp_ctx *ctx, const struct udpxdp_room_event *event)
{
	const struct engine *e = ctx->engine;

	if (!e->sinks.publish ||
		e->sinks.publish(e->sinks.context, ctx->instance - e->instances, event))
		return true;
	udpxdp_count_drop(ctx, UDPXDP_DROP_room_lost);
	return false;
}

const struct udpxdp_host *udpxdp_host(const struct udpxdp_ctx *ctx)
{
	return ctx->ingress->net;
}

bool udpxdp_serves(const struct udpxdp_ctx *ctx, uint16_t port)
{
	return ctx->engine->dispatch[port];
}

const char *udpxdp_ingress_name(const struct udpxdp_ctx *ctx, const struct udpxdp_path *path)
{
	const char *name = ingress_of(ctx, path)->name;

	return name ? name : "";
}

uint32_t udpxdp_link(const struct udpxdp_ctx *ctx, const struct udpxdp_path *path)
{
	const struct ingress *way = ingress_of(ctx, path);

	return way->neighbours ? way->net->ifindex : frame_ifindex_of_mac(path->peer.mac);
}

uint64_t udpxdp_steady(const struct udpxdp_ctx *ctx)
{
	return engine_steady(ctx->engine, ctx->time_ns);
}

void udpxdp_resume_later(struct udpxdp_ctx *ctx)
{
	struct engine *e = ctx->engine;

	if (ctx->instance->service->resume)
		e->resume |= 1u << ctx->instance->number;
}

/*
 * Who is spoken to without having spoken is looked at now and then, and at once when nothing is
 * known of it: the kernel sees none of the traffic. Who speaks, only if it came by a router that is
 * not the one towards it: perhaps that has changed.
 */
static void refresh_peer(const struct udpxdp_ctx *ctx, struct udpxdp_path *path)
{
	uint8_t mac[6];
	const enum neighbour_state state = engine_neighbour(ctx->engine, path, mac);
	const bool moved = state >= NEIGHBOUR_FOUND && memcmp(path->peer.mac, mac, sizeof(mac));

	if (moved)
		memcpy(path->peer.mac, mac, sizeof(mac));
	if (!ctx->received)
		waiting_follow(ctx->engine, path, state == NEIGHBOUR_UNKNOWN);
	else if (moved && state == NEIGHBOUR_BEYOND)
		waiting_follow(ctx->engine, path, true);
}

bool udpxdp_refresh(const struct udpxdp_ctx *ctx, struct udpxdp_path *path)
{
	const struct engine *e = ctx->engine;
	const struct ingress *way = ingress_of(ctx, path);
	const struct udpxdp_addr *own = &path->local.addr;

	if (way->net->any_unicast)
		return true;
	if (udpxdp_host_kind(way->net, own) != UDPXDP_LOCAL_UNICAST && !is_loopback(own)) {
		own = udpxdp_host_addr_on_subnet_of(way->net, &path->peer.addr);
		if (!own)
			return false;
		path->local.addr = *own;
	}
	if (way == e->kernel)
		return true; /* which finds the way itself */
	if (!memcmp(path->local.mac, way->mac_before, sizeof(way->mac)))
		memcpy(path->local.mac, way->mac, sizeof(way->mac));
	refresh_peer(ctx, path);
	return true;
}

const char *udpxdp_hostname(const struct udpxdp_ctx *ctx)
{
	return ctx->engine->hostname;
}
