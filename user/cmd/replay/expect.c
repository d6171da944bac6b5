/* SPDX-License-Identifier: MIT */
#include "cmd/replay/expect.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "base/log.h"
#include "io/pcap.h"
#include "udpxdp/packet.h"

#define FRAMES_SHOWN 10 /* that differ; the others are only counted */
#define FIELDS_MAX 24
#define DESCRIPTION_SIZE 256
#define CONTEXT 16 /* bytes shown in front of the first that differs */
#define EXCERPT 48 /* and in all */

struct expect {
	struct frame_io *golden;
	const char *path;
	uint64_t sent, expected, differing;
};

struct expect *expect_open(const char *path, char *error, size_t size)
{
	struct expect *e = calloc(1, sizeof(*e));

	if (!e) {
		snprintf(error, size, "cannot read %s: out of memory; free some", path);
		return NULL;
	}
	e->path = path;
	e->golden = pcap_io_open(path, "/dev/null", error, size);
	if (e->golden)
		return e;
	free(e);
	return NULL;
}

void expect_close(struct expect *e)
{
	if (e)
		e->golden->ops->close(e->golden);
	free(e);
}

/* ---- what a frame says --------------------------------------------------------------- */

struct fields {
	struct field {
		const char *name;
		char text[2 * (IPV4_HEADER_LEN_MAX - IPV4_HEADER_LEN) + 1];
	} field[FIELDS_MAX];
	unsigned count;
	const uint8_t *rest; /* what is behind them */
	uint32_t rest_len;
};

__attribute__((format(printf, 3, 4))) static void add(
	struct fields *f, const char *name, const char *format, ...)
{
	struct field *field = &f->field[f->count++];
	va_list args;

	field->name = name;
	va_start(args, format);
	vsnprintf(field->text, sizeof(field->text), format, args);
	va_end(args);
}

static void add_mac(struct fields *f, const char *name, const uint8_t mac[6])
{
	add(f, name, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		mac[5]);
}

static void add_addr(struct fields *f, const char *name, int family, const void *addr)
{
	char text[INET6_ADDRSTRLEN];

	add(f, name, "%s", inet_ntop(family, addr, text, sizeof(text)));
}

/* The next len bytes, which are then no longer of the rest; NULL when there are fewer. */
static const void *take(struct fields *f, uint32_t len)
{
	const uint8_t *taken = f->rest;

	if (f->rest_len < len)
		return NULL;
	f->rest += len;
	f->rest_len -= len;
	return taken;
}

static void read_udp(struct fields *f)
{
	const struct udp_header *udp = take(f, sizeof(*udp));

	if (!udp)
		return;
	add(f, "udp.srcport", "%u", PACKET_BE16(udp->source));
	add(f, "udp.dstport", "%u", PACKET_BE16(udp->dest));
	add(f, "udp.length", "%u", PACKET_BE16(udp->len));
	add(f, "udp.checksum", "0x%04x", PACKET_BE16(udp->checksum));
}

static void read_ipv4(struct fields *f)
{
	const struct ipv4_header *ip = take(f, sizeof(*ip));
	const uint8_t *options;
	struct field *last;
	uint32_t len;

	if (!ip)
		return;
	add(f, "ip.version_ihl", "0x%02x", ip->version_ihl);
	add(f, "ip.dsfield", "0x%02x", ip->tos);
	add(f, "ip.len", "%u", PACKET_BE16(ip->total_len));
	add(f, "ip.id", "0x%04x", PACKET_BE16(ip->id));
	add(f, "ip.flags", "0x%04x", PACKET_BE16(ip->fragment));
	add(f, "ip.ttl", "%u", ip->ttl);
	add(f, "ip.proto", "%u", ip->protocol);
	add(f, "ip.checksum", "0x%04x", PACKET_BE16(ip->checksum));
	add_addr(f, "ip.src", AF_INET, ip->source);
	add_addr(f, "ip.dst", AF_INET, ip->dest);
	len = (ip->version_ihl & 0x0fu) * 4u;
	options = len > sizeof(*ip) ? take(f, len - sizeof(*ip)) : NULL;
	if (options) {
		add(f, "ip.options", "%s", "");
		last = &f->field[f->count - 1];
		for (uint32_t i = 0; i < len - sizeof(*ip); i++)
			snprintf(last->text + 2 * i, 3, "%02x", options[i]);
	}
	if (ip->protocol == IP_PROTO_UDP && !(ip->fragment & PACKET_BE16(0x1fff)))
		read_udp(f);
}

static void read_ipv6(struct fields *f)
{
	const struct ipv6_header *ip = take(f, sizeof(*ip));
	uint16_t word;

	if (!ip)
		return;
	word = PACKET_BE16(ip->version_class);
	add(f, "ipv6.version", "%u", word >> 12);
	add(f, "ipv6.tclass", "0x%02x", word >> 4 & 0xff);
	add(f, "ipv6.flow", "0x%05x", (word & 0xfu) << 16 | PACKET_BE16(ip->flow));
	add(f, "ipv6.plen", "%u", PACKET_BE16(ip->payload_len));
	add(f, "ipv6.nxt", "%u", ip->next_header);
	add(f, "ipv6.hlim", "%u", ip->hop_limit);
	add_addr(f, "ipv6.src", AF_INET6, ip->source);
	add_addr(f, "ipv6.dst", AF_INET6, ip->dest);
	if (ip->next_header == IP_PROTO_UDP)
		read_udp(f);
}

static void dissect(struct fields *f, const struct frame *frame)
{
	static const char *const tags[UDPXDP_VLAN_TAGS_MAX] = {"vlan", "vlan (inner)"};
	const struct vlan_header *vlan = NULL;
	const struct eth_header *eth;
	uint16_t type;

	*f = (struct fields){.rest = frame->data, .rest_len = frame->len};
	add(f, "frame.time", "%llu.%09llu", frame->time_ns / 1000000000ull,
		frame->time_ns % 1000000000ull);
	eth = take(f, sizeof(*eth));
	if (!eth)
		return;
	add_mac(f, "eth.dst", eth->dest);
	add_mac(f, "eth.src", eth->source);
	type = PACKET_BE16(eth->type);
	for (int i = 0; i < UDPXDP_VLAN_TAGS_MAX; i++) {
		if ((type != ETHERTYPE_8021Q && type != ETHERTYPE_8021AD) ||
			!(vlan = take(f, sizeof(*vlan))))
			break;
		add(f, tags[i], "0x%04x id %u priority %u", type, PACKET_BE16(vlan->tci) & 0xfff,
			PACKET_BE16(vlan->tci) >> 13);
		type = PACKET_BE16(vlan->type);
	}
	add(f, "eth.type", "0x%04x", type);
	if (type == ETHERTYPE_IPV4)
		read_ipv4(f);
	else if (type == ETHERTYPE_IPV6)
		read_ipv6(f);
}

/* ---- what differs -------------------------------------------------------------------- */

static const char *text_of(const struct fields *f, const char *name)
{
	for (unsigned i = 0; i < f->count; i++)
		if (!strcmp(f->field[i].name, name))
			return f->field[i].text;
	return "none";
}

static void say(const struct expect *e, const char *name, const char *expected, const char *sent)
{
	log_line("%s: frame %llu: %s: expected %s, sent %s", e->path, (unsigned long long)e->sent,
		name, expected, sent);
}

static uint32_t excerpt(char *out, size_t size, const struct fields *f, uint32_t from)
{
	uint32_t len = f->rest_len > from ? f->rest_len - from : 0;

	out[escape_quoted(out, size - 1, f->rest + from, len < EXCERPT ? len : EXCERPT)] = '\0';
	return len;
}

static void say_rest(
	const struct expect *e, const struct fields *expected, const struct fields *sent)
{
	char a[4 * EXCERPT + 8], b[4 * EXCERPT + 8], name[64];
	uint32_t at = 0, from;

	while (at < expected->rest_len && at < sent->rest_len &&
		expected->rest[at] == sent->rest[at])
		at++;
	if (at == expected->rest_len && at == sent->rest_len)
		return;
	from = at > CONTEXT ? at - CONTEXT : 0;
	excerpt(a, sizeof(a), expected, from);
	excerpt(b, sizeof(b), sent, from);
	snprintf(name, sizeof(name), "data (%u and %u bytes) at byte %u", expected->rest_len,
		sent->rest_len, from);
	say(e, name, a, b);
}

/* What tells a frame from others: its addresses and ports. */
static const char *describe(char out[DESCRIPTION_SIZE], const struct frame *frame)
{
	struct fields f;
	size_t at = (size_t)snprintf(out, DESCRIPTION_SIZE, "%u bytes", frame->len);

	dissect(&f, frame);
	for (unsigned i = 0; i < f.count && at < DESCRIPTION_SIZE; i++)
		if (strstr(f.field[i].name, "src") || strstr(f.field[i].name, "dst"))
			at += (size_t)snprintf(out + at, DESCRIPTION_SIZE - at, ", %s %s",
				f.field[i].name, f.field[i].text);
	return out;
}

static void say_differences(
	const struct expect *e, const struct frame *expected, const struct frame *sent)
{
	char a[DESCRIPTION_SIZE], b[DESCRIPTION_SIZE];
	struct fields want, got;

	dissect(&want, expected);
	dissect(&got, sent);
	if (strcmp(text_of(&want, "eth.type"), text_of(&got, "eth.type"))) {
		say(e, "frame", describe(a, expected), describe(b, sent));
		return;
	}
	for (unsigned i = 0; i < want.count; i++)
		if (strcmp(want.field[i].text, text_of(&got, want.field[i].name)))
			say(e, want.field[i].name, want.field[i].text,
				text_of(&got, want.field[i].name));
	for (unsigned i = 0; i < got.count; i++)
		if (!strcmp(text_of(&want, got.field[i].name), "none"))
			say(e, got.field[i].name, "none", got.field[i].text);
	say_rest(e, &want, &got);
}

void expect_frame(void *context, const struct frame *sent)
{
	struct expect *e = context;
	struct frame expected;
	bool found = e->golden->ops->receive(e->golden, &expected, 1) == 1;
	char text[DESCRIPTION_SIZE];

	e->sent++;
	e->expected += found;
	if (found && expected.len == sent->len && expected.time_ns == sent->time_ns &&
		!memcmp(expected.data, sent->data, sent->len)) {
		e->golden->ops->release(e->golden, &expected);
		return;
	}
	if (e->differing++ < FRAMES_SHOWN) {
		if (found)
			say_differences(e, &expected, sent);
		else
			say(e, "frame", "none", describe(text, sent));
	}
	if (found)
		e->golden->ops->release(e->golden, &expected);
}

int expect_result(struct expect *e, char *error, size_t size)
{
	struct frame expected;
	char text[DESCRIPTION_SIZE];

	while (e->golden->ops->receive(e->golden, &expected, 1) == 1) {
		e->expected++;
		if (e->differing++ < FRAMES_SHOWN)
			log_line("%s: frame %llu: frame: expected %s, sent none", e->path,
				(unsigned long long)e->expected, describe(text, &expected));
		e->golden->ops->release(e->golden, &expected);
	}
	snprintf(error, size, "%s", pcap_io_error(e->golden));
	if (!*error && e->differing)
		snprintf(error, size,
			"%s: %llu frames differ, %llu expected and %llu sent; if they are right, "
			"add --update",
			e->path, (unsigned long long)e->differing, (unsigned long long)e->expected,
			(unsigned long long)e->sent);
	return *error ? -1 : 0;
}
