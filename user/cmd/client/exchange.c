/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/client/exchange.h"
#include "base/clock.h"
#include "base/log.h"

#define DRAIN_MAX 4096 /* datagrams thrown away before a line is sent */
#define LATE_SHOWN 256 /* bytes of a late answer that are shown */

/* ---- lines that were not answered in time -------------------------------------------- */

static bool ends_with(const struct exchange *exchange, const struct line *line)
{
	return line->len <= exchange->answer_len &&
	       !memcmp(exchange->answer + exchange->answer_len - line->len, line->text, line->len);
}

static void forget(struct exchange *exchange, unsigned i)
{
	free((char *)exchange->late[i].text);
	exchange->late_count--;
	memmove(exchange->late + i, exchange->late + i + 1,
		(exchange->late_count - i) * sizeof(*exchange->late));
}

static void remember(struct exchange *exchange, const struct line *line)
{
	char *copy = malloc(line->len + 1);

	if (!copy)
		return;
	if (exchange->late_count == LATE_MAX)
		forget(exchange, 0);
	memcpy(copy, line->text, line->len);
	exchange->late[exchange->late_count++] = (struct line){copy, line->len};
}

/*
 * An echo ends with what was sent, stamped or not. So an answer that ends with an earlier line,
 * and not with as much of the present one, comes late. `present` is NULL while no line waits.
 */
static bool is_late(struct exchange *exchange, const struct line *present)
{
	size_t best = present && ends_with(exchange, present) ? present->len + 1 : 0;
	unsigned found = LATE_MAX;

	for (unsigned i = 0; i < exchange->late_count; i++) {
		if (exchange->late[i].len >= best && exchange->late[i].len &&
			ends_with(exchange, &exchange->late[i])) {
			best = exchange->late[i].len + 1;
			found = i;
		}
	}
	if (found == LATE_MAX)
		return false;
	forget(exchange, found);
	return true;
}

static void say_late(const struct exchange *exchange, unsigned count)
{
	size_t shown = exchange->answer_len < LATE_SHOWN ? exchange->answer_len : LATE_SHOWN;

	if (count == 1)
		log_line("%s answered an earlier line late: %.*s", exchange->where, (int)shown,
			(const char *)exchange->answer);
	else if (count)
		log_line("%s answered earlier lines late, %u datagrams, the last: %.*s",
			exchange->where, count, (int)shown, (const char *)exchange->answer);
}

/* ---- one exchange -------------------------------------------------------------------- */

static int connect_address(struct exchange *exchange)
{
	const struct addrinfo *address = exchange->address;

	if (exchange->fd >= 0)
		return 0;
	exchange->fd = socket(address->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (exchange->fd < 0)
		return errno;
	if (!connect(exchange->fd, address->ai_addr, address->ai_addrlen))
		return 0;
	return errno;
}

static void leave_address(struct exchange *exchange)
{
	if (exchange->fd >= 0)
		close(exchange->fd);
	exchange->fd = -1;
	exchange->address = exchange->address->ai_next;
	if (!exchange->address)
		exchange->address = exchange->addresses;
}

/* Never waits. Returns 0 or an errno; EAGAIN when there is nothing. */
static int receive(struct exchange *exchange)
{
	ssize_t len = recv(exchange->fd, exchange->answer, sizeof(exchange->answer), MSG_DONTWAIT);

	if (len < 0)
		return errno;
	exchange->answer_len = (size_t)len;
	return 0;
}

/* What lies in the socket before a line is sent cannot be an answer to it. Takes ICMP errors
 * about earlier lines away, too. */
static void drain(struct exchange *exchange)
{
	unsigned late = 0;

	for (unsigned i = 0; i < DRAIN_MAX; i++) {
		int why = receive(exchange);

		if (why == EAGAIN)
			break;
		if (why)
			continue;
		late++;
		is_late(exchange, NULL);
	}
	say_late(exchange, late);
}

static int send_line(struct exchange *exchange, const struct line *line)
{
	/* An ICMP error that came after the draining fails one send and is then gone. */
	for (int attempt = 0;; attempt++) {
		if (send(exchange->fd, line->text, line->len, 0) >= 0)
			return 0;
		if (errno == EMSGSIZE || attempt)
			return errno;
	}
}

static int await_answer(struct exchange *exchange, const struct line *line)
{
	uint64_t deadline = clock_ns() + exchange->timeout_ns;

	for (;;) {
		struct pollfd ready = {.fd = exchange->fd, .events = POLLIN};
		uint64_t now = clock_ns();
		uint64_t left = deadline > now ? deadline - now : 0;
		struct timespec wait = clock_timespec(left);
		int why;

		if (ppoll(&ready, 1, &wait, NULL) < 0 && errno != EINTR)
			return errno;
		why = receive(exchange);
		if (why && why != EAGAIN)
			return why;
		if (!why && !is_late(exchange, line))
			return 0;
		if (!why)
			say_late(exchange, 1);
		else if (!left)
			return ETIMEDOUT;
	}
}

static int send_and_wait(struct exchange *exchange, const struct line *line)
{
	int why = connect_address(exchange);

	if (why)
		return why;
	drain(exchange);
	why = send_line(exchange, line);
	return why ? why : await_answer(exchange, line);
}

int exchange_ask(struct exchange *exchange, const struct line *line)
{
	const struct addrinfo *first = exchange->address;
	int why;

	for (;;) {
		why = send_and_wait(exchange, line);
		exchange->proven |= !why;
		if (!why || why == ETIMEDOUT || why == EMSGSIZE || exchange->proven)
			break;
		leave_address(exchange);
		if (exchange->address == first)
			break;
	}
	if (why == ETIMEDOUT)
		remember(exchange, line);
	return why;
}

void exchange_close(struct exchange *exchange)
{
	while (exchange->late_count)
		forget(exchange, 0);
	if (exchange->fd >= 0)
		close(exchange->fd);
	exchange->fd = -1;
}
