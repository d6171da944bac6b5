/* SPDX-License-Identifier: MIT */
/*
 * Attaching through libxdp's dispatcher, beside other XDP programs. What is attached there does not
 * end with its process; so another one, that keeps the privileges for it, waits for the end of
 * this one, whatever kind of end, and detaches.
 */
#ifndef UDPXDP_DISPATCHER_H
#define UDPXDP_DISPATCHER_H

#include <bpf/libbpf.h>
#include <stdbool.h>

struct dispatched;

/*
 * Loads the object and attaches its program, in the driver or generically. Early: it starts a
 * process. Returns NULL with errno, and nothing attached; EOPNOTSUPP: this kernel has no dispatcher
 * (it needs BPF_PROG_TYPE_EXT).
 */
struct dispatched *dispatcher_attach(
	struct bpf_object *object, const struct bpf_program *program, int ifindex, bool generic);

/* Does this kernel allow what it needs? */
bool dispatcher_is_allowed(void);

/* Detaches, and frees what the attachment took; the object stays. NULL is all right. */
void dispatcher_detach(struct dispatched *d);

/* Is a program of this name (or one that begins like it) in the dispatcher? Returns its id, or 0.
 */
unsigned dispatcher_find(int ifindex, const char *name);

/* Detaches the program with this id. Returns 0, or -1 with errno. */
int dispatcher_remove(int ifindex, unsigned id);

#endif
