/* SPDX-License-Identifier: MIT */
#include "questions.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

struct maker {
	struct question *q;
	uint64_t *prng;
	bool ipv6;
	unsigned tags, options; /* options: bytes of IPv4 options */
	uint32_t l3, l4, payload, payload_len;
};

static uint32_t below(struct maker *m, uint32_t n)
{
	return random_next(m->prng) % n;
}

static bool one_in(struct maker *m, uint32_t n)
{
	return !below(m, n);
}

static void put16(uint8_t *p, uint32_t value)
{
	p[0] = value >> 8;
	p[1] = value;
}

/* RFC 1071, as it is written there. */
static uint32_t add_words(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t pick_length(struct maker *m)
{
	static const uint16_t ends[] = {0, 1, 2, 3, 29, 30, 31, 63, 64, 127, 511, 512, 1023, 1024,
		1409, 1410, 1420, 1421, 1422, 1441, 1442, 1452, 1472, 1479, 1480, 1481, 1500, 2000};

	switch (below(m, 4)) {
	case 0:
		return ends[below(m, sizeof(ends) / sizeof(ends[0]))];
	case 1:
		return below(m, 1500);
	default:
		return below(m, 100);
	}
}

static void fill_payload(struct maker *m)
{
	static const char *const stamps[] = {"\u3010Tue Nov 24 04:33:03 2026\u3011 hello",
		"\u3010Tue Nov  4 04:33:03 2026\u3011",
		"\u3010Tue Nov 24 04:33:03 2026\u3012 hello",
		"\u3010Xue Nov 24 04:33:03 2026\u3011 hello",
		"\u3010Tue Nox 24 04:33:03 2026\u3011", "\u3010Tue Nov 24 04:33:03 2026",
		"\u3010 hello"};
	uint8_t *p = m->q->frame + m->payload;
	const uint32_t kind = below(m, 6), byte = below(m, 2) ? 0 : 0xff;
	uint32_t len;

	for (uint32_t i = 0; i < m->payload_len; i++)
		p[i] = kind == 0 ? byte : random_next(m->prng);
	if (kind != 1)
		return;
	strcpy((char *)p, stamps[below(m, sizeof(stamps) / sizeof(stamps[0]))]);
	len = strlen((char *)p);
	if (len > 7 && one_in(m, 3))
		p[3 + below(m, len - 3)] = " 09:\xe3zA"[below(m, 7)];
	if (m->payload_len < len && !one_in(m, 4))
		m->payload_len = len;
}

static void put_address(struct maker *m, uint8_t *p, const char *ipv4, const char *ipv6)
{
	inet_pton(m->ipv6 ? AF_INET6 : AF_INET, m->ipv6 ? ipv6 : ipv4, p);
}

static void pick_addresses(struct maker *m)
{
	static const char *const sources[][2] = {{"127.0.0.1", "::1"}, {"0.0.0.0", "::"},
		{"0.1.2.3", "::2"}, {"224.0.0.1", "ff02::1"}, {"239.1.2.3", "ff0e::1"},
		{"240.0.0.1", "fe80::1"}, {"255.255.255.255", "::100:1"},
		{"10.0.0.1", "2001:db8::1"}, {"10.0.0.255", "fec0::1"}, {"192.0.2.1", "::1:0:0:1"},
		{"126.1.1.1", "::ffff:1.2.3.4"}, {"128.0.0.1", "1::1"}};
	static const char *const dests[][2] = {{"10.0.0.255", "ff02::1"},
		{"10.0.0.2", "2001:db8::2"}, {"192.0.2.1", "2001:db8::3"},
		{"255.255.255.255", "::ffff:10.0.0.1"}};
	uint8_t *p = m->q->frame + m->l3 + (m->ipv6 ? 8 : 12);
	const uint32_t size = m->ipv6 ? 16 : 4;
	char ipv4[32], ipv6[32];
	uint32_t i;

	snprintf(ipv4, sizeof(ipv4), "10.0.%u.%u", below(m, 3), 2 + below(m, 250));
	snprintf(ipv6, sizeof(ipv6), "2001:db8::%x", 2 + below(m, 0xfff0));
	put_address(m, p, ipv4, ipv6);
	put_address(m, p + size, "10.0.0.1", "2001:db8::1");
	if (one_in(m, 6)) {
		i = below(m, sizeof(sources) / sizeof(sources[0]));
		put_address(m, p, sources[i][0], sources[i][1]);
	}
	if (one_in(m, 20)) {
		i = below(m, sizeof(dests) / sizeof(dests[0]));
		put_address(m, p + size, dests[i][0], dests[i][1]);
	}
}

static void pick_ports(struct maker *m)
{
	static const uint16_t sources[] = {0, 1, 7, 53, 1023, 1024, 8080, 8081, 8086, 8090, 65535};
	static const uint16_t dests[] = {8080, 8081, 8082, 8083, 8084, 8085, 8086, 8090, 9};
	uint8_t *p = m->q->frame + m->l4;

	put16(p, one_in(m, 5) ? sources[below(m, 11)] : 1024 + below(m, 64512));
	put16(p + 2, dests[one_in(m, 8) ? below(m, 9) : below(m, 4)]);
	put16(p + 4, 8 + m->payload_len);
}

static void put_ethernet(struct maker *m)
{
	static const uint16_t vids[8] = {0, 7, 7, 7, 7, 7, 7, 9};
	uint8_t *p = m->q->frame;

	memcpy(p, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02", 12);
	if (one_in(m, 40))
		p[0] |= 1;
	if (one_in(m, 40))
		p[5] = 1 + below(m, 3);
	if (one_in(m, 40))
		p[6] |= 1;
	for (unsigned i = 0; i < m->tags; i++) {
		put16(p + 12 + 4 * i, one_in(m, 2) ? 0x8100 : 0x88a8);
		put16(p + 14 + 4 * i, one_in(m, 20) ? random_next(m->prng)
						    : below(m, 16) << 12 | vids[below(m, 8)]);
	}
	put16(p + m->l3 - 2, m->ipv6 ? 0x86dd : 0x0800);
}

static void put_ip(struct maker *m)
{
	uint8_t *ip = m->q->frame + m->l3;

	if (m->ipv6) {
		put16(ip, 0x6000 | below(m, 0x1000));
		put16(ip + 2, random_next(m->prng));
		put16(ip + 4, 8 + m->payload_len);
		ip[6] = 17;
		ip[7] = random_next(m->prng);
		return;
	}
	ip[0] = 0x45 + m->options / 4;
	ip[1] = random_next(m->prng);
	put16(ip + 2, 20 + m->options + 8 + m->payload_len);
	put16(ip + 4, random_next(m->prng));
	put16(ip + 6, one_in(m, 2) ? 0x4000 : one_in(m, 4) ? 0x8000 : 0);
	ip[8] = random_next(m->prng);
	ip[9] = 17;
	for (unsigned i = 0; i < m->options; i++)
		ip[20 + i] = 1;
}

/* Right, as a sender on this machine leaves it, absent, in its other form, or wrong. */
static void put_checksums(struct maker *m)
{
	uint8_t *ip = m->q->frame + m->l3, *udp = m->q->frame + m->l4;
	uint8_t tail[4] = {0, 17};
	uint32_t pseudo, right;

	if (!m->ipv6) {
		put16(ip + 10, 0);
		put16(ip + 10, ~add_words(0, ip, 20 + m->options));
	}
	put16(tail + 2, 8 + m->payload_len);
	pseudo = add_words(0, ip + (m->ipv6 ? 8 : 12), m->ipv6 ? 32 : 8);
	pseudo = add_words(pseudo, tail, 4);
	put16(udp + 6, 0);
	right = ~add_words(pseudo, udp, 8 + m->payload_len) & 0xffff;
	switch (below(m, 12)) {
	case 0:
		put16(udp + 6, 0);
		break;
	case 1:
	case 2:
		put16(udp + 6, pseudo);
		break;
	case 3:
		put16(udp + 6, random_next(m->prng));
		break;
	case 4:
		put16(udp + 6, ~pseudo);
		break;
	case 5: /* such that the answer's would be 0 */
		if (m->payload_len >= 2 && m->payload_len % 2 == 0)
			put16(udp + 6 + m->payload_len, right);
		put16(udp + 6, 0xffff);
		break;
	default:
		put16(udp + 6, right ? right : 0xffff);
	}
}

static void mutate(struct maker *m)
{
	struct question *q = m->q;

	switch (below(m, 4)) {
	case 0:
		for (uint32_t n = 1 + below(m, 4); n; n--)
			q->frame[below(m, q->len)] ^= 1u << below(m, 8);
		break;
	case 1:
		q->frame[below(m, q->len < 80 ? q->len : 80)] ^= 1u << below(m, 8);
		break;
	case 2:
		q->len = 14 + below(m, q->len - 13);
		break;
	default:
		put16(q->frame + m->l4 + 4, below(m, 2000));
	}
}

void question_make(struct question *q, uint64_t *prng)
{
	struct maker m = {.q = q, .prng = prng};

	memset(q->frame, 0, sizeof(q->frame));
	m.ipv6 = one_in(&m, 2);
	m.tags = one_in(&m, 2) ? 0 : below(&m, 3);
	m.options = !m.ipv6 && one_in(&m, 30) ? 4 * (1 + below(&m, 10)) : 0;
	m.l3 = 14 + 4 * m.tags;
	m.l4 = m.l3 + (m.ipv6 ? 40 : 20 + m.options);
	m.payload = m.l4 + 8;
	m.payload_len = pick_length(&m);
	fill_payload(&m);
	put_ethernet(&m);
	put_ip(&m);
	pick_addresses(&m);
	pick_ports(&m);
	put_checksums(&m);
	q->len = m.payload + m.payload_len;
	if (q->len < 60 && one_in(&m, 2))
		q->len = 60;
	else if (one_in(&m, 10))
		for (uint32_t n = 1 + below(&m, 40); n; n--)
			q->frame[q->len++] = random_next(prng);
	if (one_in(&m, 8))
		mutate(&m);
}
