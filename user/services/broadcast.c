/* SPDX-License-Identifier: MIT */
/*
 * Announcements on the local network: 【ctime】text to everybody, once, and the replies to it.
 *
 * What arrives by broadcast is somebody's announcement and is answered by unicast; what arrives
 * by unicast is a reply and never is. So no two nodes can answer each other's answers.
 *
 * With other hosts: what a console says here is announced on their segments, too, and the replies
 * there come to the consoles here. What comes from a segment by broadcast goes to no other host,
 * and what comes from a host only to this one's segments and consoles, so nothing can go round.
 */
#include "services/budget.h"
#include "udpxdp/service.h"

#define ASKERS 8 /* hosts whose announcements may have replies, at a time */
#define ASKER_NS (10 * UDPXDP_NSEC_PER_SEC) /* they are waited for */
#define REPLIES_MAX 1024                    /* to one announcement, from here */
#define ROOM_ANNOUNCEMENTS 10               /* of all other hosts, a second */
#define ROOM_REPLIES 1000
#define HEARD 16 /* announcements that are remembered */
#define HEARD_NS (5 * UDPXDP_NSEC_PER_SEC)
#define TOKEN_LEN 16

struct options {
	bool answer;
};

/* Another host's console that waits for replies from here. */
struct asker {
	uint64_t until_ns; /* of the steady clock */
	uint32_t left, len;
	char token[UDPXDP_ROOM_NAME_MAX];
};

/* An announcement that stood on a segment of ours already, by somebody else. */
struct heard {
	uint64_t until_ns; /* of the steady clock */
	uint64_t hash;
};

struct broadcast {
	const struct options *options;
	uint16_t port;
	/* The room. An announcement is said by "?" and this token, which its replies have. */
	char token[TOKEN_LEN];
	struct asker askers[ASKERS];
	struct heard heard[HEARD];
	unsigned heard_next;
	struct budget announcements, replies;
	uint8_t reply[UDPXDP_ROOM_HOST_MAX + 2 + UDPXDP_ROOM_TEXT_MAX];
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
	for (unsigned i = 0; i < TOKEN_LEN; i++)
		broadcast->token[i] = "0123456789abcdef"[start->seed.key[0] >> 4 * i & 15];
}

/* Puts text, cut to what can be sent at all, behind the stamp. Returns the payload's length. */
static size_t compose(struct broadcast *broadcast, uint64_t time_ns, const void *text, size_t len)
{
	if (time_ns / UDPXDP_NSEC_PER_SEC != broadcast->second) {
		broadcast->stamp_len = udpxdp_stamp_format(broadcast->payload, time_ns);
		broadcast->second = time_ns / UDPXDP_NSEC_PER_SEC;
	}
	if (len > UDPXDP_PAYLOAD_MAX)
		len = UDPXDP_PAYLOAD_MAX;
	if (len)
		memcpy(broadcast->payload + broadcast->stamp_len, text, len);
	return broadcast->stamp_len + len;
}

/* ---- the other hosts ------------------------------------------------------------------------- */

/* Of an announcement on a segment (FNV-1a): what was said, and where it was heard. */
static uint64_t hash_of(const struct udpxdp_host *net, const uint8_t *text, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325u ^ net->ingress;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ text[i]) * 0x100000001b3u;
	return hash;
}

/* Somebody announces here: another host need not have us do it once more. */
static void remember(
	struct broadcast *broadcast, struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	const size_t stamp = udpxdp_stamp_starts(d->payload, d->len) ? UDPXDP_STAMP_LEN : 0;

	broadcast->heard[broadcast->heard_next++ % HEARD] =
		(struct heard){.until_ns = udpxdp_steady(ctx) + HEARD_NS,
			.hash = hash_of(udpxdp_host(ctx), d->payload + stamp, d->len - stamp)};
}

static bool was_heard(const struct broadcast *broadcast, struct udpxdp_ctx *ctx,
	const struct udpxdp_room_event *event)
{
	const uint64_t hash = hash_of(udpxdp_host(ctx), event->text, event->len);
	const uint64_t now = udpxdp_steady(ctx);

	for (unsigned i = 0; i < HEARD; i++)
		if (broadcast->heard[i].hash == hash && now < broadcast->heard[i].until_ns)
			return true;
	return false;
}

/* Tells them of something said here, in front of which stands a mark and a token. */
static void tell(struct udpxdp_ctx *ctx, const struct udpxdp_message *message, const char *mark,
	const char *token, uint32_t token_len)
{
	struct udpxdp_room_event event = {.kind = UDPXDP_ROOM_SAY,
		.time_ns = message->time_ns,
		.addr = message->addr,
		.port = message->port,
		.text = message->text,
		.len = message->len};

	if (!message->len || message->len > UDPXDP_ROOM_TEXT_MAX)
		return;
	event.name_len = (uint32_t)strlen(mark);
	memcpy(event.name, mark, event.name_len);
	memcpy(event.name + event.name_len, token, token_len);
	event.name_len += token_len;
	udpxdp_publish(ctx, &event);
}

/* Somebody here replies: to whom, of those who have asked, nobody knows. */
static void pass_reply(
	struct broadcast *broadcast, struct udpxdp_ctx *ctx, const struct udpxdp_message *message)
{
	const uint64_t now = udpxdp_steady(ctx);

	for (unsigned i = 0; i < ASKERS; i++) {
		struct asker *asker = &broadcast->askers[i];

		if (!asker->left || now >= asker->until_ns)
			continue;
		asker->left--;
		tell(ctx, message, "", asker->token, asker->len);
	}
}

/* Its replies are passed on for a while; of too many, the one that has waited longest gets no more.
 */
static void add_asker(
	struct broadcast *broadcast, struct udpxdp_ctx *ctx, const struct udpxdp_room_event *event)
{
	const char *token = event->name + 1;
	const uint32_t len = event->name_len - 1;
	struct asker *asker = &broadcast->askers[0];

	for (unsigned i = 0; i < ASKERS; i++) {
		struct asker *other = &broadcast->askers[i];

		if (other->len == len && !memcmp(other->token, token, len)) {
			asker = other;
			break;
		}
		if (other->until_ns < asker->until_ns)
			asker = other;
	}
	*asker = (struct asker){
		.until_ns = udpxdp_steady(ctx) + ASKER_NS, .left = REPLIES_MAX, .len = len};
	memcpy(asker->token, token, len);
}

/* A reply at another host, shown with that host's name. */
static void show_reply(
	struct broadcast *broadcast, struct udpxdp_ctx *ctx, const struct udpxdp_room_event *event)
{
	struct udpxdp_message message = {.time_ns = event->time_ns,
		.direction = UDPXDP_RECEIVED,
		.addr = event->addr,
		.port = event->port,
		.text = broadcast->reply};

	memcpy(broadcast->reply, event->host, event->host_len);
	memcpy(broadcast->reply + event->host_len, ": ", 2);
	memcpy(broadcast->reply + event->host_len + 2, event->text, event->len);
	message.len = event->host_len + 2 + event->len;
	udpxdp_print(ctx, &message);
	udpxdp_notify(ctx, &message);
}

/* ---- the segment -------------------------------------------------------------------------------
 */

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
	const struct udpxdp_message message = udpxdp_message_of(d);

	udpxdp_print(ctx, &message);
	udpxdp_notify(ctx, &message);
	if (d->broadcast)
		remember(broadcast, ctx, d);
	else
		pass_reply(broadcast, ctx, &message);
	if (d->broadcast && broadcast->options->answer)
		answer(broadcast, ctx, d);
}

static struct udpxdp_path to_everybody(const struct udpxdp_host *net, uint16_t port)
{
	struct udpxdp_path path = {
		.local = {.addr = net->ipv4, .port = port},
		.peer = {.addr = udpxdp_addr_ipv4(255, 255, 255, 255), .port = port},
		.ingress = net->ingress,
		.ttl = 1,
		.proven = true, /* it is we who begin */
	};

	memcpy(path.local.mac, net->mac, sizeof(path.local.mac));
	memset(path.peer.mac, 0xff, sizeof(path.peer.mac));
	return path;
}

/* Announces on the segment of this call. Returns NULL, or why that cannot be. */
static const char *announce(struct broadcast *broadcast, struct udpxdp_ctx *ctx, uint64_t time_ns,
	const uint8_t *text, size_t len)
{
	const struct udpxdp_path path = to_everybody(udpxdp_host(ctx), broadcast->port);
	struct udpxdp_message message = {
		.time_ns = time_ns,
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
	message.len = (uint32_t)compose(broadcast, time_ns, text, len);
	if (!udpxdp_send(ctx, &path, broadcast->payload, message.len))
		return message.len > udpxdp_send_max(ctx, &path)
			       ? "the text does not fit the interface's MTU; shorten it"
			       : "no transmit frame is free; try again";
	udpxdp_print(ctx, &message);
	return NULL;
}

static const char *command(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_command *c)
{
	struct broadcast *broadcast = state;
	const struct udpxdp_host *net = udpxdp_host(ctx);
	const struct udpxdp_message said = {.time_ns = c->time_ns,
		.addr = net->ipv4,
		.port = broadcast->port,
		.text = c->text,
		.len = c->len};

	if (!net->ingress) /* once, whatever the number of interfaces */
		tell(ctx, &said, "?", broadcast->token, TOKEN_LEN);
	return announce(broadcast, ctx, c->time_ns, c->text, c->len);
}

/* A host that floods gets as far as the budget. */
static bool afford(struct udpxdp_ctx *ctx, struct budget *budget, uint64_t rate)
{
	const uint64_t now = udpxdp_steady(ctx);

	if (!budget_has(budget, now, 1, rate)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_over_budget);
		return false;
	}
	budget_take(budget, now, 1, rate);
	return true;
}

/* What was missed is of no interest later, nor who is there. */
static void room(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_room_event *event)
{
	struct broadcast *broadcast = state;

	if (event->kind != UDPXDP_ROOM_SAY || !event->show)
		return;
	if (event->name[0] == '?' && event->name_len > 1) {
		if (was_heard(broadcast, ctx, event) ||
			!afford(ctx, &broadcast->announcements, ROOM_ANNOUNCEMENTS))
			return;
		if (!announce(broadcast, ctx, event->time_ns, event->text, event->len))
			add_asker(broadcast, ctx, event);
	} else if (!udpxdp_host(ctx)->ingress && event->name_len == TOKEN_LEN &&
		   !memcmp(event->name, broadcast->token, TOKEN_LEN) &&
		   afford(ctx, &broadcast->replies, ROOM_REPLIES)) {
		show_reply(broadcast, ctx, event);
	}
}

const struct udpxdp_service broadcast_service = {
	.version = UDPXDP_SERVICE_VERSION,
	.name = "broadcast",
	.port = 8086,
	.single = true,
	.wants_broadcast = true,
	.options = options,
	.state_size = state_size,
	.start = start,
	.receive = receive,
	.command = command,
	.room = room,
};
