/* SPDX-License-Identifier: MIT */
#include "xdp/xsk_sockets.h"

#include <bpf/libbpf.h>
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

#include "base/log.h"

/* A queue that was closed a moment ago is busy for some 5 to 200 ms. */
#define BUSY_RETRIES 100
#define BUSY_RETRY_MS 20

const char *xdp_mode_name(enum xdp_mode mode)
{
	static const char *const names[] = {"auto", "zerocopy", "copy", "skb", "sockets"};

	return names[mode];
}

/* Asks the driver; returns -1 if it does not answer. */
static int ethtool(const char *iface, void *question)
{
	struct ifreq request = {.ifr_data = question};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result = -1;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", iface);
	if (fd >= 0) {
		result = ioctl(fd, SIOCETHTOOL, &request);
		close(fd);
	}
	return result;
}

unsigned xsk_sockets_count_queues(const char *iface, bool *exact)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	unsigned count = 0;

	if (!ethtool(iface, &channels))
		count = channels.combined_count + channels.rx_count;
	/* A driver that does not say: binding finds the end. */
	*exact = count != 0;
	return count ? count : MAX_QUEUES;
}

/*
 * In front of what virtio_net sends in zero copy stands a header of zeroes, a variable of the
 * driver. Of a loadable module's the device is told a wrong address: it takes for a header whatever
 * is there, and unless that happens to be zeroes, it drops every frame, silently (Linux 6.18
 * to 7.3; no newer one was tried).
 */
static bool may_lose_zerocopy(const char *iface)
{
	struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};

	return !ethtool(iface, &driver) && !strcmp(driver.driver, "virtio_net") &&
	       !access("/sys/module/virtio_net/initstate", F_OK); /* a module has one */
}

/*
 * virtio_net, where it has queues to spare, enables one more for each CPU when a program is
 * attached, to send on what programs redirect; but then it also receives on them, and does not send
 * what AF_XDP sockets there want sent. (Linux 6.18 even crashes when they are bound in zero copy.)
 * Returns how many queues would avoid that, or 0 where it does not happen.
 */
static unsigned queues_to_enable(const char *iface)
{
	struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};

	if (ethtool(iface, &driver) || strcmp(driver.driver, "virtio_net") ||
		ethtool(iface, &channels) ||
		channels.combined_count + libbpf_num_possible_cpus() > channels.max_combined)
		return 0;
	return channels.max_combined;
}

/* ---- saying why not ------------------------------------------------------------------- */

static bool unsupported(int error)
{
	return error == EOPNOTSUPP || error == EPROTONOSUPPORT || error == EINVAL;
}

static const char *advice(int error, enum xdp_mode mode)
{
	if (unsupported(error))
		return mode == XDP_MODE_ZEROCOPY ? "the driver has no zero copy for this set-up"
		       : mode == XDP_MODE_COPY   ? "the driver has no native XDP for this set-up"
					       : "the kernel has no generic XDP for this interface";
	switch (error) {
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
	char advice[64];  /* "": what the error suggests */
};

static void say_failure(const struct failure *f, const struct xsk_sockets_config *c,
	enum xdp_mode mode, enum xdp_mode next)
{
	const char *cure = f->advice[0] ? f->advice : advice(f->error, mode);
	char what[96];

	if (f->queue != UINT32_MAX)
		snprintf(what, sizeof(what), "%s on %s queue %u", f->what, c->iface, f->queue);
	else
		snprintf(what, sizeof(what), "%s on %s", f->what, c->iface);
	if (next != XDP_MODE_AUTO)
		log_line("no %s: %s: %s%s%s; %s, trying %s", xdp_mode_name(mode), what,
			strerror(f->error), f->kernel[0] ? ": " : "", f->kernel, cure,
			xdp_mode_name(next));
	else
		log_line("mode %s failed: %s: %s%s%s; %s%s", xdp_mode_name(mode), what,
			strerror(f->error), f->kernel[0] ? ": " : "", f->kernel, cure,
			c->mode != XDP_MODE_AUTO && unsupported(f->error) && !f->advice[0]
				? ", give --mode auto"
				: "");
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

bool xsk_sockets_are_taken(const struct xsk_sockets_config *c)
{
	const struct afxdp_config config = {
		.iface = c->iface, .queue = c->first, .mtu = c->mtu, .doorbell = -1};
	struct frame_io *io = open_queue(&config);

	if (!io)
		return errno == EBUSY;
	io->ops->close(io);
	return false;
}

static int open_one(struct xsk_sockets *s, const struct xsk_sockets_config *c, unsigned queue,
	struct filter *filter)
{
	struct afxdp_config config = {
		.iface = c->iface,
		.queue = queue,
		.mtu = c->mtu,
		.zerocopy = s->mode == XDP_MODE_ZEROCOPY,
		.doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.busy_poll = c->busy_poll,
	};
	struct frame_io *io = config.doorbell < 0 ? NULL : open_queue(&config);
	int saved;

	if (io && !filter_set_socket(filter, queue, afxdp_fd(io))) {
		s->doorbells[s->count] = config.doorbell;
		s->ios[s->count++] = io;
		return 0;
	}
	saved = errno;
	if (io)
		io->ops->close(io);
	if (config.doorbell >= 0)
		close(config.doorbell);
	errno = saved;
	return -1;
}

static int open_sockets(struct xsk_sockets *s, const struct xsk_sockets_config *c,
	struct filter *filter, struct failure *failure)
{
	bool exact;
	unsigned have = xsk_sockets_count_queues(c->iface, &exact), last = c->last;

	if (exact && last >= have)
		last = have - 1;
	if (last >= c->first + c->most)
		last = c->first + c->most - 1;
	s->first = c->first;
	for (unsigned queue = c->first; queue <= last; queue++) {
		if (!open_one(s, c, queue, filter))
			continue;
		failure->what = "AF_XDP socket";
		failure->queue = queue;
		failure->error = errno;
		if (s->count && !exact && failure->error == EINVAL)
			return 0; /* one past the last queue */
		return -1;
	}
	return 0;
}

static int attach(const struct xsk_sockets *s, struct filter *filter, struct failure *failure)
{
	if (!filter_attach(
		    filter, s->mode == XDP_MODE_SKB, failure->kernel, sizeof(failure->kernel)))
		return 0;
	failure->what = "attaching the filter";
	failure->queue = UINT32_MAX;
	failure->error = errno;
	return -1;
}

/* Would the driver receive on queues that cannot be served? */
static int check_spare_queues(
	const struct xsk_sockets *s, const struct xsk_sockets_config *c, struct failure *failure)
{
	unsigned enable = s->mode != XDP_MODE_SKB ? queues_to_enable(c->iface) : 0;

	if (!enable || c->last < enable - 1) /* those it would add are not asked for */
		return 0;
	failure->what = "serving all queues";
	failure->error = EOPNOTSUPP;
	snprintf(failure->kernel, sizeof(failure->kernel),
		"virtio_net would receive on its spare queues, too");
	snprintf(failure->advice, sizeof(failure->advice), "enable them: ethtool -L %s combined %u",
		c->iface, enable);
	return -1;
}

/* Would the driver lose what is sent? Only who names that mode takes the risk. */
static int check_zerocopy(
	const struct xsk_sockets *s, const struct xsk_sockets_config *c, struct failure *failure)
{
	if (s->mode != XDP_MODE_ZEROCOPY || !may_lose_zerocopy(c->iface))
		return 0;
	if (c->mode == XDP_MODE_ZEROCOPY) {
		log_line("zero copy on %s is at risk: virtio_net, as a module, may lose all "
			 "answers; "
			 "give --mode copy if there are none",
			c->iface);
		return 0;
	}
	failure->what = "sending";
	failure->error = EOPNOTSUPP;
	snprintf(failure->kernel, sizeof(failure->kernel),
		"virtio_net, as a module, may lose all of it");
	snprintf(failure->advice, sizeof(failure->advice), "--mode zerocopy takes the risk");
	return -1;
}

static int try_mode(struct xsk_sockets *s, const struct xsk_sockets_config *c, enum xdp_mode mode,
	struct filter *filter, struct failure *failure)
{
	*s = (struct xsk_sockets){.mode = mode};
	*failure = (struct failure){.queue = UINT32_MAX};
	if (!check_spare_queues(s, c, failure) && !open_sockets(s, c, filter, failure) &&
		!check_zerocopy(s, c, failure) && !attach(s, filter, failure))
		return 0;
	for (unsigned i = 0; i < s->count; i++)
		filter_clear_socket(filter, s->first + i);
	xsk_sockets_close(s);
	return -1;
}

int xsk_sockets_settle_mode(struct xsk_sockets_config *c)
{
	const struct xsk_sockets s = {.mode = c->mode == XDP_MODE_AUTO ? XDP_MODE_COPY : c->mode};
	struct failure failure = {.queue = UINT32_MAX};
	bool steps_down = c->mode == XDP_MODE_AUTO;

	if (!check_spare_queues(&s, c, &failure))
		return EXIT_CLEAN;
	say_failure(&failure, c, s.mode, steps_down ? XDP_MODE_SKB : XDP_MODE_AUTO);
	if (steps_down)
		c->mode = XDP_MODE_SKB;
	return steps_down ? EXIT_CLEAN : status_of(failure.error);
}

int xsk_sockets_open(
	struct xsk_sockets *s, const struct xsk_sockets_config *c, struct filter *filter)
{
	enum xdp_mode mode = c->mode == XDP_MODE_AUTO ? XDP_MODE_ZEROCOPY : c->mode;
	struct failure failure;

	for (;; mode++) {
		bool last = c->mode != XDP_MODE_AUTO || mode == XDP_MODE_SKB;

		if (!try_mode(s, c, mode, filter, &failure))
			return EXIT_CLEAN;
		/* What no other mode would mend. */
		if (failure.error == EBUSY || failure.error == ENETDOWN ||
			status_of(failure.error) == EXIT_PERMISSION)
			last = true;
		say_failure(&failure, c, mode, last ? XDP_MODE_AUTO : mode + 1);
		if (last)
			return status_of(failure.error);
	}
}

void xsk_sockets_close(struct xsk_sockets *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		s->ios[i]->ops->close(s->ios[i]);
		close(s->doorbells[i]);
	}
	s->count = 0;
}
