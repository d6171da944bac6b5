/* SPDX-License-Identifier: MIT */
/* What is said to the operator: one line each, on standard error, beginning "udpxdp: ". */
#ifndef UDPXDP_LOG_H
#define UDPXDP_LOG_H

/* Exit statuses: part of the contract with scripts. */
enum {
	EXIT_CLEAN = 0,
	EXIT_RUNTIME = 1,    /* failure while running */
	EXIT_USAGE = 2,      /* the command line */
	EXIT_PERMISSION = 3, /* a capability is missing */
	EXIT_INTERFACE = 4,  /* no such interface, or XDP cannot be used on it as asked */
	EXIT_BUSY = 5,       /* another program holds the interface */
};

/* 0: what matters; 1: -v; 2: -vv, libbpf's and libxdp's own messages too. Set once at start. */
extern unsigned log_level;

/* Prints "udpxdp: " and the message and a newline in one write(2). Any thread. Bytes that are
 * not printable are escaped, so that a name from outside cannot steer the terminal. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, only with -v. */
void log_verbose(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints an error line and exits. Only for use before anything is attached. */
void log_fail(int status, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

/* The same, of standard output, which takes nothing for the reason in errno. */
void log_fail_output(void) __attribute__((noreturn));

#endif
