/* SPDX-License-Identifier: MIT */
/*
 * KEEP_ERRNO; among a block's declarations: at its end errno is what it was there. For the cleaning
 * up after a failure, which calls things that fail or succeed in their own way.
 */
#ifndef UDPXDP_KEEP_ERRNO_H
#define UDPXDP_KEEP_ERRNO_H

#include <errno.h>

#define KEEP_ERRNO __attribute__((unused, cleanup(keep_errno_restore))) const int kept_errno = errno

static inline void keep_errno_restore(const int *kept)
{
	errno = *kept;
}

#endif
