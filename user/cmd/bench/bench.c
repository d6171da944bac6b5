/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/bench/report.h"
#include "cmd/bench/stamp_run.h"
#include "cli/verbs.h"
#include "base/log.h"
#include "base/parse.h"
#include "udpxdp/datagram.h"

#define DEFAULT_WINDOW 64
#define DEFAULT_FLOWS 4
#define DEFAULT_SIZE 64
#define STAMP_RATE 1000
#define STAMP_PORT "862"

struct bench {
	unsigned window, rate, burst, size, flows, count, timeout_ms;
	uint64_t duration_ns;
	bool json, quiet, any_answer, stamp;
	const char *payload;
};

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	stop = signal;
}

#define MEMBER(name) .offset = offsetof(struct bench, name)

static const struct udpxdp_option rows[] = {
	{.name = "stamp",
		.kind = UDPXDP_OPTION_BOOL,
		MEMBER(stamp),
		.help = "measure with a session reflector (RFC 8762): delay, loss, order and "
			"duplicates of each way; by default 1000 packets a second of 44 bytes"},
	{.name = "window",
		.letter = 'w',
		.kind = UDPXDP_OPTION_UINT,
		MEMBER(window),
		.arg = "N",
		.min = 1,
		.max = 1000000,
		.help = "closed loop: keep N requests under way (default: 64)"},
	{.name = "rate",
		.letter = 'r',
		.kind = UDPXDP_OPTION_UINT,
		MEMBER(rate),
		.arg = "PPS",
		.min = 1,
		.max = 100000000,
		.help = "open loop: send PPS requests a second, answered or not; latency "
			"counts from when a request should have been sent"},
	{.name = "burst",
		.letter = 'b',
		.kind = UDPXDP_OPTION_UINT,
		MEMBER(burst),
		.arg = "N",
		.min = 1,
		.max = 64,
		.fallback = "1",
		.help = "with --rate: send N at a time, at the same average rate"},
	{.name = "size",
		.letter = 's',
		.kind = UDPXDP_OPTION_UINT,
		MEMBER(size),
		.arg = "BYTES",
		.min = REQUEST_MIN,
		.max = REQUEST_MAX,
		.help = "bytes of payload in a request (default: 64)"},
	{.name = "payload",
		.letter = 'p',
		.kind = UDPXDP_OPTION_STRING,
		MEMBER(payload),
		.arg = "FILE|HEX",
		.help = "send what is in FILE, or these bytes, such as 0x68656c6c6f"},
	{.name = "any-answer",
		.letter = 'a',
		.kind = UDPXDP_OPTION_BOOL,
		MEMBER(any_answer),
		.help = "accept any answer: for services that do not echo; an answer "
			"counts for the oldest request of its flow"},
	{.name = "time",
		.letter = 't',
		.kind = UDPXDP_OPTION_SECONDS,
		MEMBER(duration_ns),
		.max = 1000000000,
		.fallback = "5",
		.arg = "SEC",
		.help = "stop sending after SEC seconds; 0: no limit"},
	{.name = "count",
		.letter = 'n',
		.kind = UDPXDP_OPTION_UINT,
		MEMBER(count),
		.arg = "N",
		.help = "stop after N requests"},
	{.name = "flows",
		.letter = 'f',
		.kind = UDPXDP_OPTION_UINT,
		MEMBER(flows),
		.arg = "N",
		.min = 1,
		.max = 1000,
		.help = "spread the requests over N sockets, and so source ports (default: 4)"},
	{.name = "timeout",
		.kind = UDPXDP_OPTION_UINT,
		MEMBER(timeout_ms),
		.arg = "MS",
		.max = 60000,
		.fallback = "500",
		.help = "give up on an answer after MS milliseconds"},
	{.name = "json",
		.letter = 'j',
		.kind = UDPXDP_OPTION_BOOL,
		MEMBER(json),
		.help = "print the result as JSON"},
	{.name = "quiet",
		.letter = 'Q',
		.kind = UDPXDP_OPTION_BOOL,
		MEMBER(quiet),
		.help = "no progress line on the terminal"},
	{0},
};

/* How to reach the server; ends the program when there is no way. */
static void resolve(struct load_config *config, const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *found = NULL;
	int error = getaddrinfo(host, port, &hints, &found);

	if (error == EAI_ADDRFAMILY || error == EAI_NONAME) { /* as for ::1 without an IPv6 route */
		hints.ai_flags = 0;
		error = getaddrinfo(host, port, &hints, &found);
	}
	if (error == EAI_SERVICE)
		log_fail(EXIT_USAGE, "port '%s': not a port; give a number from 1 to 65535", port);
	if (error)
		log_fail(EXIT_RUNTIME, "host '%s': %s; give an address or a name that resolves",
			host, error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
	memcpy(&config->server, found->ai_addr, found->ai_addrlen);
	config->server_len = found->ai_addrlen;
	freeaddrinfo(found);
}

static void check_port(const char *port)
{
	uint16_t number;

	if (!port[strspn(port, "0123456789")] && !parse_port(port, &number))
		log_fail(EXIT_USAGE, "port '%s': not a port; give a number from 1 to 65535", port);
}

/* Ctrl-C ends the run, which then says what it has; a second one ends the program. */
static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void __attribute__((noreturn)) no_payload(const char *name, const char *why)
{
	log_fail(EXIT_USAGE,
		"option --payload: '%s': %s; give a file of 1 to %d bytes, or the bytes in hex",
		name, why, REQUEST_MAX);
}

/* A file of that name comes first; with 0x in front it can only be the bytes themselves. */
static void read_payload(struct load_config *load, const char *name)
{
	static uint8_t payload[REQUEST_MAX + 1];
	FILE *file = strncmp(name, "0x", 2) ? fopen(name, "re") : NULL;
	int error = errno;
	size_t len;

	if (file) {
		len = fread(payload, 1, sizeof(payload), file);
		if (ferror(file))
			no_payload(name, strerror(errno));
		fclose(file);
		if (!len || len > REQUEST_MAX)
			no_payload(name, len ? "too long for a datagram" : "empty");
	} else if (!parse_hex(name, payload, REQUEST_MAX, &len)) {
		no_payload(name, strncmp(name, "0x", 2) ? strerror(error) : "not hexadecimal");
	}
	load->payload = payload;
	load->size = (unsigned)len;
}

static void fill_load(struct load_config *load, const struct bench *bench)
{
	*load = (struct load_config){
		.window = bench->window ? bench->window : DEFAULT_WINDOW,
		.rate = bench->rate,
		.burst = bench->burst,
		.size = bench->size ? bench->size : DEFAULT_SIZE,
		.flows = bench->flows ? bench->flows : DEFAULT_FLOWS,
		.any_answer = bench->any_answer,
		.duration_ns = bench->duration_ns,
		.count = bench->count,
		.timeout_ns = bench->timeout_ms * (UDPXDP_NSEC_PER_SEC / 1000),
		.stop = &stop,
	};
	if (!load->rate && load->flows > load->window)
		load->flows = load->window;
	if (bench->payload)
		read_payload(load, bench->payload);
	if (!bench->quiet && isatty(STDERR_FILENO))
		load->progress = bench_progress;
}

static int any_answer(uint64_t received, uint64_t refused, const char *host, const char *port)
{
	if (received)
		return EXIT_CLEAN;
	log_line("bench %s port %s: no answer: %s", host, port,
		refused ? "nothing listens on that port; start a server there"
			: "none in time; check that the server runs and is reachable");
	return EXIT_RUNTIME;
}

/* 0 when the server answered, and all it answered was right. */
static int verdict(const struct load_result *result, const char *host, const char *port)
{
	if (result->tally.wrong) {
		log_line("bench %s port %s: %llu wrong answers: not what was sent; give "
			 "--any-answer if it does not echo",
			host, port, (unsigned long long)result->tally.wrong);
		return EXIT_RUNTIME;
	}
	return any_answer(result->tally.received, result->refused, host, port);
}

static void check_stamp(const struct bench *bench)
{
	const char *other = bench->window       ? "window"
			    : bench->payload    ? "payload"
			    : bench->any_answer ? "any-answer"
			    : bench->flows      ? "flows"
			    : bench->burst > 1  ? "burst"
						: NULL;

	if (other)
		log_fail(EXIT_USAGE,
			"options --stamp and --%s: mutually exclusive; give one of them", other);
	if (bench->size && bench->size != STAMP_BASE && bench->size < STAMP_PADDED)
		log_fail(EXIT_USAGE,
			"option --size: %u: no length of a test packet; give %d, or %d and more",
			bench->size, STAMP_BASE, STAMP_PADDED);
}

static int stamp_bench(const struct bench *bench, const char *host, const char *port)
{
	static struct stamp_result result;
	struct load_config load = {
		.rate = bench->rate ? bench->rate : STAMP_RATE,
		.size = bench->size ? bench->size : STAMP_BASE,
		.duration_ns = bench->duration_ns,
		.count = bench->count,
		.timeout_ns = bench->timeout_ms * (UDPXDP_NSEC_PER_SEC / 1000),
		.stop = &stop,
	};
	char error[256] = "";
	int failed;

	check_stamp(bench);
	resolve(&load, host, port);
	catch_signals();
	failed = stamp_run(&load, &result, error, sizeof(error));
	if (failed && !result.session.sent)
		log_fail(EXIT_RUNTIME, "bench %s port %s: %s; check address, size and route", host,
			port, error);
	if (bench->json ? stamp_report_json(host, port, &load, &result)
			: stamp_report_text(host, port, &load, &result))
		log_fail_output();
	if (failed)
		log_fail(EXIT_RUNTIME, "bench %s port %s: ended early: %s", host, port, error);
	if (result.session.wrong) {
		log_line("bench %s port %s: %llu wrong answers: not of this session; give the port "
			 "of a session reflector",
			host, port, (unsigned long long)result.session.wrong);
		return EXIT_RUNTIME;
	}
	return any_answer(result.session.received, result.refused, host, port);
}

static int bench_run(const struct verb *verb, int argc, char **argv)
{
	static struct load_result result;
	struct bench bench = {};
	struct load_config load;
	int first = options_parse(verb, &bench, argc, argv);
	const char *host = argv[first], *port = first + 1 < argc ? argv[first + 1]
						: bench.stamp    ? STAMP_PORT
								 : "8080";
	char error[256] = "";
	int failed, printed;

	if (bench.window && bench.rate)
		log_fail(EXIT_USAGE, "options --window and --rate: mutually exclusive; give one of "
				     "them");
	if (bench.payload && bench.size)
		log_fail(EXIT_USAGE,
			"options --payload and --size: mutually exclusive; give one of "
			"them");
	check_port(port);
	if (bench.stamp)
		return stamp_bench(&bench, host, port);
	if (bench.burst > 1 && !bench.rate)
		log_fail(EXIT_USAGE, "option --burst: requires --rate; give both or neither");
	fill_load(&load, &bench);
	resolve(&load, host, port);
	catch_signals();
	failed = bench_load_run(&load, &result, error, sizeof(error));
	if (load.progress)
		bench_progress_end();
	if (failed && !result.tally.sent)
		log_fail(EXIT_RUNTIME, "bench %s port %s: %s; check address, size and route", host,
			port, error);
	printed = bench.json ? bench_report_json(host, port, &load, &result)
			     : bench_report_text(host, port, &load, &result);
	if (printed)
		log_fail_output();
	if (failed)
		log_fail(EXIT_RUNTIME, "bench %s port %s: ended early: %s", host, port, error);
	return verdict(&result, host, port);
}

const struct verb bench_verb = {
	.name = "bench",
	.operands = "HOST [PORT]",
	.min_operands = 1,
	.max_operands = 2,
	.summary = "Load a UDP server; measure rate and latency.",
	.options = rows,
	.notes = "Every answer is checked: an echo's is the request, perhaps with a stamp in "
		 "front.\n"
		 "PORT is 8080 by default, 862 with --stamp. Exit status 0: there were answers and "
		 "all were right;\n"
		 "1: there were none, or wrong ones.",
	.run = bench_run,
};
