/* SPDX-License-Identifier: MIT */
/* Echo (RFC 862), with the time in front: 【ctime】 and a space, then the request's payload. */
#include "udpxdp/service.h"

#define LOWEST_CLIENT_PORT 1024 /* below it live services, which might answer an answer */

struct options {
	bool stamp;
	bool loops; /* allowed */
};

struct echo {
	const struct options *options;
	uint64_t second_ns; /* that the prefix says: when it began */
	struct prefix prefix;
};

static const struct service_option options[] = {
		{.key = "stamp",
				.kind = OPTION_ON_OFF,
				.offset = offsetof(struct options, stamp),
				.fallback = "on",
				.help = "put the time in front of the answer; off: plain RFC 862"},
		{.key = "loops",
				.kind = OPTION_ON_OFF,
				.offset = offsetof(struct options, loops),
				.fallback = "refuse",
				.help = "answer what could be an answer itself: refuse or allow"},
		{},
};

static size_t state_size(const void *o)
{
	return sizeof(struct echo);
}

static void start(void *state, const void *o, uint16_t port)
{
	struct echo *echo = state;

	echo->options = o;
}

static void set_stamp(struct echo *echo, uint64_t time_ns)
{
	uint8_t text[STAMP_MAX + 1];
	size_t len = stamp_format(text, time_ns);

	text[len++] = ' ';
	prefix_set(&echo->prefix, text, len);
	echo->second_ns = time_ns - time_ns % NSEC_PER_SEC;
}

static bool could_loop(const struct outlet *out, const struct datagram *d)
{
	uint16_t port = d->path.peer.port;

	return port < LOWEST_CLIENT_PORT || outlet_serves(out, port) ||
	       stamp_starts(d->payload, d->len);
}

/* Out of line: its message would cost receive() a stack frame. */
static __attribute__((noinline)) void show(struct outlet *out, const struct datagram *d)
{
	const struct message message = {
			.time_ns = d->time_ns,
			.direction = RECEIVED,
			.addr = d->path.peer.addr,
			.port = d->path.peer.port,
			.text = d->payload,
			.len = d->len,
	};

	print(out, &message);
}

static void receive(void *state, struct outlet *out, const struct datagram *d)
{
	struct echo *echo = state;
	const struct prefix *prefix = NULL;

	if (!echo->options->loops && could_loop(out, d)) {
		count_drop(out, DROP_loop);
		return;
	}
	if (echo->options->stamp) {
		if (!echo->prefix.len || d->time_ns - echo->second_ns >= NSEC_PER_SEC)
			set_stamp(echo, d->time_ns);
		prefix = &echo->prefix;
	}
	if (outlet_prints(out))
		show(out, d);
	reply(out, d, prefix);
}

const struct service_class echo_service = {
		.name = "echo",
		.port = 8080,
		.options = options,
		.state_size = state_size,
		.start = start,
		.receive = receive,
};
