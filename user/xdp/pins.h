/* SPDX-License-Identifier: MIT */
/* Pins of BPF maps: names in the BPF file system by which other programs find them. */
#ifndef UDPXDP_PINS_H
#define UDPXDP_PINS_H

#include <stdbool.h>

#define BPFFS "/sys/fs/bpf"
#define PIN_ROOT BPFFS "/udpxdp"
#define PIN_PATH_SIZE 320

struct pin {
	const char *name;
	int map;
};

struct pins {
	char dir[256]; /* "": there are none */
	int lock;      /* on the directory, as long as we live; or -1 */
	const struct pin *pins;
	unsigned count;
};

/* Mounts the BPF file system where it should be and is not. Returns 0, or -1 with errno. */
int pins_mount_bpffs(void);

/*
 * Pins maps in dir, replacing what a dead process left there; pins outlives it. Returns 0; or -1
 * with errno EBUSY when a live process has dir, else why there can be no pins.
 */
int pins_make(struct pins *pins, const char *dir, const struct pin *maps, unsigned count);

/* Does a living process hold the pins in this directory? False also when that cannot be seen. */
bool pins_alive(const char *dir);

/* The paths of what pins_make() made, in the order in which they can be removed: the maps, their
 * directory and its parent. Returns false when there is none. */
bool pins_path(const struct pins *pins, unsigned i, char path[PIN_PATH_SIZE]);

/* Removes them all, as far as they are there. */
void pins_remove(struct pins *pins);

#endif
