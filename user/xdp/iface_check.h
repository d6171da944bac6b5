/* SPDX-License-Identifier: MIT */
/*
 * Will serving an interface work, and will it be fast? Facts are read in one place and judged in
 * another, which is pure, so that drivers that nobody here has can be judged in a test.
 */
#ifndef UDPXDP_XDP_IFACE_CHECK_H
#define UDPXDP_XDP_IFACE_CHECK_H

#include "netlink/ethtool.h"
#include "netlink/link.h"
#include "udpxdp/abi.h"
#include "xdp/xsk_sockets.h"

#define IFACE_FINDINGS_MAX 48
#define IFACE_PORTS_MAX MAX_SERVICES

struct iface_facts {
	struct link_facts link;
	struct ethtool_facts ethtool;
	unsigned kernel_major, kernel_minor;
	bool driver_is_module;
	bool is_served;     /* by udpxdp: the XDP program on it is one of ours */
	bool has_vf;        /* a virtual function carries its traffic (netvsc) */
	int numa_node;      /* of the device; -1: none */
	bool cpus_on_node;  /* some CPU that this process may use is on that node */
	unsigned irq_count; /* interrupts of the device */
	unsigned irq_cpus;  /* different CPUs that they go to */
	unsigned cpu_count; /* CPUs that this process may use */
	uint64_t gro_flush_timeout_ns, napi_defer_hard_irqs;
	bool firewall;       /* nftables or iptables have rules in this namespace */
	bool have_perfmon;   /* CAP_PERFMON */
	unsigned held_count; /* served ports that a kernel socket is bound to */
	uint16_t held_ports[IFACE_PORTS_MAX];
};

/*
 * Reads the facts of an interface of this network namespace; ports (count of them) are those
 * that are to be served. Returns 0, or -1 with errno (ENODEV: no such interface). What cannot be
 * found out is left as if it were well.
 */
int iface_facts_read(struct iface_facts *facts, int ifindex, const uint16_t *ports, unsigned count);

/* Does native XDP on it run on other devices, whose frames its AF_XDP sockets refuse: on a bond's
 * members, on the virtual function below netvsc? */
bool iface_receives_by_others(int ifindex);

enum iface_severity {
	IFACE_NOTE,   /* good to know */
	IFACE_SLOW,   /* it works, but loses or takes longer than it has to */
	IFACE_BROKEN, /* it does not work */
};

struct iface_finding {
	enum iface_severity severity;
	const char *topic; /* one word, static: what it is about */
	char text[160];    /* what there is, and what follows */
	char cure[112];    /* a command, or other advice */
	bool native;       /* of native XDP; the generic mode is none the worse */
};

/* Judges them. Returns the number of findings, the gravest first. */
unsigned iface_check(
	const struct iface_facts *facts, struct iface_finding findings[IFACE_FINDINGS_MAX]);

/*
 * Does it keep the interface from being served in this mode? What can change by itself (a link that
 * is down) or has a cure within (another program: the dispatcher) does not.
 */
bool iface_prevents(const struct iface_finding *finding, enum xdp_mode mode);

/* Is it that native XDP runs on other devices? The search for a mode says that itself. */
bool iface_is_of_others(const struct iface_finding *finding);

/* No kernel known has zero copy for this interface's driver. */
bool iface_never_has_zerocopy(int ifindex);

/* Is it worth a line at the start in this mode? */
bool iface_matters(const struct iface_finding *finding, enum xdp_mode mode);

#endif
