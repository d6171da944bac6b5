/* SPDX-License-Identifier: MIT */
/* The arithmetic of the load generator: percentiles, and what it makes of a lossy peer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/bench/load.h"

/* ---- percentiles --------------------------------------------------------------------- */

static void an_empty_histogram_is_zero(void **state)
{
	struct histogram *h = calloc(1, sizeof(*h));

	assert_int_equal(histogram_percentile(h, 50), 0);
	assert_true(histogram_mean(h) == 0);
	free(h);
}

/* Small values have a bucket each: 1 to 100 has the percentiles that its numbers say. */
static void percentiles_of_small_values_are_exact(void **state)
{
	struct histogram *h = calloc(1, sizeof(*h));

	for (unsigned i = 100; i >= 1; i--)
		histogram_add(h, i);
	assert_int_equal(histogram_percentile(h, 0), 1);
	assert_int_equal(histogram_percentile(h, 50), 50);
	assert_int_equal(histogram_percentile(h, 90), 90);
	assert_int_equal(histogram_percentile(h, 99), 99);
	assert_int_equal(histogram_percentile(h, 99.9), 100);
	assert_int_equal(histogram_percentile(h, 100), 100);
	assert_int_equal(h->min, 1);
	assert_int_equal(h->max, 100);
	assert_true(histogram_mean(h) == 50.5);
	free(h);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Against the sorted values themselves: never below, and at most 1/128 above. */
static void percentiles_are_at_most_a_128th_too_large(void **state)
{
	enum { N = 100000 };
	static const double percents[] = {0.1, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 100};
	struct histogram *h = calloc(1, sizeof(*h));
	uint64_t *values = malloc(N * sizeof(*values));
	uint64_t x = 88172645463325252u;

	for (unsigned i = 0; i < N; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		values[i] = (x >> 32) >> (x & 31); /* from 1 ns to 4 s, all magnitudes alike */
		histogram_add(h, values[i]);
	}
	qsort(values, N, sizeof(*values), compare);
	for (unsigned i = 0; i < sizeof(percents) / sizeof(*percents); i++) {
		uint64_t right = values[(size_t)ceil(percents[i] / 100 * N) - 1];
		uint64_t got = histogram_percentile(h, percents[i]);

		assert_in_range(got, right, right + right / 128);
	}
	assert_int_equal(h->max, values[N - 1]);
	free(values);
	free(h);
}

static void values_beyond_the_scale_count_as_the_largest(void **state)
{
	struct histogram *h = calloc(1, sizeof(*h));

	histogram_add(h, 5);
	histogram_add(h, (1ull << HISTOGRAM_MAX_BITS) - 1);
	assert_int_equal(histogram_percentile(h, 100), (1ull << HISTOGRAM_MAX_BITS) - 1);
	histogram_add(h, UINT64_MAX / 4);
	assert_int_equal(histogram_percentile(h, 33), 5);
	assert_int_equal(histogram_percentile(h, 100), UINT64_MAX / 4);
	free(h);
}

/* ---- what became of requests --------------------------------------------------------- */

enum { SIZE = 64, N = 10000 };

struct rig {
	struct tally tally;
	struct flow flow;
	uint8_t requests[N][SIZE];
};

/* Sends N requests, request i at time i. */
static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	if (!rig || flow_open(&rig->flow, &rig->tally, 7, SIZE, N))
		return -1;
	for (unsigned i = 0; i < N; i++) {
		flow_compose(&rig->flow, 0, i, rig->requests[i]);
		flow_sent(&rig->flow, i);
	}
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	flow_close(&rig->flow);
	free(rig);
	return 0;
}

static bool answer(struct rig *rig, unsigned i)
{
	return flow_answer(&rig->flow, rig->requests[i], SIZE, i + 1000);
}

static void assert_tally(const struct tally *t, uint64_t received, uint64_t late,
	uint64_t duplicate, uint64_t reordered, uint64_t wrong)
{
	assert_int_equal(t->sent, N);
	assert_int_equal(t->received, received);
	assert_int_equal(t->late, late);
	assert_int_equal(t->duplicate, duplicate);
	assert_int_equal(t->reordered, reordered);
	assert_int_equal(t->wrong, wrong);
	assert_int_equal(t->latency.count, received);
}

static void answers_leave_nothing_outstanding(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < N; i++)
		assert_true(answer(rig, i));
	assert_tally(&rig->tally, N, 0, 0, 0, 0);
	assert_int_equal(rig->flow.outstanding, 0);
	assert_int_equal(rig->tally.latency.min, 1000);
	assert_int_equal(rig->tally.latency.max, 1000);
}

/* Of each ten: one is lost, one comes twice, two come swapped. */
static void losses_duplicates_and_disorder_are_told_apart(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < N; i += 10) {
		for (unsigned k = 0; k < 6; k++)
			assert_true(answer(rig, i + k));
		assert_true(answer(rig, i + 8)); /* 7 and 8 swapped; 6 lost */
		assert_true(answer(rig, i + 7));
		assert_false(answer(rig, i + 3));
		assert_true(answer(rig, i + 9));
	}
	assert_tally(&rig->tally, N - N / 10, 0, N / 10, N / 10, 0);
	assert_int_equal(rig->flow.outstanding, N / 10);
}

/* The first half is given up; what then comes of it is late once, and a duplicate after. */
static void what_was_given_up_is_late_once(void **state)
{
	struct rig *rig = *state;

	flow_give_up(&rig->flow, N / 2);
	assert_int_equal(rig->flow.outstanding, N / 2);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(answer(rig, i), i >= N / 2);
	assert_false(answer(rig, 0));
	assert_tally(&rig->tally, N / 2, N / 2, 1, 0, 0);
	assert_int_equal(rig->flow.outstanding, 0);
}

/* A stamp in front is the server's; anything else that differs by a bit is wrong. */
static void any_wrong_bit_is_a_wrong_answer(void **state)
{
	static const char stamp[] = "【Mon Nov 23 02:00:00 2026】 ";
	struct rig *rig = *state;
	uint8_t text[SIZE + 200];
	const size_t len = sizeof(stamp) - 1;

	memcpy(text, stamp, len);
	memcpy(text + len, rig->requests[0], SIZE);
	assert_true(flow_answer(&rig->flow, text, len + SIZE, 1));
	memcpy(text + len - 1, rig->requests[1], SIZE);
	assert_true(flow_answer(&rig->flow, text, len - 1 + SIZE, 1));
	assert_tally(&rig->tally, 2, 0, 0, 0, 0);

	for (unsigned bit = 0; bit < SIZE * 8; bit++) {
		memcpy(text, rig->requests[2], SIZE);
		text[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(flow_answer(&rig->flow, text, SIZE, 1));
	}
	assert_tally(&rig->tally, 2, 0, 0, 0, SIZE * 8);

	assert_false(flow_answer(&rig->flow, rig->requests[2], SIZE - 1, 1));
	assert_false(flow_answer(&rig->flow, text, 0, 1));
	memset(text, 'x', sizeof(text));
	memcpy(text + len, rig->requests[2], SIZE);
	assert_false(flow_answer(&rig->flow, text, len + SIZE, 1)); /* no stamp in front */
	memcpy(text, rig->requests[2], SIZE);
	assert_false(flow_answer(&rig->flow, text, SIZE + 1, 1)); /* something behind */
	assert_tally(&rig->tally, 2, 0, 0, 0, SIZE * 8 + 4);
	assert_int_equal(rig->flow.outstanding, N - 2);
}

/* The answer to another flow's request, or to one never sent, is wrong. */
static void the_answer_to_another_is_wrong(void **state)
{
	struct rig *rig = *state;
	struct flow other;
	struct tally tally = {0};
	uint8_t request[SIZE];

	assert_int_equal(flow_open(&other, &tally, 8, SIZE, 10), 0);
	flow_compose(&other, 0, 0, request);
	assert_false(flow_answer(&rig->flow, request, SIZE, 1));
	flow_compose(&rig->flow, 0, N, request);
	assert_false(flow_answer(&rig->flow, request, SIZE, 1));
	assert_tally(&rig->tally, 0, 0, 0, 0, 2);
	flow_close(&other);
}

/* More requests than are remembered: the oldest are given up, and the books still balance. */
static void more_than_is_remembered_is_given_up(void **state)
{
	static uint8_t requests[200][SIZE];
	struct tally tally = {0};
	struct flow flow;

	assert_int_equal(flow_open(&flow, &tally, 1, SIZE, 64), 0);
	assert_int_equal(flow.mask, 63);
	for (unsigned i = 0; i < 200; i++) {
		flow_compose(&flow, 0, i, requests[i]);
		flow_sent(&flow, i);
	}
	assert_int_equal(flow.outstanding, 64);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(flow_answer(&flow, requests[i], SIZE, 300), i >= 200 - 64);
	assert_int_equal(tally.received, 64);
	assert_int_equal(tally.late, 200 - 64);
	assert_int_equal(flow.outstanding, 0);
	flow_give_up(&flow, 1000);
	assert_int_equal(flow.outstanding, 0);
	flow_close(&flow);
}

/* Requests that the caller chose: an answer is to the oldest one outstanding. */
static void answers_to_a_payload(void **state)
{
	static const uint8_t payload[5] = "hello";
	struct tally tally = {};
	struct flow flow;
	uint8_t request[5];

	assert_int_equal(flow_open(&flow, &tally, 1, sizeof(payload), 64), 0);
	flow.payload = payload;
	for (unsigned i = 0; i < 3; i++) {
		flow_compose(&flow, 0, i, request);
		assert_memory_equal(request, payload, sizeof(payload));
		flow_sent(&flow, i);
	}
	assert_true(flow_answer(&flow, payload, 5, 10));
	assert_true(
		flow_answer(&flow, (const uint8_t *)"\xe3\x80\x90now\xe3\x80\x91 hello", 15, 11));
	assert_false(flow_answer(&flow, (const uint8_t *)"hallo", 5, 12));
	assert_false(flow_answer(&flow, payload, 4, 12));
	assert_int_equal(tally.latency.min, 10);
	assert_int_equal(tally.latency.max, 10);
	flow_give_up(&flow, 3);
	assert_int_equal(flow.outstanding, 0);
	assert_false(flow_answer(&flow, payload, 5, 20)); /* to the one given up */
	assert_false(flow_answer(&flow, payload, 5, 21)); /* to nothing */
	assert_true(tally.received == 2 && tally.late == 1 && tally.duplicate == 1);
	assert_true(tally.wrong == 2 && tally.bytes == 10);
	flow_close(&flow);
}

static void any_answer(void **state)
{
	struct tally tally = {};
	struct flow flow;

	assert_int_equal(flow_open(&flow, &tally, 1, SIZE, 64), 0);
	flow.any_answer = true;
	for (unsigned i = 0; i < 100; i++) { /* more than are remembered */
		flow_sent(&flow, i);
		if (i == 0)
			assert_true(flow_answer(&flow, NULL, 0, 5));
	}
	assert_int_equal(flow.outstanding, 64);
	for (unsigned i = 0; i < 64; i++)
		assert_true(flow_answer(&flow, (const uint8_t *)"what?", 5, 200));
	assert_int_equal(flow.outstanding, 0);
	assert_int_equal(tally.latency.max, 200 - 36);
	assert_int_equal(tally.bytes, 64 * 5);
	assert_int_equal(tally.wrong, 0);
	flow_close(&flow);
}

/* ---- over real sockets --------------------------------------------------------------- */

struct peer {
	int fd;
	unsigned drop_every, twice_every, spoil_every;
	unsigned seen;
};

static void *peer_main(void *argument)
{
	struct peer *peer = argument;
	uint8_t text[2048];

	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n =
			recvfrom(peer->fd, text, sizeof(text), 0, (struct sockaddr *)&from, &len);

		if (n <= 0)
			return NULL;
		peer->seen++;
		if (peer->drop_every && peer->seen % peer->drop_every == 0)
			continue;
		if (peer->spoil_every && peer->seen % peer->spoil_every == 0)
			text[n - 1] ^= 1;
		sendto(peer->fd, text, (size_t)n, 0, (struct sockaddr *)&from, len);
		if (peer->twice_every && peer->seen % peer->twice_every == 0)
			sendto(peer->fd, text, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
}

static void run_against(struct peer *peer, struct load_config *config, struct load_result *result)
{
	static const volatile sig_atomic_t go_on;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);
	int room = 4 << 20; /* for all requests, should the peer not get its turn */
	pthread_t thread;
	char error[256] = "";

	peer->fd = socket(AF_INET, SOCK_DGRAM, 0);
	setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	assert_int_equal(bind(peer->fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(peer->fd, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(pthread_create(&thread, NULL, peer_main, peer), 0);
	memcpy(&config->server, &address, len);
	config->server_len = len;
	config->stop = &go_on;
	assert_int_equal(bench_load_run(config, result, error, sizeof(error)), 0);
	/* An empty datagram tells the peer to end. */
	assert_int_equal(sendto(peer->fd, "", 0, 0, (struct sockaddr *)&address, len), 0);
	pthread_join(thread, NULL);
	close(peer->fd);
}

static struct load_result result;

/* A window that loses an answer gets its place back: the run reaches its count. */
static void closed_loop_recovers(void **state)
{
	struct peer peer = {.drop_every = 100, .twice_every = 77};
	struct load_config config = {
		.window = 16, .size = 200, .flows = 3, .count = 5000, .timeout_ns = 200000000};

	run_against(&peer, &config, &result);
	assert_int_equal(result.tally.sent, 5000);
	assert_int_equal(peer.seen, 5000);
	assert_int_equal(result.tally.received + result.tally.late, 5000 - 50);
	assert_int_equal(result.tally.wrong, 0);
	assert_int_equal(result.tally.duplicate, 5000 / 77);
}

static void spoiled_answers_are_seen(void **state)
{
	struct peer peer = {.spoil_every = 10};
	struct load_config config = {
		.window = 8, .size = 32, .flows = 2, .count = 100, .timeout_ns = 200000000};

	run_against(&peer, &config, &result);
	assert_int_equal(result.tally.sent, 100);
	assert_int_equal(result.tally.wrong, 10);
	assert_int_equal(result.tally.received + result.tally.late, 90);
}

/* The rate is kept, and latency counts from the schedule: 1,000 requests at 10,000/s take 0.1 s. */
static void open_loop_keeps_its_rate(void **state)
{
	struct peer peer = {0};
	struct load_config config = {.rate = 10000,
		.burst = 1,
		.size = 64,
		.flows = 4,
		.count = 1000,
		.timeout_ns = 10000000000}; /* however busy the machine is */

	run_against(&peer, &config, &result);
	assert_int_equal(result.tally.sent, 1000);
	assert_int_equal(result.tally.received + result.tally.late, 1000);
	assert_true(result.elapsed_ns >= 99900000); /* the last one is due at 99.9 ms */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_histogram_is_zero),
		cmocka_unit_test(percentiles_of_small_values_are_exact),
		cmocka_unit_test(percentiles_are_at_most_a_128th_too_large),
		cmocka_unit_test(values_beyond_the_scale_count_as_the_largest),
		cmocka_unit_test_setup_teardown(
			answers_leave_nothing_outstanding, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			losses_duplicates_and_disorder_are_told_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_given_up_is_late_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(any_wrong_bit_is_a_wrong_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_answer_to_another_is_wrong, set_up, tear_down),
		cmocka_unit_test(more_than_is_remembered_is_given_up),
		cmocka_unit_test(answers_to_a_payload),
		cmocka_unit_test(any_answer),
		cmocka_unit_test(closed_loop_recovers),
		cmocka_unit_test(spoiled_answers_are_seen),
		cmocka_unit_test(open_loop_keeps_its_rate),
	};

	return cmocka_run_group_tests_name("bench", tests, NULL, NULL);
}
