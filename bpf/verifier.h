/* SPDX-License-Identifier: MIT */
/* What the kernel's verifier wants to see, or not to see. */
#ifndef UDPXDP_BPF_VERIFIER_H
#define UDPXDP_BPF_VERIFIER_H

/*
 * Both keep the compiler from making one access of two, through a pointer plus a variable: where
 * that has several origins, it takes CAP_PERFMON. LOADED() stands behind a load, or in front of a
 * mask that the compiler knows to be none, and the verifier does not.
 */
#define LOADED(number) __asm__ volatile("" : "+r"(number))
#define COUNT(counter)                                     \
	do {                                               \
		(counter)++;                               \
		__asm__ volatile("" : : "i"(__COUNTER__)); \
	} while (0)

/*
 * Has the verifier forget what it knows of a number of 64 bits, with the help of one that it knows
 * nothing of: paths that differ in no more than that are one to it from here on.
 */
#define FORGET(number, by) __asm__ volatile("%0 ^= %1; %0 ^= %1" : "+r"(number) : "r"((__u64)(by)))

#endif
