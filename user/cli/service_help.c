/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "cli/options.h"
#include "cli/verbs.h"
#include "services/service_table.h"

void service_help_print(void)
{
	puts("\nServices, each with the port and the options that it has unless others are given:");
	for (int i = 0; service_table[i]; i++) {
		const struct udpxdp_service *service = service_table[i];

		printf("  %s:%u\n", service->name, service->port);
		for (const struct udpxdp_option *o = service->options; o && o->key; o++)
			options_print_text(o->help, printf("      %s=%s", o->key, o->fallback));
	}
}
