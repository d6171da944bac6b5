/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "cmd/bench/report.h"

#define NS_PER_US 1000.0
#define NS_PER_S 1e9

static const struct {
	const char *name;
	double percent;
} percentiles[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}};

#define PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

static double per_second(uint64_t n, uint64_t elapsed_ns)
{
	return elapsed_ns ? (double)n * NS_PER_S / (double)elapsed_ns : 0;
}

static uint64_t lost(const struct tally *tally)
{
	return tally->sent - tally->received;
}

static void describe_load(char *text, size_t size, const struct load_config *config)
{
	if (config->rate)
		snprintf(text, size, "open loop, %u/s", config->rate);
	else
		snprintf(text, size, "closed loop, window %u", config->window);
}

static void print_latency(const struct histogram *latency)
{
	if (!latency->count)
		return;
	printf("  latency   ");
	for (size_t i = 0; i < PERCENTILES; i++)
		printf(" %s %.1f", percentiles[i].name,
			(double)histogram_percentile(latency, percentiles[i].percent) / NS_PER_US);
	printf(" max %.1f mean %.1f us\n", (double)latency->max / NS_PER_US,
		histogram_mean(latency) / NS_PER_US);
}

/* What explains a loss or a latency, said only when there is any. */
static void print_remarks(const struct load_result *result)
{
	if (result->refused)
		printf("  refused    %" PRIu64 ": nothing listens on that port\n", result->refused);
	if (result->overflowed)
		printf("  overflowed %" PRIu64 ": answers that this program was too slow to take\n",
			result->overflowed);
	if (result->stalled)
		printf("  stalled    %" PRIu64 ": sends that this host's queue had no room for\n",
			result->stalled);
	if (result->behind_ns > 1000000)
		printf("  behind     %.1f ms at worst: this program could not keep the rate\n",
			(double)result->behind_ns / 1e6);
}

int bench_report_text(const char *host, const char *port, const struct load_config *config,
	const struct load_result *result)
{
	const struct tally *tally = &result->tally;
	char load[64];

	describe_load(load, sizeof(load), config);
	printf("%s port %s: %s, %u bytes, flows %u, %s, %.2f s\n", host, port, load, config->size,
		config->flows, result->gso ? "UDP GSO" : "no UDP GSO",
		(double)result->elapsed_ns / NS_PER_S);
	printf("  sent       %" PRIu64 ", %.0f/s\n", tally->sent,
		per_second(tally->sent, result->elapsed_ns));
	printf("  received   %" PRIu64 ", %.0f/s, %.1f Mbit/s of payload\n", tally->received,
		per_second(tally->received, result->elapsed_ns),
		per_second(tally->bytes, result->elapsed_ns) * 8 / 1e6);
	printf("  lost       %" PRIu64 " (%.4f %%), late %" PRIu64 ", reordered %" PRIu64
	       ", duplicate %" PRIu64 ", wrong %" PRIu64 "\n",
		lost(tally), tally->sent ? 100.0 * (double)lost(tally) / (double)tally->sent : 0,
		tally->late, tally->reordered, tally->duplicate, tally->wrong);
	print_latency(&tally->latency);
	print_remarks(result);
	return fflush(stdout) ? -1 : 0;
}

static json_t *latency_json(const struct histogram *latency)
{
	json_t *object = json_object();

	if (!latency->count)
		return object;
	json_object_set_new(object, "min", json_real((double)latency->min / NS_PER_US));
	json_object_set_new(object, "mean", json_real(histogram_mean(latency) / NS_PER_US));
	for (size_t i = 0; i < PERCENTILES; i++)
		json_object_set_new(object, percentiles[i].name,
			json_real((double)histogram_percentile(latency, percentiles[i].percent) /
				  NS_PER_US));
	json_object_set_new(object, "max", json_real((double)latency->max / NS_PER_US));
	return object;
}

static json_t *counts_json(const struct load_result *result)
{
	const struct tally *tally = &result->tally;
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {
		{"sent", tally->sent},
		{"received", tally->received},
		{"received_bytes", tally->bytes},
		{"lost", lost(tally)},
		{"late", tally->late},
		{"reordered", tally->reordered},
		{"duplicate", tally->duplicate},
		{"wrong", tally->wrong},
		{"refused", result->refused},
		{"overflowed", result->overflowed},
		{"stalled", result->stalled},
		{"behind_ns", result->behind_ns},
	};
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		json_object_set_new(
			object, counts[i].name, json_integer((json_int_t)counts[i].value));
	return object;
}

int bench_report_json(const char *host, const char *port, const struct load_config *config,
	const struct load_result *result)
{
	json_t *root = counts_json(result);
	int written;

	json_object_set_new(root, "host", json_string(host));
	json_object_set_new(root, "port", json_string(port));
	json_object_set_new(root, "loop", json_string(config->rate ? "open" : "closed"));
	json_object_set_new(root, config->rate ? "rate" : "window",
		json_integer(config->rate ? config->rate : config->window));
	json_object_set_new(root, "size", json_integer(config->size));
	json_object_set_new(root, "flows", json_integer(config->flows));
	json_object_set_new(root, "gso", json_boolean(result->gso));
	json_object_set_new(root, "seconds", json_real((double)result->elapsed_ns / NS_PER_S));
	json_object_set_new(root, "sent_per_second",
		json_real(per_second(result->tally.sent, result->elapsed_ns)));
	json_object_set_new(root, "received_per_second",
		json_real(per_second(result->tally.received, result->elapsed_ns)));
	json_object_set_new(root, "latency_us", latency_json(&result->tally.latency));
	written =
		json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9) | JSON_SORT_KEYS);
	json_decref(root);
	putchar('\n');
	return written || fflush(stdout) ? -1 : 0;
}

void bench_progress(const struct tally *tally, uint64_t elapsed_ns)
{
	static uint64_t last_received, last_ns;
	uint64_t received = tally->received - last_received;

	fprintf(stderr,
		"\r\033[K%6.1f s  %9.0f/s  sent %" PRIu64 "  received %" PRIu64 "  wrong %" PRIu64,
		(double)elapsed_ns / NS_PER_S, per_second(received, elapsed_ns - last_ns),
		tally->sent, tally->received, tally->wrong);
	last_received = tally->received;
	last_ns = elapsed_ns;
}

void bench_progress_end(void)
{
	fputs("\r\033[K", stderr);
}
