/* SPDX-License-Identifier: MIT */
/*
 * The headers that kernel sockets get and give. Whatever recvmsg(2) says of a datagram, the frame
 * made of it is read back as the same; whatever is to be sent, the message says what the frame
 * does, and the ancillary data fits.
 *
 * An input is a family, the datagram's length and what is said of it: addresses, ports, TTL, TOS,
 * the interface; what is left is taken for a frame to be sent.
 */
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/harness.h"
#include "fuzz/accounting_io.h"
#include "io/sockets_message.h"
#include "udpxdp/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAYLOAD_MAX 65535
#define PAYLOAD_AT 192

struct said {
	uint8_t ipv6, tos, ttl, broadcast;
	uint16_t len, source_port, segment;
	uint32_t ifindex;
	uint8_t source[16], dest[16];
};

static _Alignas(64) uint8_t buffer[PAYLOAD_AT + PAYLOAD_MAX];

static void put(struct msghdr *m, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (void *)((uint8_t *)m->msg_control + m->msg_controllen);

	*c = (struct cmsghdr){.cmsg_level = level, .cmsg_type = type, .cmsg_len = CMSG_LEN(len)};
	memcpy(CMSG_DATA(c), data, len);
	m->msg_controllen += CMSG_SPACE(len);
}

/* As the kernel says it (ip(7), ipv6(7)). */
static void say(struct msghdr *m, struct sockets_name *name, const struct said *said)
{
	const int ttl = said->ttl, tos = said->tos, segment = said->segment;
	struct in6_pktinfo info6 = {.ipi6_ifindex = said->ifindex};
	struct in_pktinfo info4 = {.ipi_ifindex = said->ifindex};

	if (said->ipv6 & 1) {
		name->ipv6 = (struct sockaddr_in6){
			.sin6_family = AF_INET6, .sin6_port = htons(said->source_port)};
		memcpy(&name->ipv6.sin6_addr, said->source, 16);
		memcpy(&info6.ipi6_addr, said->dest, 16);
		put(m, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof(info6));
		put(m, IPPROTO_IPV6, IPV6_HOPLIMIT, &ttl, sizeof(ttl));
		put(m, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	} else {
		name->ipv4 = (struct sockaddr_in){
			.sin_family = AF_INET, .sin_port = htons(said->source_port)};
		memcpy(&name->ipv4.sin_addr, said->source, 4);
		memcpy(&info4.ipi_addr, said->dest, 4);
		memcpy(&info4.ipi_spec_dst, said->dest, 4);
		if (said->broadcast & 1)
			info4.ipi_spec_dst.s_addr ^= 1;
		put(m, IPPROTO_IP, IP_PKTINFO, &info4, sizeof(info4));
		put(m, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
		put(m, IPPROTO_IP, IP_TOS, &said->tos, 1);
	}
	put(m, SOL_UDP, UDP_GRO, &segment, sizeof(segment));
}

static void judge_received(const struct said *said)
{
	_Alignas(struct cmsghdr) uint8_t control[SOCKETS_CONTROL_SIZE] = {};
	const bool ipv6 = said->ipv6 & 1;
	struct sockets_name name;
	struct msghdr m = {.msg_name = &name, .msg_control = control};
	struct sockets_arrival arrival;
	struct frame_info info;
	uint8_t *start, *end = buffer + PAYLOAD_AT + said->len;

	say(&m, &name, said);
	require(m.msg_controllen <= sizeof(control), NULL, 0);
	sockets_read_message(&arrival, &m, 8080);
	require(arrival.segment == said->segment, NULL, 0);
	start = sockets_write_headers(&arrival, buffer + PAYLOAD_AT, said->len);
	require(start >= buffer + PAYLOAD_AT - 62, NULL, 0);
	/* No frame says that IPv6 carries IPv4, and no such packet comes to a socket of IPv6. */
	if (ipv6 && (packet_addr_is_mapped(&arrival.path.local.addr) ||
			    packet_addr_is_mapped(&arrival.path.peer.addr)))
		return;
	require(frame_classify(start, end, end - start, &info) == FRAME_UDP, start, 62);
	require(info.version == (ipv6 ? 6 : 4) && info.payload_len == said->len, start, 62);
	require(start + info.payload == buffer + PAYLOAD_AT, start, 62);
	require(info.source_port == said->source_port && info.dest_port == 8080, start, 62);
	require(!memcmp(info.source.b + (ipv6 ? 0 : 12), said->source, ipv6 ? 16 : 4), start, 62);
	require(!memcmp(info.dest.b + (ipv6 ? 0 : 12), said->dest, ipv6 ? 16 : 4), start, 62);
	require(start[info.l3 + (ipv6 ? 7 : 8)] == (said->ttl ? said->ttl : 64), start, 62);
	if (ipv6)
		require((start[info.l3] & 0xf) << 4 == (said->tos & 0xf0), start, 62);
	else
		require(start[info.l3 + 1] == said->tos, start, 62);
}

/* The message leads where the frame does. */
static void judge_sent(const struct frame *frame, const struct sockets_flow *flow)
{
	_Alignas(struct cmsghdr) uint8_t control[SOCKETS_CONTROL_SIZE] = {};
	struct sockets_name name = {};
	struct msghdr m = {};
	unsigned infos = 0;

	sockets_write_message(&m, &name, control, flow, 100);
	require(m.msg_controllen <= sizeof(control), frame->data, frame->len);
	require(m.msg_namelen <= sizeof(name), frame->data, frame->len);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo *info = (void *)CMSG_DATA(c);

			require(!memcmp(&info->ipi_spec_dst, flow->local.b + 12, 4), frame->data,
				frame->len);
			infos++;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo *info = (void *)CMSG_DATA(c);

			require(!memcmp(&info->ipi6_addr, flow->local.b, 16), frame->data,
				frame->len);
			infos++;
		}
	}
	require(infos == 1, frame->data, frame->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct said said = {};
	const size_t taken = size < sizeof(said) ? size : sizeof(said);
	struct sockets_flow flow;
	struct frame_info info;
	struct frame frame = {.len = size - taken};
	uint8_t *payload, *copy, *aligned;
	uint32_t len;

	memcpy(&said, data, taken);
	if (!(said.ipv6 & 1) && said.len > UDPXDP_PAYLOAD_MAX)
		said.len = UDPXDP_PAYLOAD_MAX;
	if (said.len > PAYLOAD_MAX - UDP_HEADER_LEN)
		said.len = PAYLOAD_MAX - UDP_HEADER_LEN;
	judge_received(&said);

	/* An answer may begin at an odd address. */
	copy = malloc(frame.len + 1);
	require(copy, NULL, 0);
	frame.data = copy + 1;
	memcpy(frame.data, data + taken, frame.len);
	aligned = exact_copy(data + taken, frame.len);
	if (sockets_read_frame(&flow, &frame, &payload, &len)) {
		require(reference_classify(aligned, frame.len, &info) == FRAME_UDP, frame.data,
			frame.len);
		require(payload == frame.data + info.payload && len == info.payload_len, frame.data,
			frame.len);
		require(udpxdp_addr_equal(&flow.local, &info.source) &&
				udpxdp_addr_equal(&flow.peer, &info.dest) &&
				flow.local_port == info.source_port &&
				flow.peer_port == info.dest_port,
			frame.data, frame.len);
		judge_sent(&frame, &flow);
	} else {
		require(reference_classify(aligned, frame.len, &info) != FRAME_UDP, frame.data,
			frame.len);
	}
	free(aligned);
	free(copy);
	return 0;
}
