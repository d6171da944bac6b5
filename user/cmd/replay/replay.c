/* SPDX-License-Identifier: MIT */
/* udpxdp replay: the services over a capture file; time, addresses and frames come from it. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/replay/outputs.h"
#include "cli/verbs.h"
#include "engine/engine.h"
#include "base/log.h"
#include "base/parse.h"
#include "io/pcap.h"
#include "services/service_spec.h"
#include "services/service_table.h"

#define USUAL_PREFIX_IPV4 24
#define USUAL_PREFIX_IPV6 64

struct config {
	const char *in, *out;
	struct service_config services[MAX_SERVICES];
	unsigned service_count;
	struct udpxdp_host_addr local[MAX_LOCAL_ADDRS];
	unsigned local_count;
	uint8_t mac[6];
	unsigned mtu;
	const char *hostname;
	bool quiet;
	unsigned verbose;
};

static volatile sig_atomic_t caught;

/* ---- the command line ---------------------------------------------------------------- */

static int add_service(void *to, const char *arg, char *error, size_t size)
{
	struct config *config = to;

	if (config->service_count == MAX_SERVICES) {
		snprintf(error, size, "more than %d services", MAX_SERVICES);
		return -1;
	}
	return service_parse(&config->services[config->service_count++], arg, error, size);
}

/* The broadcast address of a subnet; none (all zero) where it has no room for one (RFC 3021). */
static struct udpxdp_addr broadcast_of(const struct udpxdp_addr *addr, unsigned prefix_len)
{
	struct udpxdp_addr broadcast = *addr;

	if (prefix_len > 30)
		return (struct udpxdp_addr){};
	broadcast.w[3] |= htonl(UINT32_MAX >> prefix_len);
	return broadcast;
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

	if (config->local_count == MAX_LOCAL_ADDRS) {
		snprintf(error, size, "more than %d addresses", MAX_LOCAL_ADDRS);
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
	if (udpxdp_addr_is_ipv4(&local.addr)) {
		local.prefix_len = bits - 96;
		local.broadcast = broadcast_of(&local.addr, local.prefix_len);
	}
	config->local[config->local_count++] = local;
	return 0;
}

static int set_mac(void *to, const char *text, char *error, size_t size)
{
	struct config *config = to;
	uint8_t mac[6];

	if (parse_mac(text, mac) && !(mac[0] & 1)) {
		memcpy(config->mac, mac, sizeof(mac));
		return 0;
	}
	snprintf(error, size,
		"invalid MAC address '%s', expected a unicast one such as "
		"02:00:00:00:00:01",
		text);
	return -1;
}

static const struct udpxdp_option options[] = {
	{.name = "read",
		.letter = 'r',
		.kind = UDPXDP_OPTION_STRING,
		.offset = offsetof(struct config, in),
		.arg = "IN",
		.help = "the capture to replay: pcap or pcapng, Ethernet; "
			"- is standard input"},
	{.name = "write",
		.letter = 'w',
		.kind = UDPXDP_OPTION_STRING,
		.offset = offsetof(struct config, out),
		.arg = "OUT",
		.help = "the capture of what the services send; - is standard "
			"output, and messages are not printed then"},
	{.name = "service",
		.letter = 's',
		.kind = UDPXDP_OPTION_CALL,
		.set = add_service,
		.arg = "NAME[:PORT][,KEY=VALUE...]",
		.help = "run this service, as serve does; repeatable"},
	{.name = "local",
		.kind = UDPXDP_OPTION_CALL,
		.set = add_local,
		.arg = "ADDR[/PREFIX]",
		.help = "one of our addresses, PREFIX 24 or, in IPv6, 64 unless given; repeatable "
			"(default: any unicast address is ours)"},
	{.name = "mac",
		.kind = UDPXDP_OPTION_CALL,
		.set = set_mac,
		.arg = "MAC",
		.fallback = "02:00:00:00:00:01",
		.help = "our MAC address, where a frame does not tell it"},
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
		.help = "our name (default: this host's)"},
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

static void read_options(const struct verb *verb, struct config *config, int argc, char **argv)
{
	char error[256];

	options_parse(verb, config, argc, argv);
	log_level = config->verbose;
	if (!config->in || !config->out)
		log_fail(EXIT_USAGE,
			"option %s: not given; name the captures with -r IN and -w OUT",
			config->in ? "--write" : "--read");
	if (!config->service_count)
		for (int i = 0; default_services[i]; i++)
			add_service(config, default_services[i], error, sizeof(error));
	if (services_check(config->services, config->service_count, error, sizeof(error)) < 0)
		log_fail(EXIT_USAGE, "option --service: %s", error);
	if (services_history_owner(config->services, config->service_count, config->out))
		log_fail(EXIT_USAGE,
			"option --write: %s is also a history; give one of them another file",
			config->out);
}

/* ---- what is said at the end --------------------------------------------------------- */

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

static void say_service(FILE *to, const struct service_counters *row)
{
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
}

/* replay: frames=7 udp=5 not_ip=2; echo:8080 rx=5 tx=3 bad_udp_checksum=2 */
static void say_summary(
	const struct engine *engine, const struct service_counters *rows, unsigned count)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return;
	say_verdicts(to, engine);
	for (unsigned i = 0; i < count; i++)
		say_service(to, &rows[i]);
	if (!fclose(to))
		log_line("%s", text);
	free(text);
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

/* Moves the services' clock on with that of the packets, then serves them. */
static void run(struct engine *engine, struct frame_io *io)
{
	uint64_t time_ns, ticked = 0;

	while (!caught && pcap_io_peek(io, &time_ns)) {
		if (time_ns / NSEC_PER_SEC > ticked) {
			engine_tick(engine, time_ns);
			engine_flush(engine);
			ticked = time_ns / NSEC_PER_SEC;
		}
		engine_poll(engine);
	}
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
		snprintf(why, size, "cannot write %s: %s; make room, or give another file", out,
			strerror(errno));
	if (!*why && !caught)
		replay_outputs_keep(outputs, why, size);
	return *why ? -1 : 0;
}

static struct udpxdp_host *make_net(const struct config *config)
{
	struct udpxdp_host *net =
		udpxdp_host_new(config->mac, config->mtu, config->local, config->local_count);

	if (net)
		net->any_unicast = !config->local_count;
	return net;
}

static int replay(const struct config *config)
{
	static struct service_counters counters[MAX_SERVICES];
	bool print = !config->quiet && strcmp(config->out, "-");
	struct replay_outputs *outputs =
		replay_outputs_new(config->services, config->service_count);
	struct udpxdp_host *net = make_net(config);
	struct engine *engine = NULL;
	struct engine_config engine_config = {
		.services = config->services,
		.service_count = config->service_count,
		.counters = counters,
		.hostname = config->hostname,
		.sinks = {.context = outputs,
			.print = print ? replay_print : NULL,
			.record = replay_record},
	};
	char why[1024] = "out of memory";
	int status = -1;

	catch_signals();
	engine_config.io = pcap_io_open(config->in, config->out, why, sizeof(why));
	if (engine_config.io && outputs && net)
		engine = engine_new(&engine_config);
	if (engine) {
		engine_set_net(engine, net);
		run(engine, engine_config.io);
		status = finish(outputs, engine_config.io, config->out, why, sizeof(why));
	} else if (engine_config.io) {
		pcap_io_discard(engine_config.io);
		engine_config.io->ops->close(engine_config.io);
	}
	if (caught)
		raise(caught);
	if (status)
		log_line("%s", why);
	else
		say_summary(engine, counters, config->service_count);
	engine_free(engine);
	replay_outputs_free(outputs);
	free(net);
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
