/* SPDX-License-Identifier: MIT */
/*
 * A source and sink of whole Ethernet frames: an AF_XDP socket, the kernel's UDP sockets, a pair
 * of pcap files, or a decorator of one of these. Used by one thread. Frames are lent and given
 * back explicitly; nothing here allocates once open.
 */
#ifndef UDPXDP_FRAME_IO_H
#define UDPXDP_FRAME_IO_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_BATCH 64      /* the most frames one receive lends */
#define FRAME_BROKEN_MS 100 /* the time between looks at an interface that is down or gone */
#define FRAME_HEADROOM 128  /* at least this many writable bytes lie in front of a lent frame */

struct frame {
	uint8_t *data;     /* first byte of the Ethernet header; 2-byte aligned when received */
	uint32_t len;      /* bytes, without FCS */
	uint64_t time_ns;  /* nanoseconds since the epoch: when it was received; of an allocated
			    * frame, what its builder says. A capture shows it */
	uint64_t taken_ns; /* when a received frame was taken, where time_ns is a time of the
			    * kernel's for this frame alone; 0: time_ns is that */
	uint64_t cookie;   /* the back end's own: which buffer this is. Keep it untouched */
	bool is_rx;        /* received, and so lent; false: from allocate() */
	bool from_kernel;  /* received by a socket of the kernel, which judged its addresses: they
			    * may be this host's own. A group MAC says that it was broadcast */
};

struct frame_io;

struct frame_io_ops {
	/*
	 * Lends up to max (at most FRAME_BATCH) received frames and stamps them with the time.
	 * Never waits. Returns their number; 0 when there is none now; -1 when there will be no
	 * more, with errno 0 at the end of a file, else what failed.
	 */
	int (*receive)(struct frame_io *io, struct frame *frames, int max);

	/* Takes back a lent frame that was not sent; data may have moved within the buffer. */
	void (*release)(struct frame_io *io, const struct frame *frame);

	/*
	 * A free frame to build in, as long as the MTU allows: *frame gets data, len 0, is_rx
	 * false. Reaps what has been transmitted, never waits. Returns false, with *frame
	 * untouched, when there is none.
	 */
	bool (*allocate)(struct frame_io *io, struct frame *frame);

	/*
	 * Queues a frame for transmission; the buffer belongs to the back end from then on, which
	 * leaves its bytes alone until the next call. data may have moved within the buffer. An
	 * allocated frame is always taken. For a lent frame the back end needs a free one to put
	 * in its place: without one it returns false, and the frame is still lent.
	 */
	bool (*send)(struct frame_io *io, const struct frame *frame);

	/* Ends a batch: hands queued frames to the driver with one wakeup. Never waits. */
	void (*flush)(struct frame_io *io);

	/*
	 * Waits until there is something to receive, the doorbell rings (where the back end has
	 * one) or timeout_ms milliseconds have passed. Returns 0, or -1 with errno.
	 */
	int (*wait)(struct frame_io *io, int timeout_ms);

	/*
	 * A descriptor to poll, which is readable when there is something to receive; so one can
	 * wait for several; asked before each sleep. Lowers *timeout_ms to how long that may take
	 * at most, because something is still to be sent. The doorbell is the caller's to watch.
	 * NULL: there is none.
	 */
	int (*descriptor)(struct frame_io *io, int *timeout_ms);

	/* Ends everything. Frames still lent are void. Returns 0, or -1 with errno when queued
	 * output could not be written. */
	int (*close)(struct frame_io *io);
};

struct frame_io {
	const struct frame_io_ops *ops;
};

/*
 * Sockets of the kernel know no MAC. Instead that of a peer says by which interface the peer is
 * reached, where that is not the route's to say; 0: any.
 */
static inline void frame_mac_of_ifindex(uint8_t mac[6], uint32_t ifindex)
{
	mac[0] = 0x02; /* locally administered, and no group */
	mac[1] = 0;
	for (int i = 0; i < 4; i++)
		mac[2 + i] = (uint8_t)(ifindex >> (24 - 8 * i));
}

/* The other way round; 0 as well where it is a real MAC. */
static inline uint32_t frame_ifindex_of_mac(const uint8_t mac[6])
{
	uint32_t ifindex = 0;

	for (int i = 2; i < 6; i++)
		ifindex = ifindex << 8 | mac[i];
	return mac[0] == 0x02 && !mac[1] ? ifindex : 0;
}

#endif
