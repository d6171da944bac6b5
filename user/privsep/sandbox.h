/* SPDX-License-Identifier: MIT */
/*
 * Least privilege: once everything is open, the process gives up root, capabilities and most
 * system calls. No capability remains (but CAP_BPF on the event loop's thread before Linux 5.19,
 * which wants it for map updates): finding neighbours, which takes CAP_NET_ADMIN, is the monitor's.
 */
#ifndef UDPXDP_SANDBOX_H
#define UDPXDP_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/* Names what is missing of CAP_NET_ADMIN, CAP_BPF and CAP_NET_RAW, as "CAP_BPF, CAP_NET_RAW"; ""
 * when all are there. */
void sandbox_missing(char *text, size_t size);

/* Has this process CAP_PERFMON, itself or by CAP_SYS_ADMIN? With it the verifier spares the filter
 * its barriers against speculation. */
bool sandbox_has_perfmon(void);

/* Will this process change to another user? Then it needs a monitor for its files. True for root
 * (see root_is_ours()), but for one that may not (CAP_SETUID, CAP_SETGID): that one stays root,
 * without capabilities. */
bool sandbox_changes_user(void);

/* Whom it becomes when that is left to us: udpxdp, a user of its own, where there is one; else
 * nobody.
 */
const char *sandbox_default_user(void);

/* Can it become user (NULL: it is left to us)? Returns EXIT_CLEAN; or the exit status with one
 * line in error. */
int sandbox_check_user(const char *user, char *error, size_t size);

/*
 * Enters it: becomes user (NULL: see sandbox_default_user(); and sandbox_changes_user()),
 * no_new_privs, a seccomp filter. xdp: XDP is served. Single-threaded still; threads started later
 * inherit it and give up the rest of the capabilities (see thread_on_start()). Returns 0, or -1
 * with one line in error.
 */
int sandbox_enter(const char *user, bool xdp, char *error, size_t size);

/* Before it is entered: threads beside the data path will connect to servers in the network. */
void sandbox_allow_connections(void);

/* A data-path thread also gives up every system call but the few it makes. */
void sandbox_enter_data_path(void);

/* What is left to the monitor, a process of its own: to open and remove files wherever root may; if
 * it resolves, to speak by a netlink socket that is open, with CAP_NET_ADMIN. */
void sandbox_enter_monitor(bool resolves);

/* What is left to the detach_helper, another one: to detach from the dispatcher. */
void sandbox_enter_detach_helper(void);

#endif
