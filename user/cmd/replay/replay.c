/* SPDX-License-Identifier: MIT */
/* udpxdp replay: the services over a capture file; time, addresses and frames come from it. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/replay/expect.h"
#include "cmd/replay/outputs.h"
#include "cmd/replay/room.h"
#include "cmd/replay/summary.h"
#include "cli/files.h"
#include "cli/verbs.h"
#include "cli/vlans.h"
#include "engine/engine.h"
#include "base/log.h"
#include "base/parse.h"
#include "io/pcap.h"
#include "services/service_spec.h"
#include "services/service_table.h"

#define USUAL_PREFIX_IPV4 24
#define USUAL_PREFIX_IPV6 64

struct config {
	const char *in, *out, *expect;
	const char *room, *told; /* what other hosts say, and are told */
	struct service_config services[MAX_SERVICES];
	unsigned service_count;
	struct udpxdp_host_addr local[UDPXDP_LOCAL_ADDRS_MAX];
	unsigned local_count;
	uint8_t mac[6];
	bool mac_known, mac_given; /* the default comes first */
	struct vlan_set vlans;
	unsigned mtu;
	const char *hostname;
	bool quiet, update;
	unsigned verbose;
};

static volatile sig_atomic_t caught;

/* ---- the command line ---------------------------------------------------------------- */

static int add_service(void *to, const char *arg, char *error, size_t size)
{
	struct config *config = to;

	return services_add(config->services, &config->service_count, arg, error, size);
}

static bool is_unicast(const struct udpxdp_addr *addr)
{
	static const struct udpxdp_addr none;

	if (udpxdp_addr_is_ipv4(addr))
		return addr->b[12] && addr->b[12] < 0xe0;
	return addr->b[0] != 0xff && !udpxdp_addr_equal(addr, &none);
}

/* Of an address whose subnet is not said: who is near enough to be answered. */
static uint8_t usual_prefix(const struct udpxdp_addr *addr)
{
	return udpxdp_addr_is_ipv4(addr) ? 96 + USUAL_PREFIX_IPV4 : USUAL_PREFIX_IPV6;
}

static int add_local(void *to, const char *text, char *error, size_t size)
{
	struct config *config = to;
	struct udpxdp_host_addr local = {.on_iface = true};
	uint8_t bits;

	if (config->local_count == UDPXDP_LOCAL_ADDRS_MAX) {
		snprintf(error, size, "more than %d addresses", UDPXDP_LOCAL_ADDRS_MAX);
		return -1;
	}
	if (!parse_prefix(text, &local.addr, &bits) || !is_unicast(&local.addr) ||
		(udpxdp_addr_is_ipv4(&local.addr) && strchr(text, ':'))) {
		snprintf(error, size,
			"invalid address '%s', expected a unicast one such as 10.0.0.1/24 or "
			"fd00::1/64",
			text);
		return -1;
	}
	if (!strchr(text, '/'))
		bits = usual_prefix(&local.addr);
	local.prefix_len = bits;
	if (udpxdp_addr_is_ipv4(&local.addr))
		local.prefix_len = bits - 96;
	config->local[config->local_count++] = local;
	return 0;
}

static int set_mac(void *to, const char *text, char *error, size_t size)
{
	struct config *config = to;
	uint8_t mac[6];

	if (parse_mac(text, mac) && !(mac[0] & 1)) {
		config->mac_given = config->mac_known, config->mac_known = true;
		memcpy(config->mac, mac, sizeof(mac));
		return 0;
	}
	snprintf(error, size,
		"invalid MAC address '%s', expected a unicast one such as 02:00:00:00:00:01", text);
	return -1;
}

static int set_vlans(void *to, const char *text, char *error, size_t size)
{
	return vlans_read(&((struct config *)to)->vlans, text, error, size);
}

static const struct udpxdp_option options[] = {
	{.name = "read",
		.letter = 'r',
		.kind = UDPXDP_OPTION_STRING,
		.offset = offsetof(struct config, in),
		.arg = "IN",
		.help = "the capture to replay: pcap or pcapng, Ethernet; - is standard input"},
	{.name = "write",
		.letter = 'w',
		.kind = UDPXDP_OPTION_STRING,
		.offset = offsetof(struct config, out),
		.arg = "OUT",
		.help = "the capture of what the services send; - is standard "
			"output, and messages are not printed then"},
	{.name = "expect",
		.kind = UDPXDP_OPTION_STRING,
		.offset = offsetof(struct config, expect),
		.arg = "GOLDEN",
		.help = "compare what the services send with this capture; what differs is said, "
			"and the exit status is then 1"},
	{.name = "update",
		.kind = UDPXDP_OPTION_BOOL,
		.offset = offsetof(struct config, update),
		.help = "write GOLDEN instead of comparing"},
	{.name = "service",
		.letter = 's',
		.kind = UDPXDP_OPTION_CALL,
		.set = add_service,
		.arg = "NAME|./FILE.so[:PORT[-PORT]][,KEY=VALUE...]",
		.help = "run this service, as serve does; repeatable"},
	{.name = "room",
		.kind = UDPXDP_OPTION_STRING,
		.offset = offsetof(struct config, room),
		.arg = "FILE",
		.help = "what other hosts of a room say meanwhile: JSON, an event a line, as "
			"udpxdp(8) has it"},
	{.name = "told",
		.kind = UDPXDP_OPTION_STRING,
		.offset = offsetof(struct config, told),
		.arg = "FILE",
		.help = "write what they are told, likewise"},
	{.name = "local",
		.kind = UDPXDP_OPTION_CALL,
		.set = add_local,
		.arg = "ADDR[/PREFIX]",
		.help = "a local address; PREFIX is 24, or 64 in IPv6, by default; repeatable "
			"(default: any unicast address is ours)"},
	{.name = "mac",
		.kind = UDPXDP_OPTION_CALL,
		.set = set_mac,
		.arg = "MAC",
		.fallback = "02:00:00:00:00:01",
		.help = "local MAC address; frames to other hosts' are not answered then (default: "
			"02:00:00:00:00:01 for frames that do not show it, and any is ours)"},
	{.name = "vlan",
		.kind = UDPXDP_OPTION_CALL,
		.set = set_vlans,
		.arg = "own|any|none|ID,...",
		.fallback = "any",
		.help = "which tagged frames to answer besides untagged ones, as serve does; own: "
			"none, for a capture does not say what devices there are"},
	{.name = "mtu",
		.kind = UDPXDP_OPTION_UINT,
		.offset = offsetof(struct config, mtu),
		.arg = "BYTES",
		.min = 68,
		.max = 65535,
		.fallback = "1500",
		.help = "the longest IP packet to send"},
	{.name = "hostname",
		.kind = UDPXDP_OPTION_STRING,
		.offset = offsetof(struct config, hostname),
		.arg = "NAME",
		.help = "host name to answer with (default: this host's)"},
	{.name = "quiet",
		.letter = 'Q',
		.kind = UDPXDP_OPTION_BOOL,
		.offset = offsetof(struct config, quiet),
		.help = "do not print messages"},
	{.name = "verbose",
		.letter = 'v',
		.kind = UDPXDP_OPTION_COUNT,
		.offset = offsetof(struct config, verbose),
		.help = "explain each count of the last line"},
	{},
};

static void check_files(const struct config *c)
{
	const struct named_file files[] = {
		{c->update ? "--expect" : "--write", strcmp(c->out, "-") ? c->out : "/dev/stdout",
			true},
		{"--read", strcmp(c->in, "-") ? c->in : "/dev/stdin", false},
		{"--expect", c->update ? NULL : c->expect, false},
		{"--room", c->room, false},
		{"--told", c->told, true},
	};

	files_check(files, sizeof(files) / sizeof(files[0]), c->services, c->service_count);
}

static void read_options(const struct verb *verb, struct config *config, int argc, char **argv)
{
	char error[256];

	options_parse(verb, config, argc, argv);
	log_level = config->verbose;
	if (config->update && !config->expect)
		log_fail(EXIT_USAGE, "option --update: requires --expect GOLDEN; give both");
	if (config->update && config->out)
		log_fail(EXIT_USAGE, "option --update: it writes GOLDEN; remove --write");
	if (config->expect && !config->out)
		config->out = config->update ? config->expect : "/dev/null";
	if (!config->in || !config->out)
		log_fail(EXIT_USAGE,
			"option %s: not given; name the captures with -r IN and -w OUT, or "
			"--expect GOLDEN",
			config->in ? "--write" : "--read");
	if (!config->service_count)
		for (int i = 0; default_services[i]; i++)
			add_service(config, default_services[i], error, sizeof(error));
	if (services_check(config->services, config->service_count, error, sizeof(error)) < 0)
		log_fail(EXIT_USAGE, "option --service: %s", error);
	check_files(config);
}

/* ---- the run ------------------------------------------------------------------------- */

static void on_signal(int number)
{
	caught = number;
}

/* An interrupted replay ends as a failed one does, with nothing left behind. */
static void catch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
}

/* Moves the services' clock on with that of the packets, then serves them; what other hosts of a
 * room say comes before the packets of the same time. */
static void run(struct engine *engine, struct frame_io *io, struct replay_room *room)
{
	uint64_t ticked = 0, packet, event;

	while (!caught) {
		const bool more = pcap_io_peek(io, &packet);
		const bool says = replay_room_peek(room, &event);
		const bool event_first = says && (!more || event <= packet);
		const uint64_t time_ns = event_first ? event : packet;

		if (!more && !says)
			break;
		if (time_ns / UDPXDP_NSEC_PER_SEC > ticked) {
			engine_tick(engine, time_ns);
			engine_flush(engine);
			ticked = time_ns / UDPXDP_NSEC_PER_SEC;
		}
		pcap_io_read_until(io, says ? event : UINT64_MAX);
		if (event_first)
			replay_room_come(room, engine);
		while (engine_poll(engine) > 0 && event_first) /* all that it made */
			;
	}
	while (!caught && engine_poll(engine) > 0) /* what was left for later */
		;
}

/* Ends the output: all of it, or none. Returns 0, or -1 with why not. */
static int finish(struct replay_outputs *outputs, struct frame_io *io, const char *out, char *why,
	size_t size)
{
	snprintf(why, size, "%s", pcap_io_error(io));
	if (!*why)
		replay_outputs_check(outputs, why, size);
	if (caught || *why)
		pcap_io_discard(io);
	if (io->ops->close(io) && !*why)
		snprintf(why, size, "cannot write %s: %s; free some space, or give another file",
			out, strerror(errno));
	if (!*why && !caught)
		replay_outputs_keep(outputs, why, size);
	return *why ? -1 : 0;
}

static struct udpxdp_host *make_net(const struct config *config)
{
	static const struct links no_links;
	struct udpxdp_host_links taken = {};
	struct udpxdp_host *net;

	memcpy(taken.mac, config->mac, sizeof(taken.mac));
	if (links_taken(&no_links, &config->vlans, &taken))
		return NULL;
	net = udpxdp_host_new_on(&taken, config->mtu, config->local, config->local_count);
	links_free_taken(&taken);
	if (!net)
		return NULL;
	net->any_unicast = !config->local_count;
	net->any_mac = !config->mac_given;
	net->any_group = true;
	return net;
}

/* A test that asks nothing would pass for ever. */
#define NOTHING_TESTED                                                                  \
	"nothing is tested: no datagram of %s is for a service; name its port with -s " \
	"NAME:PORT, and capture elsewhere than on lo"

static bool is_served(const struct config *config, const struct service_counters *rows)
{
	for (unsigned i = 0; i < config->service_count; i++)
		if (rows[i].rx)
			return true;
	return false;
}

/* Runs the services over the capture. Returns 0, or -1 with why not. */
static int serve_capture(const struct config *config, struct engine_config *engine_config,
	struct replay_room *room, struct expect *expect, char *why, size_t size)
{
	struct replay_outputs *outputs = engine_config->sinks.context;
	struct frame_io *io = engine_config->io;
	struct udpxdp_host *net = make_net(config);
	struct engine *engine = net ? engine_new(engine_config) : NULL;
	struct pcap_io_skipped skipped;
	bool served;
	int status = -1;

	if (engine) {
		engine_set_net(engine, net);
		if (expect)
			pcap_io_watch(io, expect_frame, expect);
		run(engine, io, room);
		skipped = pcap_io_skipped(io);
		served = is_served(config, engine_config->counters);
		if (config->update && !served)
			pcap_io_discard(io);
		status = finish(outputs, io, config->out, why, size);
		if (!status && !caught) {
			replay_say_skipped(config->in, &skipped);
			replay_say_summary(engine, engine_config->counters, config->services,
				config->service_count);
			status = expect ? expect_result(expect, why, size) : 0;
			if (!status && config->expect && !served) {
				snprintf(why, size, NOTHING_TESTED, config->in);
				status = -1;
			}
		}
	} else {
		snprintf(why, size, "out of memory");
		pcap_io_discard(io);
		io->ops->close(io);
	}
	engine_free(engine);
	free(net);
	return status;
}

static int replay(const struct config *config)
{
	static struct service_counters counters[MAX_SERVICES];
	bool print = !config->quiet && strcmp(config->out, "-");
	bool compare = config->expect && !config->update;
	struct engine_config engine_config = {
		.services = config->services,
		.service_count = config->service_count,
		.counters = counters,
		.hostname = config->hostname,
		.ingress = "capture",
		.sinks = {.context = replay_outputs_new(config->services, config->service_count),
			.print = print ? replay_print : NULL,
			.record = replay_record,
			.publish = replay_tell},
	};
	struct replay_room *room = NULL;
	struct expect *expect = NULL;
	char why[1024] = "out of memory";
	int status = -1;

	catch_signals();
	if (compare)
		expect = expect_open(config->expect, why, sizeof(why));
	if (engine_config.sinks.context && (expect || !compare))
		room = replay_room_read(
			config->room, config->services, config->service_count, why, sizeof(why));
	if (room && config->told && replay_outputs_tell(engine_config.sinks.context, config->told))
		snprintf(why, sizeof(why),
			"cannot make a temporary file: %s; free some space in /tmp",
			strerror(errno));
	else if (room)
		engine_config.io = pcap_io_open(config->in, config->out, why, sizeof(why));
	if (engine_config.io)
		status = serve_capture(config, &engine_config, room, expect, why, sizeof(why));
	if (caught)
		raise(caught);
	if (status)
		log_line("%s", why);
	replay_outputs_free(engine_config.sinks.context);
	replay_room_free(room);
	expect_close(expect);
	return status ? EXIT_RUNTIME : EXIT_CLEAN;
}

static int run_replay(const struct verb *verb, int argc, char **argv)
{
	static struct config config;
	static char hostname[256];

	gethostname(hostname, sizeof(hostname) - 1);
	config.hostname = hostname;
	read_options(verb, &config, argc, argv);
	return replay(&config);
}

const struct verb replay_verb = {
	.name = "replay",
	.operands = "",
	.instead = "name the captures with -r IN and -w OUT",
	.summary = "Run the services over a capture file, offline.",
	.options = options,
	.more = service_help_print,
	.notes =
		"Time comes from the packets, so the output is the same every time; set TZ to have "
		"the\nsame stamps everywhere. Nothing is written but OUT and, where history=PATH "
		"names one,\na history. No privilege is needed.",
	.run = run_replay,
};
