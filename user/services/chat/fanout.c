/* SPDX-License-Identifier: MIT */
#include "services/chat/fanout.h"

static uint32_t size_of(uint32_t len)
{
	return (uint32_t)(sizeof(struct fanout_line) + len + 7) & ~7u;
}

struct fanout_line *fanout_reserve(struct fanout *f, uint32_t len)
{
	const uint32_t size = size_of(len);

	if (!f->count)
		f->head = f->tail = 0;
	if (f->tail >= f->head && (!f->count || f->tail > f->head)) {
		if (size <= FANOUT_BYTES - f->tail)
			return (struct fanout_line *)(f->ring + f->tail);
		if (size > f->head)
			return NULL;
		f->end = f->tail;
		f->tail = 0;
		return (struct fanout_line *)f->ring;
	}
	return size <= f->head - f->tail ? (struct fanout_line *)(f->ring + f->tail) : NULL;
}

void fanout_add(struct fanout *f, const struct fanout_line *line)
{
	f->tail += size_of(line->len);
	f->count++;
}

static void pop(struct fanout *f, struct members *members)
{
	const struct fanout_line *line = (const void *)(f->ring + f->head);

	f->head += size_of(line->len);
	if (--f->count && f->head == f->end && f->tail <= f->head)
		f->head = 0;
	members->served = 0;
}

void fanout_run(struct fanout *f, struct members *members, struct udpxdp_ctx *ctx)
{
	while (f->count && f->allowance) {
		const struct fanout_line *line = (const void *)(f->ring + f->head);

		while (members->served < members->count && f->allowance) {
			const struct member *member = members_at(members, members->served++);

			if (members_number(members, member) == line->speaker ||
				member->joined > line->joined ||
				(line->not_port && line->not_port == member->path.peer.port))
				continue;
			f->allowance--;
			udpxdp_send(ctx, &member->path, line->text, line->len);
		}
		if (members->served == members->count)
			pop(f, members);
	}
	if (f->allowance < FANOUT_SLICE)
		udpxdp_resume_later(ctx);
}
