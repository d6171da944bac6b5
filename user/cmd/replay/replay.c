/* SPDX-License-Identifier: MIT */
/* udpxdp replay: the services over a capture file; time, addresses and frames come from it. */
#include <arpa/inet.h>
#include <ctype.h>
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
#include "io/pcap.h"
#include "services/service_table.h"

/* Of an address whose subnet is not said: who is near enough to be answered. */
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
		snprintf(error, size, "at most %d services", MAX_SERVICES);
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

static bool read_address(struct udpxdp_addr *addr, const char *text)
{
	static const struct udpxdp_addr none;
	uint32_t ipv4;

	if (inet_pton(AF_INET, text, &ipv4) == 1) {
		*addr = udpxdp_addr_ipv4(0, 0, 0, 0);
		addr->w[3] = ipv4;
		return ntohl(ipv4) >> 24 && ntohl(ipv4) < 0xe0000000;
	}
	return inet_pton(AF_INET6, text, addr->b) == 1 && addr->b[0] != 0xff &&
	       !udpxdp_addr_is_ipv4(addr) && !udpxdp_addr_equal(addr, &none);
}

static int add_local(void *to, const char *arg, char *error, size_t size)
{
	struct config *config = to;
	struct udpxdp_host_addr local = {.on_iface = true};
	const char *slash = strchr(arg, '/');
	char text[INET6_ADDRSTRLEN];
	unsigned long prefix_len;
	unsigned longest;
	char *end = NULL;

	snprintf(text, sizeof(text), "%.*s", (int)(slash ? slash - arg : (long)strlen(arg)), arg);
	if (!read_address(&local.addr, text)) {
		snprintf(error, size, "'%s' is not a unicast address", arg);
		return -1;
	}
	longest = udpxdp_addr_is_ipv4(&local.addr) ? 32 : 128;
	prefix_len = longest == 32 ? USUAL_PREFIX_IPV4 : USUAL_PREFIX_IPV6;
	if (slash && isdigit((unsigned char)slash[1]))
		prefix_len = strtoul(slash + 1, &end, 10);
	if ((slash && (!end || *end)) || prefix_len > longest) {
		snprintf(error, size, "'%s' does not end with a prefix length from 0 to %u", arg,
			longest);
		return -1;
	}
	if (config->local_count == MAX_LOCAL_ADDRS) {
		snprintf(error, size, "at most %d addresses", MAX_LOCAL_ADDRS);
		return -1;
	}
	local.prefix_len = (uint8_t)prefix_len;
	if (longest == 32)
		local.broadcast = broadcast_of(&local.addr, (unsigned)prefix_len);
	config->local[config->local_count++] = local;
	return 0;
}

static int set_mac(void *to, const char *arg, char *error, size_t size)
{
	struct config *config = to;
	bool good = strlen(arg) == 17;

	for (int i = 0; good && i < 17; i++)
		good = i % 3 == 2 ? arg[i] == ':' : isxdigit((unsigned char)arg[i]);
	for (int i = 0; good && i < 6; i++)
		config->mac[i] = (uint8_t)strtoul(arg + 3 * i, NULL, 16);
	if (good && !(config->mac[0] & 1))
		return 0;
	snprintf(error, size, "'%s' is not a unicast MAC address such as 02:00:00:00:00:01", arg);
	return -1;
}

static const struct option_row options[] = {
	{.name = "read",
		.letter = 'r',
		.kind = OPT_STRING,
		.offset = offsetof(struct config, in),
		.arg = "IN",
		.help = "the capture to replay: pcap or pcapng, Ethernet; "
			"- is standard input"},
	{.name = "write",
		.letter = 'w',
		.kind = OPT_STRING,
		.offset = offsetof(struct config, out),
		.arg = "OUT",
		.help = "the capture of what the services send; - is standard "
			"output, and messages are not printed then"},
	{.name = "service",
		.letter = 's',
		.kind = OPT_CALL,
		.set = add_service,
		.arg = "NAME[:PORT][,KEY=VALUE...]",
		.help = "run this service, as serve does; repeatable"},
	{.name = "local",
		.kind = OPT_CALL,
		.set = add_local,
		.arg = "ADDR[/PREFIX]",
		.help = "an address of ours, and how long its subnet's prefix is (24, in IPv6 "
			"64); repeatable; without it any unicast address is ours"},
	{.name = "mac",
		.kind = OPT_CALL,
		.set = set_mac,
		.arg = "MAC",
		.help = "our MAC address, where a frame does not tell it "
			"(02:00:00:00:00:01)"},
	{.name = "mtu",
		.kind = OPT_UINT,
		.offset = offsetof(struct config, mtu),
		.arg = "BYTES",
		.min = 68,
		.max = 65535,
		.help = "the longest IP packet to send (1500)"},
	{.name = "hostname",
		.kind = OPT_STRING,
		.offset = offsetof(struct config, hostname),
		.arg = "NAME",
		.help = "our name (that of this host)"},
	{.name = "quiet",
		.letter = 'Q',
		.kind = OPT_FLAG,
		.offset = offsetof(struct config, quiet),
		.help = "do not print each message"},
	{.name = "verbose",
		.letter = 'v',
		.kind = OPT_COUNT,
		.offset = offsetof(struct config, verbose),
		.help = "say what each count at the end means"},
	{},
};

static void read_options(const struct verb *verb, struct config *config, int argc, char **argv)
{
	char error[256];

	options_parse(verb, config, argc, argv);
	log_level = config->verbose;
	if (!config->in || !config->out)
		log_fail(EXIT_USAGE, "option %s: not given; see udpxdp replay --help",
			config->in ? "--write" : "--read");
	if (!config->service_count)
		for (int i = 0; default_services[i]; i++)
			add_service(config, default_services[i], error, sizeof(error));
	if (services_check(config->services, config->service_count, error, sizeof(error)) < 0)
		log_fail(EXIT_USAGE, "option --service: %s; see udpxdp replay --help", error);
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
		{"udp", "a datagram for a service", engine_verdict(engine, FRAME_UDP)},
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
	static struct config config = {.mac = {2, 0, 0, 0, 0, 1}, .mtu = 1500};
	static char hostname[256];

	gethostname(hostname, sizeof(hostname) - 1);
	config.hostname = hostname;
	read_options(verb, &config, argc, argv);
	return replay(&config);
}

const struct verb replay_verb = {
	.name = "replay",
	.operands = "",
	.summary = "Run the services over a capture file, byte for byte reproducibly. Needs no "
		   "privilege.",
	.options = options,
	.more = service_help_print,
	.notes = "Time comes from the packets; set TZ to have the same stamps everywhere.\n"
		 "Chat messages are appended to the history file, as serve does.",
	.run = run_replay,
};
