/* SPDX-License-Identifier: MIT */
#include "cmd/bench/stamp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "udpxdp/packet.h"
#include "udpxdp/service.h"

#define NTP_EPOCH 2208988800u /* 1970 in the seconds of RFC 5905 */
#define SYNCHRONIZED 0x8000u
#define FORMAT_PTP 0x4000u            /* RFC 8186: seconds and nanoseconds */
#define ERROR_ESTIMATE (18u << 8 | 1) /* 2^-14 s: between reading the clock and sending */
#define EXTRA_PADDING 0xc0010000u     /* flags and type of the TLV (RFC 8972, 4.1) */

/* As on the wire (RFC 8762, 4.2.1 and 4.3.1, RFC 8972, 3). */
struct request {
	uint32_t number, time[2];
	uint16_t error, ssid;
	uint32_t zero[7];
};
struct answer {
	uint32_t number, sent[2];
	uint16_t error, ssid;
	uint32_t received[2], sender_number, sender_sent[2];
	uint16_t sender_error, zero;
	uint8_t sender_ttl, zeros[3];
};

_Static_assert(sizeof(struct request) == STAMP_BASE && sizeof(struct answer) == STAMP_BASE,
	"packets without holes");

int stamp_open(struct stamp_session *session, size_t size, size_t memory, uint32_t random)
{
	size_t slots = 4096;

	while (slots < memory)
		slots *= 2;
	*session = (struct stamp_session){
		.size = size, .ssid = (uint16_t)random, .mask = (uint32_t)slots - 1};
	session->first = random | 0x40000000; /* no reflector counts that far here */
	session->slots = calloc(slots, sizeof(*session->slots));
	return session->slots ? 0 : -1;
}

void stamp_close(struct stamp_session *session)
{
	free(session->slots);
	session->slots = NULL;
}

static struct stamp_slot *slot_of(const struct stamp_session *session, uint64_t packet)
{
	return &session->slots[packet & session->mask];
}

static void put_time(uint32_t time[2], uint64_t ns)
{
	time[0] = PACKET_BE32(ns / UDPXDP_NSEC_PER_SEC + NTP_EPOCH);
	time[1] = PACKET_BE32((ns % UDPXDP_NSEC_PER_SEC << 32) / UDPXDP_NSEC_PER_SEC);
}

/* How much later than at_ns a time is, in nanoseconds; they are less than 68 years apart. */
static int64_t behind(const uint32_t time[2], bool ptp, uint64_t at_ns)
{
	const uint32_t seconds = PACKET_BE32(time[0]) - (ptp ? 0 : NTP_EPOCH);
	const uint64_t fraction = PACKET_BE32(time[1]);
	const int64_t ns =
		(int64_t)(ptp ? fraction : (fraction * UDPXDP_NSEC_PER_SEC + (1u << 31)) >> 32);

	return (int64_t)(int32_t)(seconds - (uint32_t)(at_ns / UDPXDP_NSEC_PER_SEC)) *
		       (int64_t)UDPXDP_NSEC_PER_SEC +
	       ns - (int64_t)(at_ns % UDPXDP_NSEC_PER_SEC);
}

void stamp_compose(const struct stamp_session *session, uint64_t now_ns, bool clock_synchronized,
	uint8_t *packet)
{
	struct request request = {
		.number = PACKET_BE32(session->first + (uint32_t)session->sent),
		.error = PACKET_BE16(ERROR_ESTIMATE | (clock_synchronized ? SYNCHRONIZED : 0)),
		.ssid = session->ssid,
	};
	uint32_t padding;

	put_time(request.time, now_ns);
	memcpy(packet, &request, sizeof(request));
	if (session->size == STAMP_BASE)
		return;
	padding = PACKET_BE32(EXTRA_PADDING | (uint32_t)(session->size - STAMP_PADDED));
	memset(packet + STAMP_BASE, 0, session->size - STAMP_BASE);
	memcpy(packet + STAMP_BASE, &padding, sizeof(padding));
}

void stamp_sent(struct stamp_session *session, uint64_t now_ns)
{
	*slot_of(session, session->sent++) =
		(struct stamp_slot){.sent_ns = now_ns, .outstanding = true};
}

static void add_delay(struct stamp_delays *delays, int64_t ns)
{
	histogram_add(
		ns < 0 ? &delays->negative : &delays->positive, (uint64_t)(ns < 0 ? -ns : ns));
}

static void read_reflector(struct stamp_session *session, uint16_t error)
{
	session->synchronized = error & SYNCHRONIZED;
	session->error_s = ldexp(error & 0xff, (error >> 8 & 63) - 32);
}

/* What a stateful reflector's own number tells. */
static void count_reflected(struct stamp_session *session, uint64_t packet, uint32_t number)
{
	uint64_t reflected;

	/* It counts from 0; or the session is older than we are. */
	if (!session->received)
		session->base = number <= packet ? 0 : number - (uint32_t)packet;
	reflected = number - session->base;
	if (reflected < session->reflected_end) {
		session->reordered_back++;
		return;
	}
	session->reflected_end = reflected + 1;
	if (packet < session->latest)
		session->reordered_there++;
	else
		session->latest = packet;
}

static void book(struct stamp_session *session, const struct answer *a, uint64_t packet,
	struct stamp_slot *slot, uint64_t now_ns)
{
	const uint16_t error = PACKET_BE16(a->error);
	const uint32_t number = PACKET_BE32(a->number);
	const bool ptp = error & FORMAT_PTP;
	const int64_t there = behind(a->received, ptp, slot->sent_ns);
	const int64_t back = -behind(a->sent, ptp, now_ns);

	if (slot->answered) {
		if (number == slot->reflected || !session->stateful) {
			session->duplicate_back++;
			return;
		}
		session->duplicate_there++;
		if (number - session->base >= session->reflected_end)
			session->reflected_end = (uint64_t)(number - session->base) + 1;
		return;
	}
	session->stateful = number != PACKET_BE32(a->sender_number);
	read_reflector(session, error);
	if (session->stateful)
		count_reflected(session, packet, number);
	else if (packet + 1 < session->answered_end)
		session->reordered_back++; /* on whichever way */
	if (packet >= session->answered_end)
		session->answered_end = packet + 1;
	slot->answered = true;
	slot->outstanding = false;
	slot->reflected = number;
	session->received++;
	add_delay(&session->there, there);
	add_delay(&session->back, back);
	histogram_add(&session->round_trip, there + back > 0 ? (uint64_t)(there + back) : 0);
}

void stamp_answer(struct stamp_session *session, const uint8_t *answer, size_t len, uint64_t now_ns)
{
	struct answer a;
	uint32_t time[2];
	uint64_t packet;

	if (len != session->size) {
		session->wrong++;
		return;
	}
	memcpy(&a, answer, sizeof(a));
	packet = PACKET_BE32(a.sender_number) - session->first;
	packet |= session->sent & ~(uint64_t)UINT32_MAX;
	if (packet >= session->sent || a.ssid != session->ssid) {
		session->wrong++;
		return;
	}
	if (session->sent - packet > session->mask + 1ull) {
		session->late++;
		return;
	}
	put_time(time, slot_of(session, packet)->sent_ns);
	if (memcmp(time, a.sender_sent, sizeof(time)))
		session->wrong++;
	else
		book(session, &a, packet, slot_of(session, packet), now_ns);
}

bool stamp_waits(struct stamp_session *session, uint64_t since_ns)
{
	if (session->sent - session->oldest > session->mask + 1ull)
		session->oldest = session->sent - session->mask - 1;
	for (; session->oldest < session->sent; session->oldest++) {
		const struct stamp_slot *slot = slot_of(session, session->oldest);

		if (slot->outstanding && slot->sent_ns >= since_ns)
			return true;
	}
	return false;
}

struct stamp_losses stamp_losses(const struct stamp_session *session)
{
	const uint64_t lost = session->sent - session->received;
	struct stamp_losses losses = {.either = lost};
	uint64_t reflected = session->reflected_end - session->duplicate_there;

	if (!session->stateful)
		return losses;
	if (reflected < session->received)
		reflected = session->received;
	losses.back = reflected - session->received;
	losses.there = session->answered_end > reflected ? session->answered_end - reflected : 0;
	if (losses.back > lost)
		losses.back = lost;
	if (losses.there > lost - losses.back)
		losses.there = lost - losses.back;
	losses.either = lost - losses.there - losses.back;
	return losses;
}

int64_t stamp_percentile(const struct stamp_delays *delays, double percent)
{
	const uint64_t below = delays->negative.count, all = below + delays->positive.count;
	const double rank = percent / 100 * (double)all;

	if (rank <= (double)below && below)
		return -(int64_t)histogram_percentile(
			&delays->negative, 100 * ((double)below - rank + 1) / (double)below);
	return (int64_t)histogram_percentile(
		&delays->positive, 100 * (rank - (double)below) / (double)delays->positive.count);
}

int64_t stamp_min(const struct stamp_delays *delays)
{
	return delays->negative.count ? -(int64_t)delays->negative.max
				      : (int64_t)delays->positive.min;
}

int64_t stamp_max(const struct stamp_delays *delays)
{
	return delays->positive.count ? (int64_t)delays->positive.max
				      : -(int64_t)delays->negative.min;
}
