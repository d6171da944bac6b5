/* SPDX-License-Identifier: MIT */
/* Will serving an interface work, and will it be fast? Reads, and changes nothing. */
#include <errno.h>
#include <jansson.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/verbs.h"
#include "services/service_spec.h"
#include "services/service_table.h"
#include "xdp/iface_check.h"

struct config {
	bool json;
};

static const struct udpxdp_option options[] = {
	{.name = "json",
		.letter = 'j',
		.kind = UDPXDP_OPTION_BOOL,
		.offset = offsetof(struct config, json),
		.help = "print JSON"},
	{},
};

static const char *const severities[] = {
	[IFACE_NOTE] = "note", [IFACE_SLOW] = "slow", [IFACE_BROKEN] = "broken"};

static void print_text(const struct iface_finding *findings, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		printf("%-6s  %-8s  %s\n", severities[findings[i].severity], findings[i].topic,
			findings[i].text);
		if (findings[i].cure[0])
			printf("%18s%s\n", "", findings[i].cure);
	}
}

static void print_json(
	const char *iface, const char *driver, const struct iface_finding *findings, unsigned count)
{
	json_t *root = json_object(), *list = json_array();
	char *text;

	json_object_set_new(root, "iface", json_string(iface));
	json_object_set_new(root, "driver", json_string(driver));
	for (unsigned i = 0; i < count; i++) {
		json_t *row = json_object();

		json_object_set_new(row, "severity", json_string(severities[findings[i].severity]));
		json_object_set_new(row, "topic", json_string(findings[i].topic));
		json_object_set_new(row, "text", json_string(findings[i].text));
		json_object_set_new(row, "cure", json_string(findings[i].cure));
		json_array_append_new(list, row);
	}
	json_object_set_new(root, "findings", list);
	text = json_dumps(root, JSON_INDENT(2));
	if (text)
		puts(text);
	free(text);
	json_decref(root);
}

static unsigned default_ports(uint16_t ports[MAX_SERVICES])
{
	struct service_config config;
	char error[256];
	unsigned count = 0;

	for (int i = 0; default_services[i]; i++)
		if (!service_parse(&config, default_services[i], error, sizeof(error)))
			ports[count++] = config.port;
	return count;
}

static int check(const struct verb *verb, int argc, char **argv)
{
	struct config c = {};
	struct iface_facts facts;
	struct iface_finding findings[IFACE_FINDINGS_MAX];
	uint16_t ports[MAX_SERVICES];
	const char *iface = argv[options_parse(verb, &c, argc, argv)];
	int ifindex = (int)if_nametoindex(iface);
	unsigned count;

	if (!ifindex || iface_facts_read(&facts, ifindex, ports, default_ports(ports)) < 0)
		log_fail(EXIT_INTERFACE, "interface %s: %s; ip link shows what there is", iface,
			strerror(errno));
	count = iface_check(&facts, findings);
	if (c.json)
		print_json(iface, facts.ethtool.driver, findings, count);
	else
		print_text(findings, count);
	if (!count && !c.json)
		printf("%s: no problems found\n", iface);
	if (fflush(stdout) || ferror(stdout))
		log_fail_output();
	if (count && findings[0].severity == IFACE_BROKEN)
		return EXIT_INTERFACE;
	return count && findings[0].severity == IFACE_SLOW ? EXIT_RUNTIME : EXIT_CLEAN;
}

const struct verb check_verb = {
	.name = "check",
	.operands = "IFACE",
	.min_operands = 1,
	.max_operands = 1,
	.summary = "Say whether serving will work and be fast.",
	.options = options,
	.notes = "Reads, and changes nothing. The exit status is 0 when serving works as well as "
		 "it\n"
		 "can, 1 when something makes it slower or loses datagrams, 4 when it does not "
		 "work.\n",
	.run = check,
};
