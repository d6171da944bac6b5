/* SPDX-License-Identifier: MIT */
/*
 * Frames, commands, time and changes of the network through two engines and all services. What
 * comes out is judged: every frame sent, every message shown, every counter.
 *
 * An input is a list of steps. The first byte of a step says what it is:
 *   bits 0-1  0: a frame: a byte for the time that passed, two for its length (little endian), it
 *             1: a console's command: the service, the peer, a length (two bytes), the text
 *             2: a tick: a byte for the time that passed
 *             3: another network: a byte
 *   bit 2     the frame's lengths and checksums are made right
 *   bit 3     it arrives at the worker that does not own the single services
 *   bit 4     it is held back until the next frame to the same worker: a batch
 *   bit 5     there are no frames to send with
 *   bit 6     nobody takes messages
 *   bit 7     the payload ends with the token that a chat room asked for last
 */
#include <stdlib.h>
#include <string.h>

#include "bpf/harness.h"
#include "fuzz/oracle.h"
#include "fuzz/accounting_io.h"
#include "services/service_spec.h"
#include "unit/single_reply.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEND = 4, WORKER = 8, HOLD = 16, NO_TX = 32, NO_SINK = 64, TOKEN = 128 };

#define WORKERS 2
#define ANSWER_CONSTANT 600 /* bytes that an answer may have beyond three times its question */

static const char *const specs[] = {
	"echo:8080", "echo:7,stamp=off,loops=allow", "broadcast:8086", "broadcast:8087,answer=off",
	"chat:8090,members=40", "chat:8091,members=2,idle=1,challenge=off",
	"stamp:862,stateful=on,sessions=8", "reply", /* single_reply.h; the others are parsed */
};
#define SERVICES (sizeof(specs) / sizeof(specs[0]))

static struct service_config services[SERVICES];
static struct udpxdp_host *nets[4];
static const uint32_t mtus[4] = {1500, 576, 3000, 1500};

/* One run. */
static struct line {
	struct accounting_io io[WORKERS];
	struct engine *engine[WORKERS];
	struct service_counters counters[WORKERS][SERVICES];
	const struct udpxdp_host *net;
	uint64_t time_ns;
	bool no_sink, commanded;
	uint64_t fed[WORKERS], verdicts[FRAME_VERDICT_COUNT];
	uint64_t sent[SERVICES], sent_bytes[SERVICES];
	struct frame_info question; /* that is being answered, if its payload offset is not 0 */
	uint32_t answer_bytes;
	uint8_t token[8];
	struct handover {
		unsigned instance;
		struct udpxdp_datagram d;
	} handed[FRAME_BATCH];
	unsigned handed_count;
} line;

static unsigned instance_of(uint16_t port)
{
	unsigned i = 0;

	while (i < SERVICES && services[i].port != port)
		i++;
	return i;
}

static void remember_token(const uint8_t *payload, uint32_t len)
{
	static const char ask[] = "* to join, send: ";

	if (len >= sizeof(ask) - 1 + sizeof(line.token) && !memcmp(payload, ask, sizeof(ask) - 1))
		memcpy(line.token, payload + sizeof(ask) - 1, sizeof(line.token));
}

static void on_sent(void *context, const struct frame *frame)
{
	const struct frame_info info = judge_frame(frame, line.net->mtu);
	const unsigned instance = instance_of(info.source_port);
	const struct frame_info *q = &line.question;

	require(instance < SERVICES, frame->data, frame->len);
	if (!strcmp(services[instance].service->name, "chat"))
		require(udpxdp_text_is_utf8(frame->data + info.payload, info.payload_len),
			frame->data, frame->len);
	require(udpxdp_host_kind(line.net, &info.dest) != UDPXDP_LOCAL_BROADCAST || line.commanded,
		frame->data, frame->len);
	line.sent[instance]++;
	line.sent_bytes[instance] += info.payload_len;
	remember_token(frame->data + info.payload, info.payload_len);

	/* Whoever forges a question gets little sent to whom it names. */
	if (q->payload && !memcmp(&info.dest, &q->source, 16) && info.dest_port == q->source_port) {
		line.answer_bytes += info.payload_len;
		require(line.answer_bytes <= 3u * q->payload_len + ANSWER_CONSTANT, frame->data,
			frame->len);
	}
}

static bool on_message(void *context, unsigned instance, const struct udpxdp_message *message)
{
	require(instance < SERVICES, NULL, 0);
	judge_message(message);
	return !line.no_sink;
}

static bool on_hand_over(void *context, unsigned instance, const struct udpxdp_datagram *d)
{
	struct handover *h = &line.handed[line.handed_count];

	if (line.no_sink || line.handed_count == FRAME_BATCH)
		return false;
	line.handed_count++;
	h->instance = instance;
	h->d = *d;
	h->d.payload = exact_copy(d->payload, d->len);
	return true;
}

static void deliver_handed(void)
{
	for (unsigned i = 0; i < line.handed_count; i++) {
		struct handover *h = &line.handed[i];

		engine_deliver(line.engine[0], h->instance, &h->d);
		free((void *)h->d.payload);
	}
	line.handed_count = 0;
	engine_flush(line.engine[0]);
}

static void set_net(unsigned n)
{
	line.net = nets[n];
	for (unsigned w = 0; w < WORKERS; w++) {
		line.io[w].room = mtus[n] + 14 + 4 * UDPXDP_VLAN_TAGS_MAX;
		engine_set_net(line.engine[w], nets[n]);
	}
}

static void line_start(void)
{
	static const struct engine_handover to_owner = {.push = on_hand_over};

	memset(&line, 0, sizeof(line));
	line.time_ns = 1795402800 * UDPXDP_NSEC_PER_SEC;
	for (unsigned w = 0; w < WORKERS; w++) {
		const struct engine_config config = {
			.io = &line.io[w].io,
			.services = services,
			.service_count = SERVICES,
			.worker = w,
			.handover = w == 0 ? NULL : &to_owner,
			.counters = line.counters[w],
			.hostname = "fuzz",
			.sinks = {.print = on_message, .record = on_message, .notify = on_message},
		};

		accounting_io_init(&line.io[w]);
		line.io[w].sent = on_sent;
		line.engine[w] = engine_new(&config);
		require(line.engine[w], NULL, 0);
	}
	set_net(0);
}

/* Every frame is one verdict, every datagram of a service one count, and nothing is kept. */
static void line_end(void)
{
	uint64_t rx = 0, delivered = 0;

	for (unsigned w = 0; w < WORKERS; w++) {
		uint64_t verdicts = 0;

		for (unsigned v = 0; v <= FRAME_UDP; v++)
			verdicts += engine_verdict(line.engine[w], v);
		require(verdicts == line.fed[w] - line.io[w].queued, NULL, 0);
		delivered += engine_verdict(line.engine[w], FRAME_UDP);
		require(!line.io[w].out && !line.io[w].unflushed, NULL, 0);
	}
	for (unsigned i = 0; i < SERVICES; i++) {
		const struct service_counters *a = &line.counters[0][i], *b = &line.counters[1][i];

		rx += a->rx + b->rx;
		require(a->tx + b->tx == line.sent[i], specs[i], strlen(specs[i]));
		require(a->tx_bytes + b->tx_bytes == line.sent_bytes[i], specs[i],
			strlen(specs[i]));
	}
	require(rx == delivered, NULL, 0);
	for (unsigned w = 0; w < WORKERS; w++) {
		line.io[w].io.ops->close(&line.io[w].io);
		engine_free(line.engine[w]);
	}
}

/* ---- the steps ---- */

struct input {
	const uint8_t *data;
	size_t left;
};

static uint8_t take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->data++;
}

static void pass_time(uint8_t step)
{
	static const int64_t ms[8] = {0, 1, 1000, 2000, 61000, 299000, 301000, -5000};

	line.time_ns += (uint64_t)(ms[step & 7] * 1000000);
}

static void flags_apply(uint8_t op)
{
	line.no_sink = op & NO_SINK;
	for (unsigned w = 0; w < WORKERS; w++)
		line.io[w].full = op & NO_TX;
}

static void step_frame(struct input *in, uint8_t op)
{
	const unsigned w = !!(op & WORKER);
	struct accounting_io *io = &line.io[w];
	uint8_t frame[FRAME_MAX];
	uint32_t len;

	pass_time(take(in));
	len = take(in);
	len |= (uint32_t)take(in) << 8;
	if (len > in->left)
		len = in->left;
	if (len > FRAME_MAX)
		len = FRAME_MAX;
	memcpy(frame, in->data, len);
	in->data += len;
	in->left -= len;
	if (op & TOKEN && len >= sizeof(line.token))
		memcpy(frame + len - sizeof(line.token), line.token, sizeof(line.token));
	if (op & MEND)
		mend_frame(frame, len);
	accounting_io_put(io, frame, len, line.time_ns);
	line.fed[w]++;
	if (op & HOLD && io->queued < FRAME_BATCH)
		return;
	line.answer_bytes = 0;
	if (io->queued != 1 || reference_classify(frame, len, &line.question) != FRAME_UDP)
		line.question.payload = 0;
	require(engine_poll(line.engine[w]) >= 1, frame, len);
	deliver_handed();
	line.question.payload = 0;
	require(!io->out, frame, len);
}

/* A peer on the subnet, one behind a router, one with tags, one over IPv6. */
static struct udpxdp_path path_to(uint8_t peer)
{
	struct udpxdp_path path = {
		.local = {.addr = udpxdp_addr_ipv4(10, 0, 0, 1), .mac = {2, 0, 0, 0, 0, 1}},
		.peer = {.addr = udpxdp_addr_ipv4(10, 0, 0, 2),
			.port = 4711,
			.mac = {2, 0, 0, 0, 0, 2}},
		.tag_count = peer & 3,
		.tags = {{0x88a8, 100}, {0x8100, 7}},
	};

	if (path.tag_count > UDPXDP_VLAN_TAGS_MAX)
		path.tag_count = 0;
	if (peer & 4)
		path.peer.addr = udpxdp_addr_ipv4(198, 51, 100, 7);
	if (peer & 8) {
		path.local.addr = (struct udpxdp_addr){.b = {0x20, 1, 0xd, 0xb8, [15] = 1}};
		path.peer.addr = (struct udpxdp_addr){.b = {0x20, 1, 0xd, 0xb8, [15] = 2}};
	}
	if (peer & 16)
		path.peer.port = 8090;
	return path;
}

static void step_command(struct input *in)
{
	const unsigned instance = take(in) % SERVICES;
	struct udpxdp_command command = {.time_ns = line.time_ns, .path = path_to(take(in))};
	uint32_t len = take(in);
	uint8_t *text;

	len |= (uint32_t)take(in) << 8;
	len = len < in->left ? len : in->left;
	text = exact_copy(in->data, len);
	in->data += len;
	in->left -= len;
	command.text = text;
	command.len = len;
	if (services[instance].service->command) {
		line.commanded = true;
		engine_command(line.engine[0], instance, &command);
		engine_flush(line.engine[0]);
		line.commanded = false;
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	line_start();
	while (in.left) {
		const uint8_t op = take(&in);

		flags_apply(op);
		switch (op & 3) {
		case 0:
			step_frame(&in, op);
			break;
		case 1:
			step_command(&in);
			break;
		case 2:
			pass_time(take(&in));
			for (unsigned w = 0; w < WORKERS; w++) {
				engine_tick(line.engine[w], line.time_ns);
				engine_flush(line.engine[w]);
			}
			break;
		default:
			set_net(take(&in) % 4);
		}
	}
	line_end();
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct udpxdp_host_addr addrs[] = {
		{.addr = udpxdp_addr_ipv4(10, 0, 0, 1),
			.broadcast = udpxdp_addr_ipv4(10, 0, 0, 255),
			.prefix_len = 24,
			.on_iface = true},
		{.addr = {.b = {0x20, 1, 0xd, 0xb8, [15] = 1}}, .prefix_len = 64, .on_iface = true},
		{.addr = udpxdp_addr_ipv4(192, 0, 2, 1), .prefix_len = 32},
	};
	const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	char error[256];

	setenv("TZ", "UTC0", 1);
	for (unsigned i = 0; i < SERVICES - 1; i++)
		require(!service_parse(&services[i], specs[i], error, sizeof(error)), specs[i],
			strlen(specs[i]));
	services[SERVICES - 1] = (struct service_config){
		.service = &single_reply_service, .port = SINGLE_REPLY_PORT};
	/* All addresses; a small MTU; none of IPv4; none at all, every unicast address being ours.
	 */
	nets[0] = udpxdp_host_new(mac, mtus[0], addrs, 3);
	nets[1] = udpxdp_host_new(mac, mtus[1], addrs, 3);
	nets[2] = udpxdp_host_new(mac, mtus[2], addrs + 1, 1);
	nets[3] = udpxdp_host_new(mac, mtus[3], addrs, 0);
	nets[3]->any_unicast = true;
	return 0;
}
