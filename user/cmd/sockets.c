/* SPDX-License-Identifier: MIT */
#include "cmd/sockets.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/log.h"

/* A queue that was closed a moment ago is busy for some 5 to 200 ms. */
#define BUSY_RETRIES 100
#define BUSY_RETRY_MS 20

const char *mode_name(enum mode mode)
{
	static const char *const names[] = {"auto", "zerocopy", "copy", "skb"};

	return names[mode];
}

unsigned sockets_count_queues(const char *iface, bool *exact)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq request = {};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* any will do */
	unsigned count = 0;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", iface);
	request.ifr_data = (char *)&channels;
	if (fd >= 0 && !ioctl(fd, SIOCETHTOOL, &request))
		count = channels.combined_count + channels.rx_count;
	if (fd >= 0)
		close(fd);
	/* A driver that does not say: binding finds the end. */
	*exact = count != 0;
	return count ? count : MAX_QUEUES;
}

/* ---- saying why not ------------------------------------------------------------------- */

static const char *advice(int error, enum mode mode)
{
	switch (error) {
	case EOPNOTSUPP:
	case EPROTONOSUPPORT:
	case EINVAL:
		return mode == MODE_ZEROCOPY ? "the driver has no zero copy for this set-up"
					     : "the driver has no native XDP for this set-up";
	case ERANGE:
	case EMSGSIZE:
		return "lower the interface's MTU";
	case ENOBUFS:
		return "raise the memlock limit (ulimit -l, LimitMEMLOCK=) or grant CAP_IPC_LOCK";
	case EPERM:
	case EACCES:
		return "run as root or grant CAP_NET_ADMIN, CAP_BPF and CAP_NET_RAW";
	case EBUSY:
		return "stop the program that holds it";
	case ENETDOWN:
		return "bring it up with ip link set";
	default:
		return "see udpxdp -vv for the kernel's messages";
	}
}

static int status_of(int error)
{
	switch (error) {
	case EBUSY:
		return EXIT_BUSY;
	case ENOBUFS:
	case EPERM:
	case EACCES:
		return EXIT_PERMISSION;
	default:
		return EXIT_INTERFACE;
	}
}

struct failure {
	const char *what; /* static */
	int error;
	unsigned queue;
	char kernel[200]; /* what the kernel says of it, or "" */
};

static void say_failure(const struct failure *f, const struct sockets_config *c, enum mode mode,
		enum mode next)
{
	char what[96];

	if (f->queue != UINT32_MAX)
		snprintf(what, sizeof(what), "%s on %s queue %u", f->what, c->iface, f->queue);
	else
		snprintf(what, sizeof(what), "%s on %s", f->what, c->iface);
	if (next != MODE_AUTO)
		log_line("no %s: %s: %s%s%s; %s, trying %s", mode_name(mode), what,
				strerror(f->error), f->kernel[0] ? ": " : "", f->kernel,
				advice(f->error, mode), mode_name(next));
	else
		log_line("mode %s failed: %s: %s%s%s; %s", mode_name(mode), what,
				strerror(f->error), f->kernel[0] ? ": " : "", f->kernel,
				advice(f->error, mode));
}

/* ---- opening -------------------------------------------------------------------------- */

static struct frame_io *open_queue(const struct afxdp_config *config)
{
	struct frame_io *io = NULL;

	for (int i = 0; i < BUSY_RETRIES; i++) {
		io = afxdp_open(config);
		if (io || errno != EBUSY)
			break;
		poll(NULL, 0, BUSY_RETRY_MS);
	}
	return io;
}

static int open_sockets(struct sockets *s, const struct sockets_config *c, struct filter *filter,
		struct failure *failure)
{
	bool exact;
	unsigned have = sockets_count_queues(c->iface, &exact), last = c->last;

	if (exact && last >= have)
		last = have - 1;
	if (last >= MAX_QUEUES)
		last = MAX_QUEUES - 1;
	s->first = c->first;
	for (unsigned queue = c->first; queue <= last; queue++) {
		struct afxdp_config config = {
				.iface = c->iface,
				.queue = queue,
				.mtu = c->mtu,
				.zerocopy = s->mode == MODE_ZEROCOPY,
				.doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
				.busy_poll = c->busy_poll,
		};
		struct frame_io *io = config.doorbell < 0 ? NULL : open_queue(&config);

		if (!io || filter_set_socket(filter, queue, afxdp_fd(io)) < 0) {
			failure->what = "AF_XDP socket";
			failure->queue = queue;
			failure->error = errno;
			if (io)
				io->ops->close(io);
			if (config.doorbell >= 0)
				close(config.doorbell);
			if (s->count && !exact && failure->error == EINVAL)
				return 0; /* one past the last queue */
			return -1;
		}
		s->doorbells[s->count] = config.doorbell;
		s->ios[s->count++] = io;
	}
	return 0;
}

static int try_mode(struct sockets *s, const struct sockets_config *c, enum mode mode,
		struct filter *filter, struct failure *failure)
{
	*s = (struct sockets){.mode = mode};
	failure->kernel[0] = '\0';
	if (!open_sockets(s, c, filter, failure)) {
		if (!filter_attach(filter, mode == MODE_SKB, failure->kernel,
				    sizeof(failure->kernel)))
			return 0;
		failure->what = "attaching the filter";
		failure->queue = UINT32_MAX;
		failure->error = errno;
	}
	for (unsigned i = 0; i < s->count; i++)
		filter_clear_socket(filter, s->first + i);
	sockets_close(s);
	return -1;
}

int sockets_open(struct sockets *s, const struct sockets_config *c, struct filter *filter)
{
	enum mode mode = c->mode == MODE_AUTO ? MODE_ZEROCOPY : c->mode;
	struct failure failure;

	for (;; mode++) {
		bool last = c->mode != MODE_AUTO || mode == MODE_SKB;

		if (!try_mode(s, c, mode, filter, &failure))
			return EXIT_CLEAN;
		/* What no other mode would mend. */
		if (failure.error == EBUSY || failure.error == ENETDOWN ||
				status_of(failure.error) == EXIT_PERMISSION)
			last = true;
		say_failure(&failure, c, mode, last ? MODE_AUTO : mode + 1);
		if (last)
			return status_of(failure.error);
	}
}

void sockets_close(struct sockets *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		s->ios[i]->ops->close(s->ios[i]);
		close(s->doorbells[i]);
	}
	s->count = 0;
}
