/* SPDX-License-Identifier: MIT */
/* Questions to an echo, at random: whole ones, odd ones, and ones that something happened to. */
#ifndef UDPXDP_TESTS_BPF_QUESTIONS_H
#define UDPXDP_TESTS_BPF_QUESTIONS_H

#include <stdint.h>

#include "harness.h"

struct question {
	uint32_t len;
	uint8_t frame[FRAME_MAX];
};

/* Makes the next of a stream of questions to the world of test_answers.c. */
void question_make(struct question *q, uint64_t *prng);

#endif
