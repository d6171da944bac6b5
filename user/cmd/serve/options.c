/* SPDX-License-Identifier: MIT */
#include "cmd/serve/options.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "cli/vlans.h"
#include "server/control.h"
#include "services/service_spec.h"

/* The first one gives its name to what there is one of. */
static int add_interface(void *config, const char *text, char *error, size_t size)
{
	struct server_config *c = &((struct serve_options *)config)->server;

	if (!*text) {
		snprintf(error, size, "requires a value");
		return -1;
	}
	if (!c->iface) {
		c->iface = text;
		return 0;
	}
	if (c->more_count == INTERFACES_MAX - 1) {
		snprintf(error, size, "more than %d interfaces", INTERFACES_MAX);
		return -1;
	}
	c->more[c->more_count++].iface = text;
	return 0;
}

static int set_service(void *config, const char *text, char *error, size_t size)
{
	struct server_config *c = &((struct serve_options *)config)->server;

	return services_add(c->services, &c->service_count, text, error, size);
}

/* PPS[/BURST]: what the virtual scheduling form of a token bucket needs, in nanoseconds. */
static int read_limit(struct rate_limit *limit, const char *text, char *error, size_t size)
{
	const char *rest = text;
	uint64_t pps, burst;
	char piece[16];

	if (!parse_piece(&rest, "/", piece, sizeof(piece)) ||
		!parse_uint(piece, 1, UDPXDP_NSEC_PER_SEC, &pps))
		goto invalid;
	burst = pps / 10 ? pps / 10 : 1;
	if (*rest && !parse_uint(rest + 1, 1, 100000000, &burst))
		goto invalid;
	limit->interval = UDPXDP_NSEC_PER_SEC / pps;
	limit->burst = (burst - 1) * limit->interval;
	return 0;
invalid:
	snprintf(error, size,
		"invalid limit '%s', expected datagrams a second, as in 1000, or with "
		"a burst, as in 1000/200",
		text);
	return -1;
}

static int set_limit(void *config, const char *text, char *error, size_t size)
{
	return read_limit(&((struct serve_options *)config)->server.limit, text, error, size);
}

static int set_limit_total(void *config, const char *text, char *error, size_t size)
{
	return read_limit(&((struct serve_options *)config)->server.total, text, error, size);
}

static int add_rule(void *config, const char *text, __u32 verdict, char *error, size_t size)
{
	struct server_config *c = &((struct serve_options *)config)->server;
	struct guard_rule *rule = &c->rules[c->rule_count];
	uint8_t bits;

	if (c->rule_count == MAX_RULES) {
		snprintf(error, size, "more than %d --allow and --deny; use --rules", MAX_RULES);
		return -1;
	}
	if (!parse_prefix(text, &rule->key.addr, &bits)) {
		snprintf(error, size,
			"invalid network '%s', expected one such as 10.0.0.0/8 or "
			"fd00::/16",
			text);
		return -1;
	}
	rule->key.prefix_len = bits;
	rule->verdict = verdict;
	c->rule_count++;
	return 0;
}

static int set_allow(void *config, const char *text, char *error, size_t size)
{
	return add_rule(config, text, RULE_ALLOW, error, size);
}

static int set_deny(void *config, const char *text, char *error, size_t size)
{
	return add_rule(config, text, RULE_DENY, error, size);
}

static int set_queues(void *config, const char *text, char *error, size_t size)
{
	struct server_config *c = &((struct serve_options *)config)->server;

	if (!strcmp(text, "all")) {
		c->first_queue = 0;
		c->last_queue = MAX_QUEUES - 1;
		return 0;
	}
	if (parse_range(text, MAX_QUEUES - 1, &c->first_queue, &c->last_queue))
		return 0;
	snprintf(error, size, "invalid queues '%s', expected all, N or N-M, up to %d", text,
		MAX_QUEUES - 1);
	return -1;
}

static int set_vlans(void *config, const char *text, char *error, size_t size)
{
	return vlans_read(&((struct serve_options *)config)->server.vlans, text, error, size);
}

/* Which of them there are, the system is asked later. */
static int set_cpus(void *config, const char *text, char *error, size_t size)
{
	struct server_config *c = &((struct serve_options *)config)->server;
	const char *rest = text;
	unsigned first, last;
	char piece[24];

	c->cpu_count = 0;
	for (;; rest++) {
		if (!parse_piece(&rest, ",", piece, sizeof(piece)) ||
			!parse_range(piece, MAX_CPUS - 1, &first, &last)) {
			snprintf(error, size, "invalid CPUs '%s', expected a list such as 0,2-3",
				text);
			return -1;
		}
		if (last - first >= MAX_QUEUES - c->cpu_count) {
			snprintf(error, size, "more than %d CPUs, one for each queue", MAX_QUEUES);
			return -1;
		}
		while (first <= last)
			c->cpus[c->cpu_count++] = (int)first++;
		if (!*rest)
			return 0;
	}
}

/* The last of --print and --quiet counts. */
static int set_print(void *config, const char *text, char *error, size_t size)
{
	struct serve_options *o = config;
	struct server_config *c = &o->server;
	uint64_t rate = PRINTER_ALL;

	c->quiet = !strcmp(text, "none");
	if (!c->quiet && strcmp(text, "all") && !parse_uint(text, 1, 1000000000, &rate)) {
		snprintf(error, size,
			"invalid value '%s', expected all, none or a number of lines a second",
			text);
		return -1;
	}
	if (!c->quiet)
		c->print_rate = rate;
	o->print_asked = !c->quiet;
	return 0;
}

static const struct udpxdp_word modes[] = {
	{"auto", XDP_MODE_AUTO},
	{"zerocopy", XDP_MODE_ZEROCOPY},
	{"copy", XDP_MODE_COPY},
	{"skb", XDP_MODE_SKB},
	{"sockets", XDP_MODE_SOCKETS},
	{"native", XDP_MODE_COPY},
	{"drv", XDP_MODE_COPY},
	{"generic", XDP_MODE_SKB},
	{},
};

static const struct udpxdp_word polls[] = {
	{"adaptive", WAIT_ADAPTIVE}, {"block", WAIT_BLOCK}, {"spin", WAIT_SPIN}, {}};
static const struct udpxdp_word log_formats[] = {
	{"text", PRINTER_TEXT}, {"json", PRINTER_JSON}, {}};
static const struct udpxdp_word attaches[] = {
	{"link", ATTACH_LINK}, {"dispatcher", ATTACH_DISPATCHER}, {}};

static const struct udpxdp_word on_off[] = {{"on", true}, {"off", false}, {}};

#define SERVE(member) .offset = offsetof(struct serve_options, member)

const struct udpxdp_option serve_options[] = {
	{.name = "iface",
		.letter = 'i',
		.kind = UDPXDP_OPTION_CALL,
		.set = add_interface,
		.arg = "IFACE",
		.help = "interface to serve; repeatable; required except with --mode sockets, "
			"which serves all"
			" of them without it"},
	{.name = "interface", .kind = UDPXDP_OPTION_CALL, .set = add_interface},
	{.name = "service",
		.letter = 's',
		.kind = UDPXDP_OPTION_CALL,
		.set = set_service,
		.arg = "NAME|./FILE.so[:PORT[-PORT]][,KEY=VALUE...]",
		.help = "run this service, built in or a shared object, on each port of a range; "
			"repeatable; once given, only those named run (default: echo, broadcast "
			"and chat)"},
	{.name = "mode",
		.letter = 'm',
		.kind = UDPXDP_OPTION_ENUM,
		.words = modes,
		SERVE(server.mode),
		.fallback = "auto",
		.help = "how frames get to user space; auto takes the first that works, "
			"a named mode never falls back; sockets: the kernel's UDP sockets instead "
			"of XDP, without any privilege"},
	{.name = "sockets",
		.kind = UDPXDP_OPTION_ENUM,
		.words = on_off,
		SERVE(server.beside),
		.fallback = "on",
		.help = "beside XDP, UDP sockets of the kernel on the served ports, for what XDP "
			"cannot serve: clients on this host, fragments, frames and answers that "
			"are too large"},
	{.name = "queues",
		.letter = 'q',
		.kind = UDPXDP_OPTION_CALL,
		.set = set_queues,
		.fallback = "all",
		.arg = "all|N[-M]",
		.help = "RX queues to serve; with --mode sockets, the number of workers (default "
			"there: 1)"},
	{.name = "poll",
		.kind = UDPXDP_OPTION_ENUM,
		.words = polls,
		SERVE(server.wait),
		.fallback = "adaptive",
		.help = "how a worker waits for frames"},
	{.name = "coalesce",
		.kind = UDPXDP_OPTION_UINT,
		SERVE(server.coalesce_us),
		.max = 10000,
		.fallback = "0",
		.arg = "USEC",
		.help = "with --poll block: let datagrams gather for this long before the next "
			"batch is served; less CPU, higher latency"},
	{.name = "busy-poll",
		.kind = UDPXDP_OPTION_UINT,
		SERVE(server.busy_poll),
		.max = 10000,
		.arg = "USEC",
		.help = "busy-poll the driver from the sockets, for NICs that gain from "
			"it (default: off)"},
	{.name = "cpus",
		.kind = UDPXDP_OPTION_CALL,
		.set = set_cpus,
		.arg = "LIST",
		.help = "CPUs to pin the workers to, such as 0,2-3 (default: one each "
			"where there are enough)"},
	{.name = "limit",
		.kind = UDPXDP_OPTION_CALL,
		.set = set_limit,
		.arg = "PPS[/BURST]",
		.help = "drop, in the filter, what a host sends beyond PPS datagrams a second, its "
			"network (IPv4 /24, IPv6 /64) beyond 8 times and its site (/16, /48) "
			"beyond "
			"32 times that (default: no limit, BURST a tenth of PPS)"},
	{.name = "limit-total",
		.kind = UDPXDP_OPTION_CALL,
		.set = set_limit_total,
		.arg = "PPS[/BURST]",
		.help = "drop what all sources together send beyond PPS datagrams a second "
			"(default: no limit)"},
	{.name = "allow",
		.kind = UDPXDP_OPTION_CALL,
		.set = set_allow,
		.arg = "CIDR",
		.help = "serve this network; repeatable; once given, only the networks allowed "
			"are served; the longest match decides"},
	{.name = "deny",
		.kind = UDPXDP_OPTION_CALL,
		.set = set_deny,
		.arg = "CIDR",
		.help = "drop datagrams from this network to served ports; repeatable"},
	{.name = "vlan",
		.kind = UDPXDP_OPTION_CALL,
		.set = set_vlans,
		.fallback = "own",
		.arg = "own|any|none|ID,...",
		.help = "which tagged frames to serve besides untagged ones: of VLANs that this "
			"host has a device for on the interface, of any, of none, or of these"},
	{.name = "rules",
		.kind = UDPXDP_OPTION_STRING,
		SERVE(server.rules_file),
		.arg = "FILE",
		.help = "more of --allow and --deny, one 'allow CIDR' or 'deny CIDR' a line; "
			"SIGHUP "
			"reads it again"},
	{.name = "attach",
		.kind = UDPXDP_OPTION_ENUM,
		.words = attaches,
		SERVE(attach),
		.fallback = "link",
		.help = "link: alone on the interface, gone with the process; dispatcher: "
			"beside other programs, through libxdp"},
	{.name = "write",
		.letter = 'w',
		.kind = UDPXDP_OPTION_STRING,
		SERVE(server.capture),
		.arg = "FILE",
		.help = "capture every frame received and sent (nanosecond pcap); - is standard "
			"output, and messages are not printed then"},
	{.name = "control",
		.kind = UDPXDP_OPTION_STRING,
		SERVE(control),
		.arg = "PATH",
		.help = "control socket (default: " CONTROL_DIR "/IFACE.sock, or under "
			"$XDG_RUNTIME_DIR for users who may not write there)"},
	{.name = "pin-dir",
		.kind = UDPXDP_OPTION_STRING,
		SERVE(pin_dir),
		.arg = "DIR",
		.help = "directory to pin the counters in (default: " PIN_ROOT "/IFACE, a "
			"dot in IFACE becoming _)"},
	{.name = "user",
		.kind = UDPXDP_OPTION_STRING,
		SERVE(server.user),
		.arg = "USER",
		.help = "user to run as, once everything is open (default: udpxdp if there is "
			"such a user, else nobody)"},
	{.name = "no-sandbox",
		.kind = UDPXDP_OPTION_BOOL,
		SERVE(server.no_sandbox),
		.help = "keep root, capabilities and all system calls: for debugging"},
	{.name = "config",
		.kind = UDPXDP_OPTION_STRING,
		SERVE(config),
		.arg = "FILE",
		.help = "read these options from FILE first, one a line as NAME = VALUE; "
			"the command line wins"},
	{.name = "check",
		.kind = UDPXDP_OPTION_BOOL,
		SERVE(check),
		.help = "check everything that can be checked without attaching anything, print "
			"what would be done, and exit with the status that serving would"},
	{.name = "log-format",
		.kind = UDPXDP_OPTION_ENUM,
		.words = log_formats,
		SERVE(server.log_format),
		.fallback = "text",
		.help = "format of the messages printed"},
	{.name = "print",
		.kind = UDPXDP_OPTION_CALL,
		.set = set_print,
		.arg = "all|none|RATE",
		.help = "print all messages, none, or at most RATE lines a second (default: 100)"},
	{.name = "quiet",
		.letter = 'Q',
		.kind = UDPXDP_OPTION_BOOL,
		SERVE(server.quiet),
		.help = "the same as --print none"},
	{.name = "verbose",
		.letter = 'v',
		.kind = UDPXDP_OPTION_COUNT,
		SERVE(verbose),
		.help = "print more; twice: also the messages of libbpf and libxdp"},
	{},
};

const char serve_notes[] = "SIGINT or SIGTERM stops the server; SIGHUP reopens history and capture "
			   "files\nand reads the rules again.\n";
