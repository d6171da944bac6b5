/* SPDX-License-Identifier: MIT */
/*
 * Frame I/O over one AF_XDP socket on one RX queue, with a umem of its own
 * (Documentation/networking/af_xdp.rst).
 *
 * The umem is split for good: RX_FRAMES for receiving, TX_FRAMES for sending. A received frame
 * that is sent back in place changes sides, and a free one takes its place, so at rest
 *     fill + rx + held = RX_FRAMES    and    free + tx + completion = TX_FRAMES
 * (in zero copy the driver holds some of the first, for the NIC to receive into), and no amount
 * of sending can starve receiving.
 */
#ifndef UDPXDP_IO_AFXDP_H
#define UDPXDP_IO_AFXDP_H

#include <stddef.h>

#include "udpxdp/frame_io.h"
#include "udpxdp/packet.h"

/* The fill ring hands frames out in turn, so all of them pass through the cache again and again:
 * enough for 2 ms at a million a second, and no more. */
#define RX_FRAMES 2048u
#define TX_FRAMES 2048u

/* The largest MTU that fits a umem chunk: 4096 bytes, less the kernel's headroom of 256, an
 * Ethernet header and two VLAN tags. */
#define AFXDP_MTU_MAX (4096 - 256 - ETH_HEADER_LEN - UDPXDP_VLAN_TAGS_MAX * VLAN_TAG_LEN)

/* The largest MTU of which every driver has a frame whole: a page, less headroom, headers and tags
 * as above, and the kernel's struct skb_shared_info. Beyond it drivers want a program that knows
 * fragments, or refuse it. */
#define AFXDP_WHOLE_MTU_MAX (AFXDP_MTU_MAX - 320)

/*
 * The size of a chunk for frames of this MTU. In zero copy the kernel counts MTU + 26 (an Ethernet
 * header, two VLAN tags, FCS) behind its headroom, and refuses what is larger.
 */
static inline uint32_t afxdp_chunk_size(uint32_t mtu)
{
	return mtu + 26 + 256 <= 2048 ? 2048 : 4096;
}

/* Bytes of the longest frame that a chunk for this MTU takes. */
static inline uint32_t afxdp_frame_max(uint32_t mtu)
{
	return afxdp_chunk_size(mtu) - 256;
}

/* Of a jumbo interface's frames, those that fit a chunk are taken. */
static inline uint32_t afxdp_mtu(uint32_t mtu)
{
	return mtu < AFXDP_MTU_MAX ? mtu : AFXDP_MTU_MAX;
}

struct afxdp_config {
	int ifindex;
	unsigned queue;
	uint32_t mtu;
	bool zerocopy;      /* zero copy or nothing; false: copy mode */
	int doorbell;       /* eventfd that ends wait() early, or -1 */
	unsigned busy_poll; /* µs of SO_BUSY_POLL with SO_PREFER_BUSY_POLL; 0: off */
};

/*
 * Makes the umem and the socket, binds it and fills the fill ring. Returns NULL with errno:
 * EBUSY: another socket holds the queue (or held it a moment ago); ENOBUFS: the umem exceeds
 * RLIMIT_MEMLOCK; EOPNOTSUPP: the driver has no zero copy; EMSGSIZE: mtu exceeds AFXDP_MTU_MAX;
 * ENODEV: there is no such interface.
 */
struct frame_io *afxdp_open(const struct afxdp_config *config);

/* The socket, for the filter's map. */
int afxdp_fd(const struct frame_io *io);

/* Where the frames are, and what the kernel says it dropped. */
struct afxdp_account {
	uint32_t fill, rx, held;       /* of RX_FRAMES */
	uint32_t driver;               /* the rest of them, in zero copy: lent to the NIC */
	uint32_t free, tx, completion; /* of TX_FRAMES; tx: queued or in flight */
	uint64_t rx_ring_full, rx_dropped, rx_invalid, tx_invalid, fill_empty;
	uint64_t tx_errors; /* sendto() failed other than by back-pressure */
};
void afxdp_account(const struct frame_io *io, struct afxdp_account *account);

/* Waits, at most timeout_ms, until everything queued has been transmitted and reaped. */
void afxdp_drain(struct frame_io *io, int timeout_ms);

#endif
