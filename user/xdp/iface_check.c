/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/afxdp.h"
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
	found->severity = severity;
	found->topic = topic;
	snprintf(found->text, sizeof(found->text), "%.*s",
		(int)(cure ? (size_t)(cure - both) : strlen(both)), both);
	snprintf(found->cure, sizeof(found->cure), "%s", cure ? cure + 1 : "");
}

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
			"answers sent on the loopback interface are dropped as martians\n"
			"name a network interface");
	else if (!l->ethernet)
		find(j, IFACE_BROKEN, "kind",
			"it is not an Ethernet interface\nname an Ethernet interface");
	else if (is_kind(j, "dummy"))
		find(j, IFACE_BROKEN, "kind",
			"a dummy device receives nothing from a network\nname a network interface");
	else if (is_kind(j, "vrf"))
		find(j, IFACE_BROKEN, "kind",
			"a VRF device has no frames of its own\nname a member of the VRF");
	if (j->count)
		return false;
	if (is_kind(j, "ipvlan"))
		find(j, IFACE_NOTE, "kind",
			"the kernel drops what AF_XDP sends on an ipvlan in mode l3\n"
			"in mode l3 name the lower device %s",
			l->lower_name);
	if (is_kind(j, "bond"))
		find(j, IFACE_SLOW, "bond",
			"native XDP on a bond runs on its members, whose frames an AF_XDP socket "
			"of "
			"the bond refuses\n--mode skb");
	if (j->facts->has_vf)
		find(j, IFACE_SLOW, "vf",
			"a virtual function carries its traffic, past native XDP on %s\n--mode skb",
			l->name);
	return true;
}

static void check_position(struct judge *j)
{
	const struct link_facts *l = &j->facts->link;

	if (!strcmp(l->master_kind, "bond"))
		find(j, IFACE_NOTE, "bond",
			"it is %s member of %s: serving ends at failover\n-i %s",
			l->backup ? "an inactive" : "a", l->master_name, l->master_name);
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

	if (id)
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
		find(j, IFACE_BROKEN, "queues",
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

	if (e->lro)
		find(j, refused ? IFACE_BROKEN : IFACE_SLOW, "lro",
			"LRO merges datagrams before XDP sees them%s\nethtool -K %s lro off",
			refused ? ", and the driver refuses native XDP with it" : "", name);
	if (e->gro_hw)
		find(j, refused ? IFACE_BROKEN : IFACE_SLOW, "gro",
			"hardware GRO merges datagrams before XDP sees them%s\n"
			"ethtool -K %s rx-gro-hw off",
			refused ? ", and the driver refuses native XDP with it" : "", name);
	if (e->udp_gro_forwarding)
		find(j, IFACE_SLOW, "gro",
			"UDP GRO for forwarding merges datagrams in generic mode\n"
			"ethtool -K %s rx-udp-gro-forwarding off",
			name);
	if (e->rxvlan && f->link.vlan_count)
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
		find(j, IFACE_BROKEN, "mtu",
			"MTU %u: a umem chunk takes %u at most\nip link set %s mtu %u", l->mtu,
			AFXDP_MTU_MAX, l->name, AFXDP_MTU_MAX);
	else if (is_kind(j, "veth") && l->mtu > VETH_NATIVE_MTU_MAX)
		find(j, IFACE_SLOW, "mtu",
			"MTU %u: native XDP on veth takes %u at most\nip link set %s mtu %u",
			l->mtu, VETH_NATIVE_MTU_MAX, l->name, VETH_NATIVE_MTU_MAX);
	else if (is_driver(j, "igc") && l->mtu > IGC_MTU_MAX)
		find(j, IFACE_SLOW, "mtu",
			"MTU %u: native XDP on igc takes %u at most\nip link set %s mtu %u", l->mtu,
			IGC_MTU_MAX, l->name, IGC_MTU_MAX);
}

/* ---- kernel and driver ---------------------------------------------------------------- */

/* Since which kernel of Debian's a driver has zero copy; 99: never. */
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
	{"ena", 99, 0},
	{"mana", 99, 0},
	{"hv_netvsc", 99, 0},
	{"bnxt_en", 99, 0},
	{"vmxnet3", 99, 0},
	{"veth", 99, 0},
	{"tun", 99, 0},
	{"bonding", 99, 0},
};

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
		if (zerocopy_since[i].major == 99)
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

	for (unsigned i = 0; i < f->held_count; i++)
		find(j, IFACE_SLOW, "port",
			"UDP port %u: a kernel socket is bound to it, and gets nothing from %s "
			"while it "
			"is served\nstop that program, or serve another port",
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
