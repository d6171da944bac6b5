/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "cli/verbs.h"
#include "services/service_spec.h"
#include "services/service_table.h"

/* "      stamp=on ...", a line each. fallback: of rows that have none of their own. */
static void print_options(const struct udpxdp_option *rows, const char *fallback)
{
	for (; rows && rows->name; rows++)
		if (rows->help)
			options_print_text(
				rows->help, printf("      %s=%s", rows->name,
						    rows->fallback ? rows->fallback : fallback));
}

void service_help_print(void)
{
	char history[UDPXDP_PATH_SIZE];

	puts("\nServices, with the default port and options of each:");
	for (int i = 0; service_table[i]; i++) {
		const struct udpxdp_service *service = service_table[i];

		printf("  %s:%u\n", service->name, service->port);
		print_options(service->options, "");
		snprintf(history, sizeof(history), "%s.txt", service->name);
		if (service->has_history)
			print_options(service_history_options, history);
	}
}
