/* SPDX-License-Identifier: MIT */
/* Output that was lost: counted, and reported in the same words whatever it was. */
#ifndef UDPXDP_LOSS_H
#define UDPXDP_LOSS_H

#include <stdatomic.h>
#include <stdint.h>

/* Reports one line to the operator, without a newline; log_line() is one. Any thread. */
typedef void loss_report_fn(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct loss {
	loss_report_fn *report;
	const char *what; /* where it was to go: "history chat.txt" */
	const char *unit; /* what was lost: "lines" */
	_Atomic uint64_t count;
};

/* One thread at a time counts; any thread may read. */
void loss_add(struct loss *loss, uint64_t count);
uint64_t loss_count(const struct loss *loss);

/* Reports "WHAT: EVENT; UNIT lost so far: COUNT". */
void loss_report(const struct loss *loss, const char *event);

#endif
