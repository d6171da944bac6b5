/* SPDX-License-Identifier: MIT */
/* What `udpxdp check` makes of facts, also of drivers that are not here. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "xdp/iface_check.h"

#include <cmocka.h>

/* A NIC with which nothing is wrong. */
static const struct iface_facts good = {
	.link = {.name = "eth0",
		.ethernet = true,
		.up = true,
		.carrier = true,
		.mtu = 1500,
		.rx_queues = 4,
		.tx_queues = 4},
	.ethtool = {.driver = "ice",
		.rx_queues = 4,
		.tx_queues = 4,
		.rx_queues_max = 8,
		.tx_queues_max = 8,
		.combined = true,
		.rx_ring = 2048,
		.hash_known = true,
		.hash_ports = true},
	.kernel_major = 6,
	.kernel_minor = 12,
	.numa_node = -1,
	.cpus_on_node = true,
	.cpu_count = 4,
	.have_perfmon = true,
};

static struct iface_finding findings[IFACE_FINDINGS_MAX];

/* The finding about this topic, NULL: there is none. Each has one line and a cure of one line. */
static const struct iface_finding *about(const struct iface_facts *facts, const char *topic)
{
	const struct iface_finding *found = NULL;
	unsigned count = iface_check(facts, findings);

	for (unsigned i = 0; i < count; i++) {
		assert_true(findings[i].text[0] && !strchr(findings[i].text, '\n'));
		assert_true(strlen(findings[i].text) < sizeof(findings[i].text) - 1);
		assert_true(!strchr(findings[i].cure, '\n'));
		assert_true(!i || findings[i].severity <= findings[i - 1].severity);
		if (!found && !strcmp(findings[i].topic, topic))
			found = &findings[i];
	}
	return found;
}

#define ASSERT_FINDING(facts, topic, grave, with_cure)                        \
	do {                                                                  \
		const struct iface_finding *finding = about(&(facts), topic); \
		assert_non_null(finding);                                     \
		assert_int_equal(finding->severity, grave);                   \
		assert_string_equal(finding->cure, with_cure);                \
	} while (0)

static void a_good_interface_has_no_more_than_notes(void **state)
{
	unsigned count = iface_check(&good, findings);

	for (unsigned i = 0; i < count; i++)
		assert_int_equal(findings[i].severity, IFACE_NOTE);
}

static void kinds_that_cannot_be_served_have_that_finding_alone(void **state)
{
	static const char *const kinds[] = {"dummy", "vrf"};
	struct iface_facts f = good;

	for (unsigned i = 0; i < 2; i++) {
		snprintf(f.link.kind, sizeof(f.link.kind), "%s", kinds[i]);
		assert_int_equal(about(&f, "kind")->severity, IFACE_BROKEN);
		assert_int_equal(iface_check(&f, findings), 1);
	}
	f = good;
	f.link.ethernet = false;
	ASSERT_FINDING(f, "kind", IFACE_BROKEN,
		"serve the Ethernet interface below it, or use --mode sockets");
	f.link.loopback = true;
	ASSERT_FINDING(f, "kind", IFACE_BROKEN,
		"serve the interface that clients use, or use --mode sockets");
}

static void bonds_and_their_members_are_told_apart(void **state)
{
	struct iface_facts f = good;

	strcpy(f.link.kind, "bond");
	ASSERT_FINDING(f, "bond", IFACE_SLOW, "--mode skb");
	f = good;
	strcpy(f.link.master_kind, "bond");
	strcpy(f.link.master_name, "bond0");
	f.link.backup = true;
	ASSERT_FINDING(f, "bond", IFACE_SLOW, "-i bond0");
	assert_non_null(strstr(about(&f, "bond")->text, "an inactive member of bond0"));
}

static void queues_without_a_tx_queue_are_said(void **state)
{
	struct iface_facts f = good;

	f.ethtool = (struct ethtool_facts){.driver = "veth"};
	f.link.rx_queues = 4;
	f.link.tx_queues = 1;
	ASSERT_FINDING(f, "queues", IFACE_SLOW, "ethtool -L eth0 rx 1");
	f.link.tx_queues = 4;
	assert_null(about(&f, "queues"));
}

static void ena_and_gve_want_half_of_their_channels(void **state)
{
	struct iface_facts f = good;

	strcpy(f.ethtool.driver, "ena");
	f.ethtool.rx_queues = 5;
	ASSERT_FINDING(f, "queues", IFACE_BROKEN, "ethtool -L eth0 combined 4");
	f.ethtool.rx_queues = 4;
	assert_null(about(&f, "queues"));
}

static void a_hash_without_ports_is_slow_with_several_queues(void **state)
{
	struct iface_facts f = good;

	f.ethtool.hash_ports = false;
	ASSERT_FINDING(f, "hash", IFACE_SLOW, "ethtool -N eth0 rx-flow-hash udp4 sdfn");
	f.ethtool.rx_queues = 1;
	assert_null(about(&f, "hash"));
	f.ethtool.rx_queues = 4;
	f.ethtool.hash_known = false;
	assert_null(about(&f, "hash"));
}

static void merging_offloads_are_worse_where_the_driver_refuses_xdp(void **state)
{
	struct iface_facts f = good;

	f.ethtool.lro = true;
	ASSERT_FINDING(f, "lro", IFACE_SLOW, "ethtool -K eth0 lro off");
	strcpy(f.ethtool.driver, "mlx5_core");
	ASSERT_FINDING(f, "lro", IFACE_BROKEN, "ethtool -K eth0 lro off");
	f.ethtool.lro = false;
	f.ethtool.gro_hw = true;
	ASSERT_FINDING(f, "gro", IFACE_BROKEN, "ethtool -K eth0 rx-gro-hw off");
}

static void what_ends_a_start_depends_on_the_mode(void **state)
{
	static const struct {
		const char *topic;
		enum xdp_mode mode;
		bool prevents, matters;
	} rows[] = {
		{"lro", XDP_MODE_AUTO, false, true}, /* auto finds a mode that works */
		{"lro", XDP_MODE_COPY, true, true},
		{"lro", XDP_MODE_SKB, false, false},
		{"link", XDP_MODE_COPY, false, true}, /* it may come up */
		{"mtu", XDP_MODE_SKB, false, true},
		{"zerocopy", XDP_MODE_ZEROCOPY, true, false},
		{"zerocopy", XDP_MODE_AUTO, false, false},
	};
	struct iface_facts f = good;

	strcpy(f.ethtool.driver, "mlx5_core");
	f.ethtool.lro = true;
	f.link.up = false;
	f.link.mtu = 65000;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct iface_finding *found;

		if (!strcmp(rows[i].topic, "zerocopy"))
			strcpy(f.ethtool.driver, "ena");
		found = about(&f, rows[i].topic);
		assert_non_null(found);
		assert_int_equal(iface_prevents(found, rows[i].mode), rows[i].prevents);
		assert_int_equal(iface_matters(found, rows[i].mode), rows[i].matters);
	}
	f = good;
	strcpy(f.link.kind, "ipvlan");
	f.link.layer3 = true;
	assert_true(iface_prevents(about(&f, "kind"), XDP_MODE_SKB));
	f.link.layer3 = false;
	assert_null(about(&f, "kind"));
}

static void stripped_tags_matter_where_vlan_devices_are(void **state)
{
	struct iface_facts f = good;

	f.ethtool.rxvlan = true;
	ASSERT_FINDING(f, "vlan", IFACE_NOTE, "ethtool -K eth0 rxvlan off");
	f.link.vlan_count = 1;
	strcpy(f.link.vlan_names[0], "eth0.66");
	ASSERT_FINDING(f, "vlan", IFACE_SLOW, "-i eth0.66");
}

static void what_else_is_slow_names_its_cure(void **state)
{
	struct iface_facts f = good;

	f.numa_node = 1;
	f.cpus_on_node = false;
	ASSERT_FINDING(f, "numa", IFACE_SLOW, "numactl --cpunodebind=1, or --cpus");
	f.irq_count = 4;
	f.irq_cpus = 1;
	assert_int_equal(about(&f, "irq")->severity, IFACE_SLOW);
	f.napi_defer_hard_irqs = 2;
	f.gro_flush_timeout_ns = 200000;
	assert_non_null(strstr(about(&f, "napi")->text, "up to 200 us"));
	f.held_count = 1;
	f.held_ports[0] = 8080;
	assert_non_null(strstr(about(&f, "port")->text, "UDP port 8080"));
	f.link.xdp_generic = 7;
	ASSERT_FINDING(f, "xdp", IFACE_BROKEN, "ip link set eth0 xdpgeneric off");
	f.link.mtu = 9000;
	assert_int_equal(about(&f, "mtu")->severity, IFACE_SLOW);
	f.kernel_major = 5;
	f.kernel_minor = 4;
	assert_int_equal(about(&f, "kernel")->severity, IFACE_BROKEN);
}

static void drivers_without_zero_copy_are_a_note(void **state)
{
	struct iface_facts f = good;

	assert_null(about(&f, "zerocopy"));
	strcpy(f.ethtool.driver, "virtio_net");
	assert_non_null(strstr(about(&f, "zerocopy")->text, "from Linux 6.18 on"));
	f.kernel_minor = 18;
	assert_null(about(&f, "zerocopy"));
	f.driver_is_module = true;
	ASSERT_FINDING(f, "zerocopy", IFACE_NOTE, "--mode copy");
}

static void nothing_overflows_when_everything_is_wrong(void **state)
{
	struct iface_facts f = good;

	memset(f.link.name, 'n', IFNAMSIZ - 1);
	memset(f.link.master_name, 'm', IFNAMSIZ - 1);
	memset(f.link.vlan_names, 'v', IFNAMSIZ - 1);
	strcpy(f.link.master_kind, "bridge");
	strcpy(f.ethtool.driver, "gve");
	f.link.vlan_count = 9;
	f.ethtool.rx_queues = 4000000000;
	f.ethtool.lro = f.ethtool.gro_hw = f.ethtool.udp_gro_forwarding = f.ethtool.rxvlan = true;
	f.ethtool.hash_ports = f.have_perfmon = f.link.carrier = false;
	f.firewall = true;
	f.held_count = IFACE_PORTS_MAX;
	assert_true(iface_check(&f, findings) <= IFACE_FINDINGS_MAX);
	about(&f, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_interface_has_no_more_than_notes),
		cmocka_unit_test(kinds_that_cannot_be_served_have_that_finding_alone),
		cmocka_unit_test(bonds_and_their_members_are_told_apart),
		cmocka_unit_test(queues_without_a_tx_queue_are_said),
		cmocka_unit_test(ena_and_gve_want_half_of_their_channels),
		cmocka_unit_test(a_hash_without_ports_is_slow_with_several_queues),
		cmocka_unit_test(merging_offloads_are_worse_where_the_driver_refuses_xdp),
		cmocka_unit_test(what_ends_a_start_depends_on_the_mode),
		cmocka_unit_test(stripped_tags_matter_where_vlan_devices_are),
		cmocka_unit_test(what_else_is_slow_names_its_cure),
		cmocka_unit_test(drivers_without_zero_copy_are_a_note),
		cmocka_unit_test(nothing_overflows_when_everything_is_wrong),
	};

	return cmocka_run_group_tests_name("iface_check", tests, NULL, NULL);
}
