/* SPDX-License-Identifier: MIT */
/* Services as -s names them, one a line; the first byte is how long an error may be. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/accounting_io.h"
#include "services/service_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STATE_MAX (1 << 20) /* bytes of a state that is worth the time to try */

/* An error is one line, and ends within the room it has. */
static void judge_error(const char *error, size_t size)
{
	if (!size)
		return;
	require(memchr(error, '\0', size), error, size);
	require(!strchr(error, '\n'), error, strlen(error));
	require(size == 1 || *error, error, 0);
}

static void judge_service(const struct service_config *config, const char *spec)
{
	const size_t size = config->service->state_size(config->options);
	const char *history = service_history(config);
	uint8_t *state;

	require(config->service && config->port, spec, strlen(spec));
	require(!history || (*history && strlen(history) < UDPXDP_PATH_SIZE), spec, strlen(spec));
	if (size > STATE_MAX)
		return;
	state = aligned_alloc(64, (size + 63) & ~(size_t)63);
	require(state, spec, strlen(spec));
	memset(state, 0, size);
	config->service->start(
		state, &(struct udpxdp_start){.options = config->options, .port = config->port});
	free(state);
}

/* What is said of the services that run names each of them once. */
static void judge_list(struct service_config *configs, unsigned count, char *error, size_t size)
{
	char text[MAX_SERVICES * (UDPXDP_NAME_SIZE + 7)], *name, *rest = text;
	struct service_config again;

	services_name_histories(configs, count);
	if (services_check(configs, count, error, size)) {
		judge_error(error, size);
		return;
	}
	services_text(configs, count, text, sizeof(text));
	for (unsigned i = 0; i < count; i++) {
		name = strsep(&rest, ",");
		require(name && !service_parse(&again, name, error, size), name, 0);
		require(again.service == configs[i].service && again.port == configs[i].port, name,
			strlen(name));
	}
	require(!rest || !count, text, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct service_config configs[MAX_SERVICES];
	const size_t room = size ? data[0] : 0;
	char *error = malloc(room ? room : 1);
	char *specs = calloc(1, size + 1), *rest = specs, *spec;
	unsigned count = 0;

	if (size)
		memcpy(specs, data + 1, size - 1);
	while (count < MAX_SERVICES && (spec = strsep(&rest, "\n"))) {
		const unsigned before = count;

		if (services_add(configs, &count, spec, error, room)) {
			require(count == before, spec, 0);
			judge_error(error, room);
			continue;
		}
		require(count > before && count <= MAX_SERVICES, spec, 0);
		judge_service(&configs[before], spec);
		judge_service(&configs[count - 1], spec);
	}
	judge_list(configs, count, error, room);
	free(specs);
	free(error);
	return 0;
}
