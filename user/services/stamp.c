/* SPDX-License-Identifier: MIT */
/*
 * A session reflector of STAMP (RFC 8762, unauthenticated) with RFC 8972's session identifier and
 * TLVs, of which Extra Padding is understood; senders of TWAMP Light (RFC 5357, appendix I) are
 * served as RFC 8762, 4.6 says. An answer is as long as its request, and never less than 44 bytes.
 */
#include "services/chat/siphash.h"
#include "services/repeats.h"

#define BASE_LEN 44             /* of a test packet of STAMP, either way */
#define REQUEST_MIN 14          /* TWAMP: sequence number, timestamp, error estimate */
#define LOWEST_CLIENT_PORT 1024 /* below it live reflectors, which might answer an answer */
#define NTP_EPOCH 2208988800u   /* 1970 in the seconds of RFC 5905 */
#define WAYS 8                  /* places where a session may be */
#define SETS(options) (((options)->sessions + WAYS - 1) / WAYS)
#define IDLE_NS (60 * UDPXDP_NSEC_PER_SEC) /* then another session may have its place */

/*
 * Both times are of when the kernel or this program took the request, not of the wire: behind one
 * lies the wait in the ring, before the other the rest of a batch of up to 64. 2^20 * 2^-32 s are
 * 244 us. The format is that of NTP (the Z bit is 0); the S bit is the host's word for its clock.
 */
#define ERROR_ESTIMATE (20u << 8 | 1)

/* A TLV: flags, type, length (RFC 8972, 4). */
#define TLV_HEADER 4
#define TLV_UNRECOGNIZED 0x80
#define TLV_MALFORMED 0x40
#define TLV_EXTRA_PADDING 1

enum { TOO_SHORT, SESSIONS_FULL }; /* in drops[] */

struct options {
	bool stateful;
	bool loops; /* allowed */
	uint32_t sessions;
};

struct session {
	uint64_t key[5];  /* ports, identifier, both addresses */
	uint64_t seen_ns; /* 0: free */
	uint32_t next;    /* sequence number of the next answer */
};

struct stamp {
	const struct options *options;
	struct udpxdp_seed seed;
	struct loops unknown;    /* with services that are no reflector */
	uint16_t error_estimate; /* as on the wire */
	uint8_t answer[UDPXDP_PAYLOAD_MAX];
	struct session sessions[];
};

static const struct udpxdp_option options[] = {
	{.name = "stateful",
		.kind = UDPXDP_OPTION_BOOL,
		.offset = offsetof(struct options, stateful),
		.fallback = "off",
		.help = "on: number the answers of each session, which shows on which way a "
			"packet was lost"},
	{.name = "sessions",
		.kind = UDPXDP_OPTION_UINT,
		.offset = offsetof(struct options, sessions),
		.min = 8,
		.max = 65536,
		.fallback = "1024",
		.help = "with stateful=on: so many at a time, for each worker"},
	{.name = "loops",
		.kind = UDPXDP_OPTION_BOOL,
		.offset = offsetof(struct options, loops),
		.fallback = "refuse",
		.help = "requests that may be answers themselves: refuse or allow them"},
	{},
};

static const struct udpxdp_reason drops[] = {
	{"too_short", "shorter than the 14 bytes of a test packet"},
	{"sessions_full", "as many sessions as there may be are under way"},
	{},
};

static size_t state_size(const void *o)
{
	const struct options *asked = o;
	const size_t sessions = asked->stateful ? SETS(asked) * (size_t)WAYS : 0;

	return sizeof(struct stamp) + sessions * sizeof(struct session);
}

static void start(void *state, const struct udpxdp_start *start)
{
	struct stamp *stamp = state;

	stamp->options = start->options;
	stamp->seed = start->seed;
	loops_start(&stamp->unknown, &start->seed);
	stamp->error_estimate = PACKET_BE16(ERROR_ESTIMATE | start->clock_synchronized << 15);
}

static void put_time(uint8_t *p, uint64_t time_ns)
{
	const uint32_t ntp[] = {PACKET_BE32(time_ns / UDPXDP_NSEC_PER_SEC + NTP_EPOCH),
		PACKET_BE32((time_ns % UDPXDP_NSEC_PER_SEC << 32) / UDPXDP_NSEC_PER_SEC)};

	memcpy(p, ntp, sizeof(ntp));
}

/* The session of a request, perhaps a new one; NULL: there is no room. */
static struct session *find_session(
	struct stamp *stamp, const struct udpxdp_datagram *d, uint32_t ssid)
{
	uint64_t key[5] = {(uint64_t)d->path.peer.port << 16 | ssid};
	struct session *set, *oldest;

	memcpy(key + 1, &d->path.peer.addr, 16);
	memcpy(key + 3, &d->path.local.addr, 16);
	set = oldest =
		&stamp->sessions[siphash(&stamp->seed, key, 5) % SETS(stamp->options) * WAYS];
	for (struct session *s = set; s < set + WAYS; s++) {
		if (s->seen_ns && !memcmp(s->key, key, sizeof(key)))
			return s;
		if (s->seen_ns < oldest->seen_ns)
			oldest = s;
	}
	if (oldest->seen_ns && (int64_t)(d->time_ns - oldest->seen_ns) < (int64_t)IDLE_NS)
		return NULL;
	oldest->next = 0;
	memcpy(oldest->key, key, sizeof(key));
	return oldest;
}

/* Says of each TLV whether it was understood. Type 0 without a flag is no TLV: the padding of a
 * sender of TWAMP Light, which goes back as it came. */
static void judge_tlvs(uint8_t *p, const uint8_t *end)
{
	while (end - p >= TLV_HEADER && (p[0] || p[1])) {
		const long len = TLV_HEADER + (p[2] << 8 | p[3]);

		p[0] = p[1] == TLV_EXTRA_PADDING ? 0 : TLV_UNRECOGNIZED;
		if (len > end - p) {
			p[0] |= TLV_MALFORMED;
			return;
		}
		p += len;
	}
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return PACKET_BE32(value);
}

/* A reflector's packet, perhaps our own sent back: it says when the request came, just before it
 * was answered. Where that stands in answers, requests have zeros or padding. */
static bool is_answer(const struct udpxdp_datagram *d)
{
	const uint8_t *p = d->payload;

	return d->len >= BASE_LEN && get32(p + 16) && get32(p + 4) - get32(p + 16) <= 1 && !p[38] &&
	       !p[39];
}

static bool could_loop(const struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	uint16_t port = d->path.peer.port;

	return port < LOWEST_CLIENT_PORT || udpxdp_serves(ctx, port) || is_answer(d) ||
	       udpxdp_stamp_starts(d->payload, d->len);
}

static void receive(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	struct stamp *stamp = state;
	struct udpxdp_path path = d->path;
	struct session *session = NULL;
	uint8_t *answer = stamp->answer;
	uint32_t number;

	if (d->len < REQUEST_MIN) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_OWN + TOO_SHORT);
		return;
	}
	if (!stamp->options->loops && could_loop(ctx, d)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_loop);
		return;
	}
	if (!stamp->options->loops && loops_end(&stamp->unknown, d)) {
		udpxdp_count_drop(ctx, UDPXDP_DROP_repeated);
		return;
	}
	memset(answer, 0, BASE_LEN);
	memcpy(answer, d->payload, d->len < 16 ? REQUEST_MIN : 16); /* with the identifier */
	memcpy(answer + 24, d->payload, REQUEST_MIN); /* the sender's number, time and error */
	if (stamp->options->stateful) {
		session = find_session(stamp, d, (uint32_t)answer[14] << 8 | answer[15]);
		if (!session) {
			udpxdp_count_drop(ctx, UDPXDP_DROP_OWN + SESSIONS_FULL);
			return;
		}
		session->seen_ns = d->time_ns | 1;
		number = PACKET_BE32(session->next);
		memcpy(answer, &number, sizeof(number));
	}
	put_time(answer + 4, d->taken_ns);
	memcpy(answer + 12, &stamp->error_estimate, 2);
	put_time(answer + 16, d->time_ns);
	answer[40] = d->ttl;
	if (d->len > BASE_LEN) {
		memcpy(answer + BASE_LEN, d->payload + BASE_LEN, d->len - BASE_LEN);
		judge_tlvs(answer + BASE_LEN, answer + d->len);
	}
	path.ttl = 255;           /* RFC 5357, 4.2.1 */
	path.tos = d->tos & 0xfc; /* the DSCP; the rest is ECN (RFC 3168) */
	if (udpxdp_send(ctx, &path, answer, d->len > BASE_LEN ? d->len : BASE_LEN) && session)
		session->next++;
}

const struct udpxdp_service stamp_service = {
	.version = UDPXDP_SERVICE_VERSION,
	.name = "stamp",
	.port = 862,
	.options = options,
	.drops = drops,
	.state_size = state_size,
	.start = start,
	.receive = receive,
};
