/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "cli/options.h"
#include "cli/verbs.h"
#include "services/service_table.h"

void print_services(void)
{
	puts("\nServices, each with the port and the options that it has unless others are given:");
	for (int i = 0; service_classes[i]; i++) {
		const struct service_class *class = service_classes[i];

		printf("  %s:%u\n", class->name, class->port);
		for (const struct service_option *o = class->options; o && o->key; o++)
			options_print_text(o->help, printf("      %s=%s", o->key, o->fallback));
	}
}
