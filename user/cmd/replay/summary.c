/* SPDX-License-Identifier: MIT */
#include "cmd/replay/summary.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

struct count {
	const char *name, *text; /* text says what it counts */
	uint64_t number;
};

static void say_counts(FILE *to, const struct count *counts, unsigned n)
{
	for (; n--; counts++) {
		if (!counts->number)
			continue;
		fprintf(to, " %s=%llu", counts->name, (unsigned long long)counts->number);
		log_verbose("%s: %s", counts->name, counts->text);
	}
}

static void say_verdicts(FILE *to, const struct engine *engine)
{
	const struct count counts[] = {
		{.name = "udp", "a datagram for a service", engine_verdict(engine, FRAME_UDP)},
#define X(name, label, text) {#label, text, engine_verdict(engine, name)},
		FRAME_VERDICTS(X)
#undef X
	};
	uint64_t frames = 0;

	for (unsigned v = 0; v <= FRAME_VERDICT_COUNT; v++)
		frames += counts[v].number;
	fprintf(to, "replay: frames=%llu", (unsigned long long)frames);
	say_counts(to, counts, FRAME_VERDICT_COUNT + 1);
}

static void say_service(
	FILE *to, const struct service_counters *row, const struct udpxdp_service *service)
{
	const struct udpxdp_reason *reasons = service->drops;
	struct count own[UDPXDP_OWN_DROPS] = {};
	const struct count counts[] = {
#define X(name, text) {#name, text, row->drops[UDPXDP_DROP_##name]},
		UDPXDP_DROP_REASONS(X)
#undef X
	};

	if (!row->rx && !row->tx)
		return;
	fprintf(to, "; %s:%u rx=%llu tx=%llu", row->service, row->port, (unsigned long long)row->rx,
		(unsigned long long)row->tx);
	say_counts(to, counts, UDPXDP_DROP_COUNT);
	for (unsigned n = 0; reasons && n < UDPXDP_OWN_DROPS && reasons[n].name; n++)
		own[n] = (struct count){reasons[n].name, reasons[n].text, row->own[n].count};
	say_counts(to, own, UDPXDP_OWN_DROPS);
}

void replay_say_summary(const struct engine *engine, const struct service_counters *rows,
	const struct service_config *services, unsigned count)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return;
	say_verdicts(to, engine);
	for (unsigned i = 0; i < count; i++)
		say_service(to, &rows[i], services[i].service);
	if (!fclose(to))
		log_line("%s", text);
	free(text);
}
