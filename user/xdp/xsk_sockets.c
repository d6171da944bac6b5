/* SPDX-License-Identifier: MIT */
#include "xdp/xsk_sockets.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/keep_errno.h"
#include "base/log.h"
#include "netlink/ethtool_ioctl.h"
#include "netlink/link.h"
#include "xdp/iface_check.h"

/* A queue that was closed a moment ago is busy for some 5 to 200 ms. */
#define BUSY_RETRIES 100
#define BUSY_RETRY_MS 20

#define FAILURE_TEXT_MAX 384

const char *xdp_mode_name(enum xdp_mode mode)
{
	static const char *const names[] = {"auto", "zerocopy", "copy", "skb", "sockets"};

	return names[mode];
}

struct xsk_queues xsk_sockets_count_queues(int ifindex)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct xsk_queues queues = {.rx = MAX_QUEUES, .tx = MAX_QUEUES};
	struct link_facts link;

	if (!ethtool_ask(ifindex, &channels) && channels.combined_count + channels.rx_count) {
		queues.rx = channels.combined_count + channels.rx_count;
		queues.tx = channels.combined_count + channels.tx_count;
		queues.exact = true;
	} else if (!link_read(ifindex, &link) && link.tx_queues) {
		queues.tx = link.tx_queues; /* of the others, binding finds the end */
	}
	if (!queues.tx)
		queues.tx = queues.rx;
	return queues;
}

/*
 * In front of what virtio_net sends in zero copy stands a header of zeroes, a variable of the
 * driver. Of a loadable module's the device is told a wrong address: it takes for a header whatever
 * is there, and unless that happens to be zeroes, it drops every frame, silently (Linux 6.18
 * to 7.3; no newer one was tried).
 */
static bool may_lose_zerocopy(int ifindex)
{
	return ethtool_driver_is(ifindex, "virtio_net") &&
	       !access("/sys/module/virtio_net/initstate", F_OK); /* a module has one */
}

/*
 * virtio_net, where it has queues to spare, enables one more for each CPU when a program is
 * attached, to send on what programs redirect; but then it also receives on them, and does not send
 * what AF_XDP sockets there want sent. (Linux 6.18 even crashes when they are bound in zero copy.)
 * Returns how many queues would avoid that, or 0 where it does not happen.
 */
static unsigned queues_to_enable(int ifindex)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};

	if (!ethtool_driver_is(ifindex, "virtio_net") || ethtool_ask(ifindex, &channels) ||
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
		return mode == XDP_MODE_ZEROCOPY
			       ? "the driver has no zero copy with this configuration"
		       : mode == XDP_MODE_COPY
			       ? "the driver has no native XDP with this configuration (MTU, "
				 "queues, offloads)"
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
	case EEXIST:
		return "detach the XDP program from the interfaces above and below it";
	case ENETDOWN:
		return "bring it up with ip link set";
	case ENODEV:
		return "ip link shows which interfaces exist";
	default:
		return "see udpxdp -vv for the kernel's messages";
	}
}

static int status_of(int error)
{
	switch (error) {
	case EBUSY:
	case EEXIST:
		return EXIT_BUSY;
	case ENOBUFS:
	case EPERM:
	case EACCES:
		return EXIT_PERMISSION;
	default:
		return EXIT_INTERFACE;
	}
}

/* Why a mode is not to be had. */
struct failure {
	char what[96]; /* what was tried, and where */
	int error;
	char reason[96]; /* what strerror does not say, or "" */
	char advice[96]; /* "": what the error suggests */
};

static void __attribute__((format(printf, 3, 4)))
fail(struct failure *f, int error, const char *format, ...)
{
	va_list args;

	*f = (struct failure){.error = error};
	va_start(args, format);
	vsnprintf(f->what, sizeof(f->what), format, args);
	va_end(args);
}

static void describe(const struct failure *f, enum xdp_mode mode, char *text, size_t size)
{
	snprintf(text, size, "%s: %s%s%s; %s", f->what, strerror(f->error),
		f->reason[0] ? ": " : "", f->reason,
		f->advice[0] ? f->advice : advice(f->error, mode));
}

/* That a driver has no zero copy, which none of its kind has, is no news. */
static void log_step_down(const struct failure *f, enum xdp_mode mode, int ifindex)
{
	char text[FAILURE_TEXT_MAX];

	if (mode == XDP_MODE_ZEROCOPY && unsupported(f->error) && iface_never_has_zerocopy(ifindex))
		return;
	describe(f, mode, text, sizeof(text));
	log_line("no %s: %s, trying %s", xdp_mode_name(mode), text, xdp_mode_name(mode + 1));
}

/* chosen: the mode was named by the user, who may leave it to us. */
static void log_failure(const struct failure *f, enum xdp_mode mode, bool chosen)
{
	char text[FAILURE_TEXT_MAX];

	describe(f, mode, text, sizeof(text));
	log_line("mode %s failed: %s%s", xdp_mode_name(mode), text,
		chosen && unsupported(f->error) && !f->advice[0] ? ", or use --mode auto" : "");
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
		.ifindex = c->ifindex, .queue = c->first, .mtu = c->mtu, .doorbell = -1};
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
		.ifindex = c->ifindex,
		.queue = queue,
		.mtu = c->mtu,
		.zerocopy = s->mode == XDP_MODE_ZEROCOPY,
		.doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.busy_poll = c->busy_poll,
	};
	struct frame_io *io = config.doorbell < 0 ? NULL : open_queue(&config);

	if (io && !filter_set_socket(filter, queue, afxdp_fd(io))) {
		s->doorbells[s->count] = config.doorbell;
		s->ios[s->count++] = io;
		return 0;
	}
	KEEP_ERRNO;
	if (io)
		io->ops->close(io);
	if (config.doorbell >= 0)
		close(config.doorbell);
	return -1;
}

static int open_sockets(struct xsk_sockets *s, const struct xsk_sockets_config *c,
	struct filter *filter, struct failure *failure)
{
	const struct xsk_queues queues = xsk_sockets_count_queues(c->ifindex);
	unsigned last = c->last;

	if (last >= xsk_sockets_served_queues(&queues))
		last = xsk_sockets_served_queues(&queues) - 1;
	if (last >= c->first + c->most)
		last = c->first + c->most - 1;
	s->first = c->first;
	for (unsigned queue = c->first; queue <= last; queue++) {
		if (!open_one(s, c, queue, filter))
			continue;
		if (s->count && !queues.exact && errno == EINVAL)
			return 0; /* one past the last queue */
		fail(failure, errno, "AF_XDP socket on %s queue %u", c->iface, queue);
		return -1;
	}
	return 0;
}

static int attach(const struct xsk_sockets *s, const struct xsk_sockets_config *c,
	struct filter *filter, struct failure *failure)
{
	struct link_facts link;

	if (!filter_attach(filter, s->mode == XDP_MODE_SKB))
		return 0;
	fail(failure, errno, "attaching the filter to %s", c->iface);
	if (failure->error == EEXIST && !link_read(c->ifindex, &link) && link.xdp_beside[0]) {
		snprintf(failure->reason, sizeof(failure->reason),
			"an XDP program is attached to %s, above or below it", link.xdp_beside);
		snprintf(failure->advice, sizeof(failure->advice),
			"detach that one or serve %s instead", link.xdp_beside);
	}
	return -1;
}

/* Would the driver receive on queues that cannot be served? */
static int check_spare_queues(
	const struct xsk_sockets *s, const struct xsk_sockets_config *c, struct failure *failure)
{
	unsigned enable = s->mode != XDP_MODE_SKB ? queues_to_enable(c->ifindex) : 0;

	if (!enable || c->last < enable - 1) /* those it would add are not asked for */
		return 0;
	fail(failure, EOPNOTSUPP, "serving all queues of %s", c->iface);
	snprintf(failure->reason, sizeof(failure->reason),
		"virtio_net would also receive on its spare queues");
	snprintf(failure->advice, sizeof(failure->advice), "enable them: ethtool -L %s combined %u",
		c->iface, enable);
	return -1;
}

/* Would sockets refuse what the driver receives? */
static int check_members(
	const struct xsk_sockets *s, const struct xsk_sockets_config *c, struct failure *failure)
{
	if (s->mode == XDP_MODE_SKB || !iface_receives_by_others(c->ifindex))
		return 0;
	fail(failure, EOPNOTSUPP, "native XDP on %s", c->iface);
	snprintf(failure->reason, sizeof(failure->reason),
		"it runs on the devices below, whose frames AF_XDP sockets refuse");
	snprintf(failure->advice, sizeof(failure->advice), "--mode skb serves it");
	return -1;
}

/* Would the driver lose what is sent? Only who names that mode takes the risk. */
static int check_zerocopy(
	const struct xsk_sockets *s, const struct xsk_sockets_config *c, struct failure *failure)
{
	if (s->mode != XDP_MODE_ZEROCOPY || !may_lose_zerocopy(c->ifindex))
		return 0;
	if (c->mode == XDP_MODE_ZEROCOPY) {
		log_line("zero copy on %s is unreliable: virtio_net built as a module may lose "
			 "all answers; use --mode copy if it does",
			c->iface);
		return 0;
	}
	fail(failure, EOPNOTSUPP, "sending on %s", c->iface);
	snprintf(failure->reason, sizeof(failure->reason),
		"virtio_net built as a module may lose all of it");
	snprintf(failure->advice, sizeof(failure->advice), "--mode zerocopy takes the risk");
	return -1;
}

static int try_mode(struct xsk_sockets *s, const struct xsk_sockets_config *c, enum xdp_mode mode,
	struct filter *filter, struct failure *failure)
{
	*s = (struct xsk_sockets){.mode = mode};
	if (!check_members(s, c, failure) && !check_spare_queues(s, c, failure) &&
		!open_sockets(s, c, filter, failure) && !check_zerocopy(s, c, failure) &&
		!attach(s, c, filter, failure))
		return 0;
	for (unsigned i = 0; i < s->count; i++)
		filter_clear_socket(filter, s->first + i);
	xsk_sockets_close(s);
	return -1;
}

int xsk_sockets_settle_mode(struct xsk_sockets_config *c)
{
	const struct xsk_sockets s = {.mode = c->mode == XDP_MODE_AUTO ? XDP_MODE_COPY : c->mode};
	struct failure failure;

	if (!check_members(&s, c, &failure) && !check_spare_queues(&s, c, &failure))
		return EXIT_CLEAN;
	if (c->mode != XDP_MODE_AUTO) {
		log_failure(&failure, s.mode, true);
		return status_of(failure.error);
	}
	log_step_down(&failure, s.mode, c->ifindex);
	c->mode = XDP_MODE_SKB;
	return EXIT_CLEAN;
}

/* Might another mode succeed? */
static bool depends_on_mode(int error)
{
	return error != EBUSY && error != EEXIST && error != ENETDOWN && error != ENODEV &&
	       status_of(error) != EXIT_PERMISSION;
}

int xsk_sockets_open(
	struct xsk_sockets *s, const struct xsk_sockets_config *c, struct filter *filter)
{
	const bool chosen = c->mode != XDP_MODE_AUTO;
	enum xdp_mode mode = chosen ? c->mode : XDP_MODE_ZEROCOPY;
	struct failure failure;

	while (try_mode(s, c, mode, filter, &failure)) {
		if (chosen || mode == XDP_MODE_SKB || !depends_on_mode(failure.error)) {
			log_failure(&failure, mode, chosen);
			return status_of(failure.error);
		}
		log_step_down(&failure, mode++, c->ifindex);
	}
	return EXIT_CLEAN;
}

void xsk_sockets_close(struct xsk_sockets *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		s->ios[i]->ops->close(s->ios[i]);
		close(s->doorbells[i]);
	}
	s->count = 0;
}
