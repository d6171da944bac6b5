/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/afxdp.h"
#include "netlink/ethtool_ioctl.h"
#include "xdp/iface_check.h"

#define VETH_NATIVE_MTU_MAX 3506 /* without XDP fragments: a page less headroom and tail */
#define IGC_MTU_MAX 1500

struct judge {
	const struct iface_facts *facts;
	struct iface_finding *findings;
	unsigned count;
};

/* The cure is the second of two strings that format makes, divided by a newline. */
static __attribute__((format(printf, 4, 5))) void find(
	struct judge *j, enum iface_severity severity, const char *topic, const char *format, ...)
{
	struct iface_finding *found = &j->findings[j->count];
	char both[sizeof(found->text) + sizeof(found->cure)];
	char *cure;
	va_list args;

	if (j->count == IFACE_FINDINGS_MAX)
		return;
	j->count++;
	va_start(args, format);
	vsnprintf(both, sizeof(both), format, args);
	va_end(args);
	cure = strchr(both, '\n');
	*found = (struct iface_finding){.severity = severity, .topic = topic};
	snprintf(found->text, sizeof(found->text), "%.*s",
		(int)(cure ? (size_t)(cure - both) : strlen(both)), both);
	snprintf(found->cure, sizeof(found->cure), "%s", cure ? cure + 1 : "");
}

#define find_native(j, ...)                                  \
	do {                                                 \
		find(j, __VA_ARGS__);                        \
		(j)->findings[(j)->count - 1].native = true; \
	} while (0)

static bool is_driver(const struct judge *j, const char *name)
{
	return !strcmp(j->facts->ethtool.driver, name);
}

static bool is_kind(const struct judge *j, const char *kind)
{
	return !strcmp(j->facts->link.kind, kind);
}

/* Is the name one of a list that NULL ends? */
static bool is_among(const char *name, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(name, *list))
			return true;
	return false;
}

static bool before_linux(const struct iface_facts *f, unsigned major, unsigned minor)
{
	return f->kernel_major < major || (f->kernel_major == major && f->kernel_minor < minor);
}

/* ---- what kind of interface it is ----------------------------------------------------- */

/* Returns whether it is one that can be served at all. */
static bool check_kind(struct judge *j)
{
	const struct link_facts *l = &j->facts->link;

	if (l->loopback)
		find(j, IFACE_BROKEN, "kind",
			"a loopback interface (MTU %u) cannot be served, the kernel drops what XDP "
			"sends there\n"
			"serve the interface that clients use, or use --mode sockets",
			l->mtu);
	else if (!l->ethernet)
		find(j, IFACE_BROKEN, "kind",
			"it carries no Ethernet frames\n"
			"serve the Ethernet interface below it, or use --mode sockets");
	else if (is_kind(j, "dummy"))
		find(j, IFACE_BROKEN, "kind",
			"a dummy device receives nothing from a network\n"
			"serve the interface that clients use, or use --mode sockets");
	else if (is_kind(j, "vrf"))
		find(j, IFACE_BROKEN, "kind",
			"a VRF device has no frames of its own\nserve a member of the VRF");
	else if (l->layer3)
		find(j, IFACE_BROKEN, "kind",
			"an %s in mode l3 has no frames: the kernel drops what AF_XDP sends there\n"
			"use mode l2, or serve the lower device %s",
			l->kind, l->lower_name);
	if (j->count)
		return false;
	if (is_kind(j, "bond"))
		find_native(j, IFACE_SLOW, "bond",
			"native XDP on a bond runs on its members, whose frames an AF_XDP socket "
			"of "
			"the bond refuses\n--mode skb");
	if (j->facts->has_vf)
		find_native(j, IFACE_SLOW, "vf",
			"a virtual function carries its traffic, past native XDP on %s\n--mode skb",
			l->name);
	return true;
}

static void check_position(struct judge *j)
{
	const struct link_facts *l = &j->facts->link;

	if (!strcmp(l->master_kind, "bond"))
		find(j, IFACE_SLOW, "bond", "it is %s member of %s: %s\n-i %s",
			l->backup ? "an inactive" : "a", l->master_name,
			l->backup ? "nothing is answered until failover"
				  : "serving ends at failover",
			l->master_name);
	if (!strcmp(l->master_kind, "bridge"))
		find(j, IFACE_NOTE, "bridge",
			"it is a port of bridge %s: hosts behind other ports are not served\n-i %s",
			l->master_name, l->master_name);
	if (!l->up)
		find(j, IFACE_BROKEN, "link", "it is down\nip link set %s up", l->name);
	else if (!l->carrier)
		find(j, IFACE_SLOW, "link", "it has no carrier: nothing arrives\ncheck the cable");
}

static void check_programs(struct judge *j)
{
	const struct link_facts *l = &j->facts->link;
	uint32_t id = l->xdp_native    ? l->xdp_native
		      : l->xdp_generic ? l->xdp_generic
				       : l->xdp_offloaded;

	if (id && j->facts->is_served)
		find(j, IFACE_BROKEN, "xdp",
			"another udpxdp serves it already, by XDP program %u\nstop that one", id);
	else if (id)
		find(j, IFACE_BROKEN, "xdp", "XDP program %u is attached\nip link set %s %s off",
			id, l->name,
			l->xdp_native    ? "xdpdrv"
			: l->xdp_generic ? "xdpgeneric"
					 : "xdpoffload");
}

/* ---- queues --------------------------------------------------------------------------- */

static void check_queues(struct judge *j)
{
	static const char *const halved[] = {"ena", "gve", NULL};
	const struct iface_facts *f = j->facts;
	const struct ethtool_facts *e = &f->ethtool;
	unsigned rx = e->rx_queues ? e->rx_queues : f->link.rx_queues;
	unsigned tx = e->tx_queues ? e->tx_queues : f->link.tx_queues;

	if (rx > MAX_QUEUES)
		find(j, IFACE_SLOW, "queues",
			"%u RX queues: %u at most are served, the rest is the kernel's\n"
			"ethtool -L %s %s %u",
			rx, MAX_QUEUES, f->link.name, e->combined ? "combined" : "rx", MAX_QUEUES);
	if (tx && rx > tx)
		find(j, IFACE_SLOW, "queues",
			"%u RX queues but %u TX queue%s: RX queues without a TX queue of their "
			"number "
			"are the kernel's\nethtool -L %s rx %u",
			rx, tx, tx == 1 ? "" : "s", f->link.name, tx);
	if (is_among(e->driver, halved) && rx > e->rx_queues_max / 2 && e->rx_queues_max > 1)
		find_native(j, IFACE_BROKEN, "queues",
			"%s has native XDP only with at most half of its %u channels\n"
			"ethtool -L %s combined %u",
			e->driver, e->rx_queues_max, f->link.name, e->rx_queues_max / 2);
	if (is_driver(j, "virtio_net") && e->rx_queues < e->rx_queues_max &&
		e->rx_queues + f->cpu_count <= e->rx_queues_max)
		find(j, IFACE_SLOW, "queues",
			"virtio_net would receive on its spare queues, too, once a program is "
			"attached\n"
			"ethtool -L %s combined %u",
			f->link.name, e->rx_queues_max);
	if (rx > 1 && e->hash_known && !e->hash_ports)
		find(j, IFACE_SLOW, "hash",
			"UDP is spread over %u queues by address only: one peer, one queue\n"
			"ethtool -N %s rx-flow-hash udp4 sdfn",
			rx, f->link.name);
	if (e->rx_ring && e->rx_ring > RX_FRAMES)
		find(j, IFACE_NOTE, "ring",
			"the RX ring has %u descriptors, a queue's umem %u frames\n"
			"ethtool -G %s rx %u",
			e->rx_ring, RX_FRAMES, f->link.name, RX_FRAMES);
}

static void check_placement(struct judge *j)
{
	const struct iface_facts *f = j->facts;
	unsigned rx = f->ethtool.rx_queues ? f->ethtool.rx_queues : f->link.rx_queues;

	if (f->numa_node >= 0 && !f->cpus_on_node)
		find(j, IFACE_SLOW, "numa",
			"the device is on NUMA node %d, this process may only use CPUs elsewhere\n"
			"numactl --cpunodebind=%d, or --cpus",
			f->numa_node, f->numa_node);
	if (f->irq_count > 1 && f->irq_cpus == 1 && rx > 1 && f->cpu_count > 1)
		find(j, IFACE_SLOW, "irq",
			"all %u interrupts of its queues go to one CPU\n"
			"start irqbalance, or set /proc/irq/N/smp_affinity_list",
			f->irq_count);
	if (f->gro_flush_timeout_ns && f->napi_defer_hard_irqs)
		find(j, IFACE_SLOW, "napi",
			"deferred interrupts: without busy polling an answer waits up to %llu us\n"
			"echo 0 >/sys/class/net/%s/napi_defer_hard_irqs",
			(unsigned long long)f->gro_flush_timeout_ns / 1000, f->link.name);
}

/* ---- offloads and sizes --------------------------------------------------------------- */

static void check_offloads(struct judge *j)
{
	static const char *const refuse_lro[] = {"mlx5_core", "gve", "hv_netvsc", NULL};
	const struct iface_facts *f = j->facts;
	const struct ethtool_facts *e = &f->ethtool;
	const char *name = f->link.name;
	bool refused = is_among(e->driver, refuse_lro);

	if (e->lro && !f->link.kind[0]) /* a virtual one only passes the word on to those below */
		find_native(j, IFACE_SLOW, "lro",
			"LRO merges datagrams before XDP sees them\nethtool -K %s lro off", name);
	if (e->lro && refused)
		find_native(j, IFACE_BROKEN, "lro",
			"%s refuses native XDP with LRO\nethtool -K %s lro off", e->driver, name);
	if (e->gro_hw)
		find_native(j, IFACE_SLOW, "gro",
			"hardware GRO merges datagrams before XDP sees them\n"
			"ethtool -K %s rx-gro-hw off",
			name);
	if (e->gro_hw && refused)
		find_native(j, IFACE_BROKEN, "gro",
			"%s refuses native XDP with hardware GRO\nethtool -K %s rx-gro-hw off",
			e->driver, name);
	if (e->udp_gro_forwarding)
		find(j, IFACE_SLOW, "gro",
			"UDP GRO for forwarding merges datagrams in generic mode\n"
			"ethtool -K %s rx-udp-gro-forwarding off",
			name);
	if ((e->rxvlan || is_kind(j, "bridge")) && f->link.vlan_count) /* a bridge always does */
		find(j, IFACE_SLOW, "vlan",
			"VLAN tags are stripped before XDP sees them, and answers would leave "
			"untagged: "
			"the VLANs above it are not served here\n-i %s%s",
			f->link.vlan_names[0],
			f->link.vlan_count > 1 ? " and so on, one for each VLAN" : "");
	else if (e->rxvlan && !e->rxvlan_fixed && !f->link.kind[0])
		find(j, IFACE_NOTE, "vlan",
			"VLAN tags are stripped before XDP sees them\nethtool -K %s rxvlan off",
			name);
}

static void check_mtu(struct judge *j)
{
	const struct link_facts *l = &j->facts->link;

	if (l->mtu > AFXDP_MTU_MAX)
		find(j, IFACE_SLOW, "mtu",
			"MTU %u: packets of more than %u bytes go by kernel sockets\n"
			"ip link set %s mtu %u",
			l->mtu, AFXDP_MTU_MAX, l->name, AFXDP_MTU_MAX);
	else if (is_kind(j, "veth") && l->mtu > VETH_NATIVE_MTU_MAX &&
		 before_linux(j->facts, 5, 18))
		find_native(j, IFACE_SLOW, "mtu",
			"MTU %u: native XDP on veth takes %u at most\nip link set %s mtu %u",
			l->mtu, VETH_NATIVE_MTU_MAX, l->name, VETH_NATIVE_MTU_MAX);
	else if (is_driver(j, "igc") && l->mtu > IGC_MTU_MAX)
		find_native(j, IFACE_SLOW, "mtu",
			"MTU %u: native XDP on igc takes %u at most\nip link set %s mtu %u", l->mtu,
			IGC_MTU_MAX, l->name, IGC_MTU_MAX);
}

/* ---- kernel and driver ---------------------------------------------------------------- */

/* Since which kernel of Debian's a driver has zero copy, as far as is known. */
#define NEVER 99

static const struct {
	const char *driver;
	unsigned major, minor;
} zerocopy_since[] = {
	{"mlx5_core", 5, 10},
	{"ice", 5, 10},
	{"i40e", 5, 10},
	{"ixgbe", 5, 10},
	{"igc", 6, 1},
	{"st_gmac", 6, 1},
	{"gve", 6, 12},
	{"virtio_net", 6, 18},
	{"igb", 7, 0},
	{"idpf", 7, 0},
	{"ena", NEVER, 0},
	{"mana", NEVER, 0},
	{"hv_netvsc", NEVER, 0},
	{"bnxt_en", NEVER, 0},
	{"vmxnet3", NEVER, 0},
	{"veth", NEVER, 0},
	{"tun", NEVER, 0},
	{"bonding", NEVER, 0},
};

bool iface_never_has_zerocopy(int ifindex)
{
	for (size_t i = 0; i < sizeof(zerocopy_since) / sizeof(zerocopy_since[0]); i++)
		if (zerocopy_since[i].major == NEVER &&
			ethtool_driver_is(ifindex, zerocopy_since[i].driver))
			return true;
	return false;
}

static void check_driver(struct judge *j)
{
	static const char *const relink[] = {"i40e", "ice", "igb", "ixgbe", NULL};
	const struct iface_facts *f = j->facts;
	const char *driver = f->ethtool.driver;

	if (before_linux(f, 5, 10))
		find(j, IFACE_BROKEN, "kernel",
			"Linux %u.%u: 5.10 is the oldest that is supported\ninstall a newer kernel",
			f->kernel_major, f->kernel_minor);
	for (size_t i = 0; i < sizeof(zerocopy_since) / sizeof(zerocopy_since[0]); i++) {
		if (strcmp(driver, zerocopy_since[i].driver))
			continue;
		if (zerocopy_since[i].major == NEVER)
			find(j, IFACE_NOTE, "zerocopy",
				"%s has no zero copy: --mode auto serves in copy mode", driver);
		else if (before_linux(f, zerocopy_since[i].major, zerocopy_since[i].minor))
			find(j, IFACE_NOTE, "zerocopy",
				"%s has zero copy from Linux %u.%u on: --mode auto serves in copy "
				"mode",
				driver, zerocopy_since[i].major, zerocopy_since[i].minor);
	}
	if (is_driver(j, "virtio_net") && f->driver_is_module && !before_linux(f, 6, 18))
		find(j, IFACE_NOTE, "zerocopy",
			"virtio_net as a module may lose all answers in zero copy: --mode auto "
			"takes copy\n"
			"--mode copy");
	if (is_among(driver, relink))
		find(j, IFACE_NOTE, "link",
			"%s takes the link down for a moment when the filter is attached", driver);
	if (!f->have_perfmon)
		find(j, IFACE_NOTE, "perfmon",
			"without CAP_PERFMON the filter is about half as fast\n"
			"run as root or grant CAP_PERFMON");
}

/* ---- neighbours on this host ---------------------------------------------------------- */

static void check_host(struct judge *j)
{
	const struct iface_facts *f = j->facts;

	for (unsigned i = 0; i < f->held_count && !f->is_served; i++) /* else they are its own */
		find(j, IFACE_SLOW, "port",
			"a kernel socket is bound to UDP port %u: it gets nothing from %s while "
			"that is served, by XDP alone\nstop that program, or serve another port",
			f->held_ports[i], f->link.name);
	if (f->firewall)
		find(j, IFACE_NOTE, "firewall",
			"there are firewall rules, and XDP sees frames before them\n"
			"--allow, --deny and --limit");
}

static int by_severity(const void *a, const void *b)
{
	const struct iface_finding *x = a, *y = b;

	return (int)y->severity - (int)x->severity;
}

unsigned iface_check(
	const struct iface_facts *facts, struct iface_finding findings[IFACE_FINDINGS_MAX])
{
	struct judge j = {.facts = facts, .findings = findings};

	if (!check_kind(&j))
		return j.count;
	check_position(&j);
	check_programs(&j);
	check_queues(&j);
	check_placement(&j);
	check_offloads(&j);
	check_mtu(&j);
	check_driver(&j);
	check_host(&j);
	qsort(findings, j.count, sizeof(findings[0]), by_severity);
	return j.count;
}

bool iface_is_of_others(const struct iface_finding *finding)
{
	return finding->native &&
	       (!strcmp(finding->topic, "bond") || !strcmp(finding->topic, "vf"));
}

bool iface_prevents(const struct iface_finding *finding, enum xdp_mode mode)
{
	bool native = mode == XDP_MODE_ZEROCOPY || mode == XDP_MODE_COPY;

	if (!strcmp(finding->topic, "zerocopy")) /* with a cure: it has, but may fail */
		return mode == XDP_MODE_ZEROCOPY && !finding->cure[0];
	if (iface_is_of_others(finding))
		return native;
	if (finding->severity != IFACE_BROKEN || !strcmp(finding->topic, "link") ||
		!strcmp(finding->topic, "xdp"))
		return false;
	return native || !finding->native;
}

bool iface_matters(const struct iface_finding *finding, enum xdp_mode mode)
{
	return finding->severity != IFACE_NOTE && !(finding->native && mode == XDP_MODE_SKB);
}
