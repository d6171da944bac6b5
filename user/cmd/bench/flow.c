/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "cmd/bench/flow.h"

#define MAGIC 0x55584231u /* "UXB1" */

/* What a request begins with; it goes out and comes back on the same machine. */
struct header {
	uint32_t magic;
	uint32_t flow;
	uint64_t sequence;
	uint64_t time_ns;
};

_Static_assert(sizeof(struct header) == REQUEST_MIN, "a header without holes");

enum { SLOT_UNUSED, SLOT_OUTSTANDING, SLOT_ANSWERED, SLOT_GIVEN_UP };

/*
 * The rest of a request is a cut from this table that begins elsewhere for each sequence number,
 * so that parts of two requests are not taken for each other, and writing and checking it are a
 * memcpy and a memcmp.
 */
#define PATTERN_STARTS 4096
static uint8_t pattern[PATTERN_STARTS + REQUEST_MAX];

static void fill_pattern(void)
{
	uint64_t x = 0x9e3779b97f4a7c15u;

	for (size_t i = 0; i < sizeof(pattern); i++) { /* xorshift64 */
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		pattern[i] = (uint8_t)(x >> 32);
	}
}

static const uint8_t *pattern_for(uint64_t sequence)
{
	return pattern + sequence % PATTERN_STARTS;
}

int flow_open(struct flow *flow, struct tally *tally, uint32_t id, size_t size, size_t memory)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uint64_t slots = 64;

	pthread_once(&once, fill_pattern);
	while (slots < memory)
		slots *= 2;
	*flow = (struct flow){.tally = tally, .id = id, .size = size, .mask = slots - 1};
	/* Populated, so that the run takes no page faults. */
	flow->slots = mmap(NULL, slots * sizeof(*flow->slots), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (flow->slots != MAP_FAILED)
		return 0;
	flow->slots = NULL;
	return -1;
}

void flow_close(struct flow *flow)
{
	if (flow->slots)
		munmap(flow->slots, (flow->mask + 1) * sizeof(*flow->slots));
	flow->slots = NULL;
}

static struct slot *slot_of(const struct flow *flow, uint64_t sequence)
{
	return &flow->slots[sequence & flow->mask];
}

/* No request is remembered longer than there are slots. */
static void forget_oldest(struct flow *flow)
{
	if (flow->next - flow->oldest > flow->mask + 1)
		flow->oldest = flow->next - flow->mask - 1;
}

void flow_compose(const struct flow *flow, uint64_t ahead, uint64_t time_ns, uint8_t *request)
{
	struct header header = {MAGIC, flow->id, flow->next + ahead, time_ns};

	if (flow->payload) {
		memcpy(request, flow->payload, flow->size);
		return;
	}
	memcpy(request, &header, sizeof(header));
	memcpy(request + sizeof(header), pattern_for(header.sequence), flow->size - sizeof(header));
}

void flow_sent(struct flow *flow, uint64_t time_ns)
{
	struct slot *slot = slot_of(flow, flow->next);

	if (slot->state == SLOT_OUTSTANDING) {
		flow->outstanding--;
		flow->given_up++;
	}
	*slot = (struct slot){.time_ns = time_ns, .state = SLOT_OUTSTANDING};
	flow->next++;
	flow->outstanding++;
	flow->tally->sent++;
}

/* Is this 【...】, perhaps followed by a space? */
static bool is_stamp(const uint8_t *text, size_t len)
{
	static const uint8_t open[] = {0xe3, 0x80, 0x90}, close[] = {0xe3, 0x80, 0x91};

	if (len && text[len - 1] == ' ')
		len--;
	return len >= sizeof(open) + sizeof(close) && len < STAMP_ROOM &&
	       !memcmp(text, open, sizeof(open)) &&
	       !memcmp(text + len - sizeof(close), close, sizeof(close));
}

static bool same_request(const struct flow *flow, const uint8_t *answer, struct header *header)
{
	memcpy(header, answer, sizeof(*header));
	return header->magic == MAGIC && header->flow == flow->id &&
	       header->sequence < flow->next &&
	       !memcmp(answer + sizeof(*header), pattern_for(header->sequence),
		       flow->size - sizeof(*header));
}

static bool book(struct flow *flow, const struct header *header, uint64_t now_ns)
{
	struct tally *tally = flow->tally;
	struct slot *slot = slot_of(flow, header->sequence);

	if (flow->next - header->sequence > flow->mask + 1) {
		tally->late++; /* too long ago to be remembered, so it has been given up */
		return false;
	}
	if (slot->time_ns != header->time_ns) {
		tally->wrong++;
		return false;
	}
	if (slot->state != SLOT_OUTSTANDING) {
		*(slot->state == SLOT_ANSWERED ? &tally->duplicate : &tally->late) += 1;
		slot->state = SLOT_ANSWERED;
		return false;
	}
	slot->state = SLOT_ANSWERED;
	flow->outstanding--;
	tally->received++;
	tally->bytes += flow->size;
	if (header->sequence < flow->answered_end)
		tally->reordered++;
	else
		flow->answered_end = header->sequence + 1;
	histogram_add(&tally->latency, now_ns > slot->time_ns ? now_ns - slot->time_ns : 0);
	return true;
}

/* Books an answer that does not tell its request. */
static bool book_oldest(struct flow *flow, size_t bytes, uint64_t now_ns)
{
	struct tally *tally = flow->tally;
	struct slot *slot;

	if (!flow->outstanding) {
		if (flow->given_up)
			tally->late++;
		else
			tally->duplicate++;
		flow->given_up -= flow->given_up != 0;
		return false;
	}
	forget_oldest(flow);
	while ((slot = slot_of(flow, flow->oldest))->state != SLOT_OUTSTANDING)
		flow->oldest++;
	slot->state = SLOT_ANSWERED;
	flow->outstanding--;
	tally->received++;
	tally->bytes += bytes;
	histogram_add(&tally->latency, now_ns > slot->time_ns ? now_ns - slot->time_ns : 0);
	return true;
}

bool flow_answer(struct flow *flow, const uint8_t *answer, size_t len, uint64_t now_ns)
{
	struct header header;
	size_t stamp = len - flow->size;

	if (flow->any_answer)
		return book_oldest(flow, len, now_ns);
	if (len < flow->size || (stamp && !is_stamp(answer, stamp)))
		goto wrong;
	if (!flow->payload && same_request(flow, answer + stamp, &header))
		return book(flow, &header, now_ns);
	if (flow->payload && !memcmp(answer + stamp, flow->payload, flow->size))
		return book_oldest(flow, flow->size, now_ns);
wrong:
	flow->tally->wrong++;
	return false;
}

void flow_give_up(struct flow *flow, uint64_t before_ns)
{
	forget_oldest(flow);
	for (; flow->oldest < flow->next; flow->oldest++) {
		struct slot *slot = slot_of(flow, flow->oldest);

		if (slot->state != SLOT_OUTSTANDING)
			continue;
		if (slot->time_ns >= before_ns)
			return;
		slot->state = SLOT_GIVEN_UP;
		flow->outstanding--;
		flow->given_up++;
	}
}
