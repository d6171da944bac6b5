/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/verbs.h"
#include "services/service_spec.h"
#include "services/service_table.h"

/* "      stamp=on ...", a line each. history: what that option is when nobody says. */
static void print_options(const struct udpxdp_option *rows, const char *history)
{
	for (; rows && rows->name; rows++) {
		const char *value = strcmp(rows->name, "history") ? rows->fallback : history;

		if (rows->help)
			options_print_text(
				rows->help, printf("      %s=%s", rows->name, value ? value : ""));
	}
}

static void print_service(const struct udpxdp_service *service)
{
	char history[UDPXDP_PATH_SIZE];

	printf("  %s:%u\n", service->name, service->port);
	print_options(service->options, NULL);
	snprintf(history, sizeof(history), "%s.txt", service->name);
	print_options(service_server_options(service), history);
}

void service_help_print(void)
{
	puts("\nServices, with the default port and options of each:");
	for (int i = 0; service_table[i]; i++)
		print_service(service_table[i]);
}

bool service_help_of(const char *name)
{
	char why[512];
	const struct udpxdp_service *service = service_load(name, why, sizeof(why));

	if (!service && *why)
		log_fail(EXIT_USAGE, "%s; see udpxdp-service(3)", why);
	if (!service)
		return false;
	puts("A service, with its default port and options:");
	print_service(service);
	if (service->drops)
		puts("\nReasons of its own to drop a datagram:");
	for (const struct udpxdp_reason *row = service->drops; row && row->name; row++)
		options_print_text(row->text, printf("  %s", row->name));
	return true;
}
