/* SPDX-License-Identifier: MIT */
#include "cmd/serve/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/control.h"
#include "services/service_table.h"

static int set_service(void *config, const char *arg, char *error, size_t size)
{
	struct server_config *c = &((struct serve_options *)config)->server;

	if (c->service_count == MAX_SERVICES) {
		snprintf(error, size, "there can be %d services at most", MAX_SERVICES);
		return -1;
	}
	if (service_parse(&c->services[c->service_count], arg, error, size) < 0)
		return -1;
	c->service_count++;
	return 0;
}

static int choose(const char *arg, const char *const *words, char *error, size_t size)
{
	int used = snprintf(error, size, "allowed are");

	for (int i = 0; words[i]; i++) {
		if (!strcmp(arg, words[i]))
			return i;
		if (used < (int)size)
			used += snprintf(error + used, size - used, " %s", words[i]);
	}
	return -1;
}

static int set_mode(void *config, const char *arg, char *error, size_t size)
{
	static const char *const words[] = {
		"auto", "zerocopy", "copy", "skb", "sockets", "native", "drv", "generic", NULL};
	static const enum xdp_mode modes[] = {XDP_MODE_AUTO, XDP_MODE_ZEROCOPY, XDP_MODE_COPY,
		XDP_MODE_SKB, XDP_MODE_SOCKETS, XDP_MODE_COPY, XDP_MODE_COPY, XDP_MODE_SKB};
	int i = choose(arg, words, error, size);

	if (i < 0)
		return -1;
	((struct serve_options *)config)->server.mode = modes[i];
	return 0;
}

static int set_poll(void *config, const char *arg, char *error, size_t size)
{
	static const char *const words[] = {"adaptive", "block", "spin", NULL};
	int i = choose(arg, words, error, size);

	if (i < 0)
		return -1;
	((struct serve_options *)config)->server.wait = (enum wait_policy)i;
	return 0;
}

static int set_log_format(void *config, const char *arg, char *error, size_t size)
{
	static const char *const words[] = {"text", "json", NULL};
	int i = choose(arg, words, error, size);

	if (i < 0)
		return -1;
	((struct serve_options *)config)->server.log_format = (enum log_format)i;
	return 0;
}

static int set_attach(void *config, const char *arg, char *error, size_t size)
{
	static const char *const words[] = {"link", "dispatcher", NULL};
	int i = choose(arg, words, error, size);

	if (i < 0)
		return -1;
	((struct serve_options *)config)->server.dispatcher = i == 1;
	return 0;
}

/* N or N-M; *end is behind it. */
static bool read_range(
	const char *text, unsigned limit, unsigned *first, unsigned *last, char **end)
{
	unsigned long a, b;

	if (*text < '0' || *text > '9')
		return false;
	a = b = strtoul(text, end, 10);
	if (**end == '-' && (*end)[1] >= '0' && (*end)[1] <= '9')
		b = strtoul(*end + 1, end, 10);
	*first = a;
	*last = b;
	return a <= b && b < limit;
}

/* A decimal number from min to max; *end is behind it. */
static bool read_number(const char *text, unsigned long long min, unsigned long long max,
	unsigned long long *value, char **end)
{
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, end, 10);
	return !errno && *value >= min && *value <= max;
}

/* PPS[/BURST]: what the virtual scheduling form of a token bucket needs, in nanoseconds. */
static int set_limit(void *config, const char *arg, char *error, size_t size)
{
	struct server_config *c = &((struct serve_options *)config)->server;
	unsigned long long pps, burst;
	char *end;

	if (read_number(arg, 1, NSEC_PER_SEC, &pps, &end)) {
		burst = pps / 10 ? pps / 10 : 1;
		if (!*end || (*end == '/' && read_number(end + 1, 1, 100000000, &burst, &end) &&
				     !*end)) {
			c->limit_interval = NSEC_PER_SEC / pps;
			c->limit_burst = (burst - 1) * c->limit_interval;
			return 0;
		}
	}
	snprintf(error, size, "datagrams a second are needed, and a burst if you like: 1000/200");
	return -1;
}

static int add_rule(void *config, const char *arg, __u32 verdict, char *error, size_t size)
{
	struct server_config *c = &((struct serve_options *)config)->server;
	struct guard_rule *rule = &c->rules[c->rule_count];
	unsigned long long bits, most;
	char text[64], *slash, *end;
	bool ipv4;

	if (c->rule_count == MAX_RULES) {
		snprintf(error, size, "there can be %d --allow and --deny at most", MAX_RULES);
		return -1;
	}
	snprintf(text, sizeof(text), "%s", arg);
	slash = strchr(text, '/');
	if (slash)
		*slash = '\0';
	ipv4 = inet_pton(AF_INET, text, rule->key.addr.b + 12) == 1;
	if (ipv4)
		memcpy(rule->key.addr.b, udpxdp_addr_ipv4(0, 0, 0, 0).b, 12);
	most = bits = ipv4 ? 32 : 128;
	if ((!ipv4 && inet_pton(AF_INET6, text, rule->key.addr.b) != 1) ||
		(slash && (!read_number(slash + 1, 0, most, &bits, &end) || *end))) {
		snprintf(error, size, "a network such as 10.0.0.0/8 or fd00::/16 is needed");
		return -1;
	}
	rule->key.prefix_len = bits + (ipv4 ? 96 : 0);
	rule->verdict = verdict;
	c->rule_count++;
	c->default_deny |= verdict == RULE_ALLOW;
	return 0;
}

static int set_allow(void *config, const char *arg, char *error, size_t size)
{
	return add_rule(config, arg, RULE_ALLOW, error, size);
}

static int set_deny(void *config, const char *arg, char *error, size_t size)
{
	return add_rule(config, arg, RULE_DENY, error, size);
}

static int set_queues(void *config, const char *arg, char *error, size_t size)
{
	struct server_config *c = &((struct serve_options *)config)->server;
	char *end;

	if (!strcmp(arg, "all")) {
		c->first_queue = 0;
		c->last_queue = MAX_QUEUES - 1;
		return 0;
	}
	if (read_range(arg, MAX_QUEUES, &c->first_queue, &c->last_queue, &end) && !*end)
		return 0;
	snprintf(error, size, "allowed are all, N and N-M, with queues below %d", MAX_QUEUES);
	return -1;
}

static int set_cpus(void *config, const char *arg, char *error, size_t size)
{
	struct server_config *c = &((struct serve_options *)config)->server;
	unsigned first, last;
	char *end;

	c->cpu_count = 0;
	for (;; arg = end + 1) {
		if (!read_range(arg, 1024, &first, &last, &end) || (*end && *end != ','))
			break;
		for (; first <= last && c->cpu_count < MAX_QUEUES; first++)
			c->cpus[c->cpu_count++] = first;
		if (!*end)
			return 0;
	}
	snprintf(error, size, "a list such as 0,2-3 is needed");
	return -1;
}

#define SERVER(member) offsetof(struct serve_options, server.member)

const struct option_row serve_options[] = {
	{.name = "iface",
		.alias = "interface",
		.letter = 'i',
		.kind = OPT_STRING,
		.offset = SERVER(iface),
		.arg = "IFACE",
		.help = "the interface; only --mode sockets serves all of them without it"},
	{.name = "service",
		.letter = 's',
		.kind = OPT_CALL,
		.set = set_service,
		.arg = "NAME[:PORT][,KEY=VALUE...]",
		.help = "run this service; repeatable; once given, only those named run "
			"(default: all those below)"},
	{.name = "mode",
		.letter = 'm',
		.kind = OPT_CALL,
		.set = set_mode,
		.arg = "auto|zerocopy|copy|skb|sockets",
		.help = "how frames get to user space; auto takes the first of zerocopy, copy "
			"and skb that works, a named mode never falls back; sockets: no XDP, "
			"but UDP sockets of the kernel, for which no privilege is needed "
			"(default: auto)"},
	{.name = "queues",
		.letter = 'q',
		.kind = OPT_CALL,
		.set = set_queues,
		.arg = "all|N[-M]",
		.help = "RX queues to serve; with --mode sockets, the number of workers "
			"(default: all, or one worker)"},
	{.name = "poll",
		.kind = OPT_CALL,
		.set = set_poll,
		.arg = "adaptive|block|spin",
		.help = "how a worker waits for frames (default: adaptive)"},
	{.name = "coalesce",
		.kind = OPT_UINT,
		.offset = SERVER(coalesce_us),
		.max = 10000,
		.arg = "USEC",
		.help = "with --poll block: let datagrams gather so long before the next "
			"batch is served, for less CPU and later answers (default: 0)"},
	{.name = "busy-poll",
		.kind = OPT_UINT,
		.offset = SERVER(busy_poll),
		.max = 10000,
		.arg = "USEC",
		.help = "busy-poll the driver from the sockets; for NICs that gain from "
			"it (default: off)"},
	{.name = "cpus",
		.kind = OPT_CALL,
		.set = set_cpus,
		.arg = "LIST",
		.help = "CPUs to pin the workers to, such as 0,2-3 (default: one each "
			"where there are enough)"},
	{.name = "limit",
		.kind = OPT_CALL,
		.set = set_limit,
		.arg = "PPS[/BURST]",
		.help = "drop what a source (IPv4 /24, IPv6 /64) sends beyond PPS "
			"datagrams a second, in the filter (default: no limit, "
			"BURST a tenth of PPS)"},
	{.name = "allow",
		.kind = OPT_CALL,
		.set = set_allow,
		.arg = "CIDR",
		.help = "serve this network; repeatable; once given, only those "
			"allowed are served, the longest match deciding"},
	{.name = "deny",
		.kind = OPT_CALL,
		.set = set_deny,
		.arg = "CIDR",
		.help = "drop what comes from this network to a served port; "
			"repeatable"},
	{.name = "attach",
		.kind = OPT_CALL,
		.set = set_attach,
		.arg = "link|dispatcher",
		.help = "attach alone, gone with the process; or through libxdp's "
			"dispatcher beside other programs (default: link)"},
	{.name = "write",
		.letter = 'w',
		.kind = OPT_STRING,
		.offset = SERVER(capture),
		.arg = "FILE",
		.help = "capture every frame received and sent (nanosecond pcap)"},
	{.name = "control",
		.kind = OPT_STRING,
		.offset = offsetof(struct serve_options, control),
		.arg = "PATH",
		.help = "control socket (default: " CONTROL_DIR "/IFACE.sock, or under "
			"$XDG_RUNTIME_DIR for who may not write there)"},
	{.name = "pin-dir",
		.kind = OPT_STRING,
		.offset = offsetof(struct serve_options, pin_dir),
		.arg = "DIR",
		.help = "where the counters are pinned (default: " PIN_ROOT "/IFACE, a "
			"dot in IFACE becoming _)"},
	{.name = "user",
		.kind = OPT_STRING,
		.offset = SERVER(user),
		.arg = "USER",
		.help = "become this user once everything is open (default: nobody)"},
	{.name = "no-sandbox",
		.kind = OPT_FLAG,
		.offset = SERVER(no_sandbox),
		.help = "keep root, capabilities and all system calls: for debugging"},
	{.name = "config",
		.kind = OPT_STRING,
		.offset = offsetof(struct serve_options, config),
		.arg = "FILE",
		.help = "read these options from FILE first, one a line as NAME = VALUE; "
			"the command line wins"},
	{.name = "log-format",
		.kind = OPT_CALL,
		.set = set_log_format,
		.arg = "text|json",
		.help = "how each message is printed (default: text)"},
	{.name = "quiet",
		.letter = 'Q',
		.kind = OPT_FLAG,
		.offset = SERVER(quiet),
		.help = "do not print each message"},
	{.name = "verbose",
		.letter = 'v',
		.kind = OPT_COUNT,
		.offset = offsetof(struct serve_options, verbose),
		.help = "say more; twice: libbpf's and libxdp's own messages too"},
	{},
};

const char serve_notes[] =
	"Ends with SIGINT or SIGTERM; SIGHUP reopens history and capture files.\n";
