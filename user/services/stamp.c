/* SPDX-License-Identifier: MIT */
/*
 * A session reflector of STAMP (RFC 8762, unauthenticated; of RFC 8972 the session identifier and
 * Extra Padding), also for senders of TWAMP Light (RFC 5357, appendix I; RFC 8762, 4.6). An answer
 * is as long as its request, and never less than 44 bytes.
 */
#include "services/chat/siphash.h"
#include "services/loops.h"

#define BASE_LEN 44           /* of a test packet of STAMP, either way */
#define REQUEST_MIN 14        /* TWAMP: sequence number, timestamp, error estimate */
#define NTP_EPOCH 2208988800u /* 1970 in the seconds of RFC 5905 */
#define WAYS 8                /* places where a session may be */
#define SETS(options) (((options)->sessions + WAYS - 1) / WAYS)
#define IDLE_NS (60 * UDPXDP_NSEC_PER_SEC) /* then another session may have its place */

/*
 * Both times are of when the kernel or this program took the request: behind one lies the wait in
 * the ring, before the other the rest of a batch. 2^20 * 2^-32 s are 244 us. The format is NTP's (Z
 * bit 0); the S bit is the host's word for its clock.
 */
#define ERROR_ESTIMATE (20u << 8 | 1)

/* A TLV: flags, type, length (RFC 8972, 4). */
#define TLV_HEADER 4
#define TLV_UNRECOGNIZED 0x80
#define TLV_MALFORMED 0x40
#define TLV_EXTRA_PADDING 1

enum { TOO_SHORT, SESSIONS_FULL }; /* in drops[] */

struct options {
	bool stateful, loops; /* loops: allowed */
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
	struct loops chains;     /* of the same payload */
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

	return sizeof(struct stamp) + asked->stateful * SETS(asked) * WAYS * sizeof(struct session);
}

static void start(void *state, const struct udpxdp_start *start)
{
	struct stamp *stamp = state;

	stamp->options = start->options;
	stamp->seed = start->seed;
	loops_start(&stamp->chains, &start->seed);
	stamp->error_estimate = PACKET_BE16(ERROR_ESTIMATE | start->clock_synchronized << 15);
}

static void put_time(uint8_t *p, uint64_t time_ns)
{
	const uint32_t ntp[] = {PACKET_BE32(time_ns / UDPXDP_NSEC_PER_SEC + NTP_EPOCH),
		PACKET_BE32((time_ns % UDPXDP_NSEC_PER_SEC << 32) / UDPXDP_NSEC_PER_SEC)};

	memcpy(p, ntp, sizeof(ntp));
}

/* The session of a request, perhaps a new one; NULL: there is no room. */
static struct session *find_session(struct stamp *stamp, const struct udpxdp_datagram *d)
{
	const uint32_t ssid = d->len < 16 ? 0 : (uint32_t)d->payload[14] << 8 | d->payload[15];
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
static void judge_tlvs(uint8_t *p, size_t end)
{
	for (size_t at = BASE_LEN, len; at + TLV_HEADER <= end && (p[at] || p[at + 1]); at += len) {
		len = TLV_HEADER + (p[at + 2] << 8 | p[at + 3]);
		p[at] = p[at + 1] == TLV_EXTRA_PADDING ? 0 : TLV_UNRECOGNIZED;
		p[at] |= len > end - at ? TLV_MALFORMED : 0;
	}
}

static unsigned refuse(
	struct stamp *stamp, const struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	const uint8_t *p = d->payload;

	if (d->len < REQUEST_MIN)
		return UDPXDP_DROP_OWN + TOO_SHORT;
	if (stamp->options->loops)
		return UDPXDP_DROP_NONE;
	/* A reflector's, perhaps our own sent back: it left within 256 seconds of its request. */
	if (d->len >= BASE_LEN && (p[16] | p[17]) && !(p[38] | p[39]) && !memcmp(p + 4, p + 16, 3))
		return UDPXDP_DROP_loop;
	return loops_refuse(&stamp->chains, ctx, d);
}

static void receive(void *state, struct udpxdp_ctx *ctx, const struct udpxdp_datagram *d)
{
	struct stamp *stamp = state;
	struct udpxdp_path path = d->path;
	struct session *session = NULL;
	uint8_t *answer = stamp->answer;
	unsigned drop = refuse(stamp, ctx, d);

	if (drop == UDPXDP_DROP_NONE && stamp->options->stateful &&
		!(session = find_session(stamp, d)))
		drop = UDPXDP_DROP_OWN + SESSIONS_FULL;
	if (drop != UDPXDP_DROP_NONE) {
		udpxdp_count_drop(ctx, drop);
		return;
	}
	memset(answer, 0, BASE_LEN);
	memcpy(answer, d->payload, d->len < 16 ? REQUEST_MIN : 16); /* with the identifier */
	memcpy(answer + 24, d->payload, REQUEST_MIN); /* the sender's number, time and error */
	if (session) {
		session->seen_ns = d->time_ns | 1;
		memcpy(answer, &(uint32_t){PACKET_BE32(session->next)}, sizeof(uint32_t));
	}
	put_time(answer + 4, d->taken_ns);
	memcpy(answer + 12, &stamp->error_estimate, 2);
	put_time(answer + 16, d->time_ns);
	answer[40] = d->ttl;
	if (d->len > BASE_LEN)
		memcpy(answer + BASE_LEN, d->payload + BASE_LEN, d->len - BASE_LEN);
	judge_tlvs(answer, d->len);
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
