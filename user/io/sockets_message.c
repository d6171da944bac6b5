/* SPDX-License-Identifier: MIT */
#include "io/sockets_message.h"

#include <netinet/udp.h>
#include <time.h>

#include "base/headers.h"
#include "io/sockets.h"
#include "udpxdp/packet.h"

static struct udpxdp_addr from_ipv4(const struct in_addr *addr)
{
	struct udpxdp_addr a = {.b = {[10] = 0xff, [11] = 0xff}};

	memcpy(a.b + 12, addr, 4);
	return a;
}

static struct udpxdp_addr from_ipv6(const struct in6_addr *addr)
{
	struct udpxdp_addr a;

	memcpy(a.b, addr, 16);
	return a;
}

void sockets_set_ifindex(struct udpxdp_endpoint *peer, uint32_t ifindex)
{
	frame_mac_of_ifindex(peer->mac, ifindex);
}

bool sockets_wrote(const uint8_t *frame, uint32_t len)
{
	static const uint8_t none[6];

	return len >= 12 && !memcmp(frame, none, sizeof(none)) && frame_ifindex_of_mac(frame + 6);
}

/* ---- what came ------------------------------------------------------------------------ */

static void read_name(struct udpxdp_endpoint *sender, const struct sockets_name *name)
{
	if (name->any.sa_family == AF_INET6) {
		sender->addr = from_ipv6(&name->ipv6.sin6_addr);
		sender->port = ntohs(name->ipv6.sin6_port);
	} else {
		sender->addr = from_ipv4(&name->ipv4.sin_addr);
		sender->port = ntohs(name->ipv4.sin_port);
	}
}

static int read_int(const struct cmsghdr *c)
{
	int value;

	memcpy(&value, CMSG_DATA(c), sizeof(value));
	return value;
}

static void read_ipv4(struct sockets_arrival *a, const struct cmsghdr *c)
{
	struct in_pktinfo info;

	if (c->cmsg_type == IP_PKTINFO) {
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		a->path.peer.addr = from_ipv4(&info.ipi_addr);
		/* The address that an answer leaves from is another: it was sent to everybody. */
		if (info.ipi_addr.s_addr == INADDR_BROADCAST ||
			(info.ipi_spec_dst.s_addr &&
				info.ipi_addr.s_addr != info.ipi_spec_dst.s_addr))
			memset(a->path.peer.mac, 0xff, 6);
		frame_mac_of_ifindex(a->path.local.mac, info.ipi_ifindex);
	} else if (c->cmsg_type == IP_TTL) {
		a->path.ttl = read_int(c);
	} else if (c->cmsg_type == IP_TOS) {
		a->tos = *CMSG_DATA(c);
	}
}

static void read_ipv6(struct sockets_arrival *a, const struct cmsghdr *c)
{
	struct in6_pktinfo info;

	if (c->cmsg_type == IPV6_PKTINFO) {
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		a->path.peer.addr = from_ipv6(&info.ipi6_addr);
		frame_mac_of_ifindex(a->path.local.mac, info.ipi6_ifindex);
	} else if (c->cmsg_type == IPV6_HOPLIMIT) {
		a->path.ttl = read_int(c);
	} else if (c->cmsg_type == IPV6_TCLASS) {
		a->tos = read_int(c);
	}
}

static uint64_t read_time(const struct cmsghdr *c)
{
	struct timespec t;

	memcpy(&t, CMSG_DATA(c), sizeof(t));
	return (uint64_t)t.tv_sec * UDPXDP_NSEC_PER_SEC + t.tv_nsec;
}

void sockets_read_message(
	struct sockets_arrival *arrival, const struct msghdr *message, uint16_t port)
{
	struct msghdr *m = (struct msghdr *)message;

	*arrival = (struct sockets_arrival){.path.peer.port = port};
	read_name(&arrival->path.local, m->msg_name);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP)
			read_ipv4(arrival, c);
		else if (c->cmsg_level == IPPROTO_IPV6)
			read_ipv6(arrival, c);
		else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS)
			arrival->time_ns = read_time(c);
		else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
			arrival->segment = read_int(c);
	}
}

uint8_t *sockets_write_headers(
	const struct sockets_arrival *arrival, uint8_t *payload, uint32_t len)
{
	uint8_t *start = payload - headers_len(&arrival->path);

	headers_write_partial(start, &arrival->path, arrival->tos, len);
	return start;
}

/* ---- what is sent --------------------------------------------------------------------- */

static bool is_link_local(const struct udpxdp_addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool sockets_read_frame(
	struct sockets_flow *flow, const struct frame *frame, uint8_t **payload, uint32_t *len)
{
	/* An answer begins at any address, but the grammar is for aligned frames. */
	_Alignas(8) uint8_t data[ETH_HEADER_LEN + UDPXDP_VLAN_TAGS_MAX * VLAN_TAG_LEN +
				 IPV4_HEADER_LEN_MAX + UDP_HEADER_LEN];
	const uint32_t copied = frame->len < sizeof(data) ? frame->len : sizeof(data);
	const uint8_t *ip;
	struct frame_info info;

	memcpy(data, frame->data, copied);
	if (frame_classify(data, data + copied, frame->len, &info) != FRAME_UDP)
		return false;
	ip = data + info.l3;
	*flow = (struct sockets_flow){
		.local = info.source,
		.peer = info.dest,
		.local_port = info.source_port,
		.peer_port = info.dest_port,
		.ifindex = frame_ifindex_of_mac(data),
		.ttl = info.version == 4 ? ip[8] : ip[7],
		.tos = info.version == 4 ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4),
	};
	*payload = frame->data + info.payload;
	*len = info.payload_len;
	return true;
}

/* Appends ancillary data. */
static void put(struct msghdr *m, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (void *)((uint8_t *)m->msg_control + m->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	m->msg_controllen += CMSG_SPACE(len);
}

static void put_ipv4(struct msghdr *m, struct sockets_name *name, const struct sockets_flow *flow)
{
	struct in_pktinfo info = {};

	memcpy(&info.ipi_spec_dst, flow->local.b + 12, 4);
	name->ipv4 =
		(struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(flow->peer_port)};
	memcpy(&name->ipv4.sin_addr, flow->peer.b + 12, 4);
	m->msg_namelen = sizeof(name->ipv4);
	put(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
}

static void put_ipv6(struct msghdr *m, struct sockets_name *name, const struct sockets_flow *flow)
{
	const bool scoped = is_link_local(&flow->local) || is_link_local(&flow->peer);
	struct in6_pktinfo info = {.ipi6_ifindex = scoped ? flow->ifindex : 0};

	memcpy(&info.ipi6_addr, flow->local.b, 16);
	name->ipv6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
		.sin6_port = htons(flow->peer_port),
		.sin6_scope_id = info.ipi6_ifindex};
	memcpy(&name->ipv6.sin6_addr, flow->peer.b, 16);
	m->msg_namelen = sizeof(name->ipv6);
	put(m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
}

void sockets_write_message(struct msghdr *message, struct sockets_name *name, void *control,
	const struct sockets_flow *flow, uint16_t segment)
{
	const bool ipv4 = udpxdp_addr_is_ipv4(&flow->peer);
	const int ttl = flow->ttl, tos = flow->tos;

	message->msg_name = name;
	message->msg_control = control;
	message->msg_controllen = 0;
	if (ipv4)
		put_ipv4(message, name, flow);
	else
		put_ipv6(message, name, flow);
	if (flow->ttl != SOCKETS_TTL)
		put(message, ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_TTL : IPV6_HOPLIMIT, &ttl,
			sizeof(ttl));
	if (tos)
		put(message, ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_TOS : IPV6_TCLASS, &tos,
			sizeof(tos));
	if (segment)
		put(message, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment));
}
