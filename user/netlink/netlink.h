/* SPDX-License-Identifier: MIT */
/*
 * Questions to the kernel by rtnetlink (rtnetlink(7)). It answers before send() returns, so
 * asking never waits, and the sockets do not block.
 */
#ifndef UDPXDP_NETLINK_H
#define UDPXDP_NETLINK_H

#include <libmnl/libmnl.h>

#include "udpxdp/datagram.h"

#define NETLINK_BUFFER_SIZE 32768 /* for any one packet from the kernel */
#define NETLINK_QUESTION_SIZE 256 /* for any of our questions */

/* A socket that hears of these groups (RTMGRP_*; 0: only answers). Returns NULL with errno. */
struct mnl_socket *netlink_open(unsigned groups);

/* The same for another family than NETLINK_ROUTE, such as NETLINK_GENERIC. */
struct mnl_socket *netlink_open_family(int family, unsigned groups);

/* Begins a question in buffer (NETLINK_QUESTION_SIZE bytes, aligned as struct nlmsghdr). */
struct nlmsghdr *netlink_question(void *buffer, uint16_t type, uint16_t flags);

/*
 * Asks, and has the answer given to parse (NULL when a mere acknowledgement is asked for, by
 * NLM_F_ACK); with NLM_F_DUMP, every part of it. Returns 0, or -1 with errno as the kernel says it.
 */
int netlink_ask(
	struct mnl_socket *socket, struct nlmsghdr *question, mnl_cb_t parse, void *context);

/* table (max + 1 entries, zeroed) gets the attributes behind a header of so many bytes. */
void netlink_attributes(
	const struct nlmsghdr *message, size_t header, const struct nlattr **table, uint16_t max);
void netlink_nested(const struct nlattr *attr, const struct nlattr **table, uint16_t max);

/* Addresses as attributes; family is AF_INET or AF_INET6. */
void netlink_put_addr(struct nlmsghdr *message, uint16_t type, const struct udpxdp_addr *addr);
bool netlink_get_addr(struct udpxdp_addr *addr, uint8_t family, const struct nlattr *attr);

/* A MAC as an attribute; false, with mac untouched, when it is none. */
bool netlink_get_mac(uint8_t mac[6], const struct nlattr *attr);

#endif
