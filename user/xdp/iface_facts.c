/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "netlink/netlink.h"
#include "privsep/sandbox.h"
#include "netlink/ethtool_ioctl.h"
#include "xdp/filter.h"
#include "xdp/iface_check.h"

#define PATH_SIZE 288

/* Reads the first line of a file of sysfs or procfs. Returns whether there is one. */
static bool read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");
	bool read = file && fgets(line, size, file);

	if (file)
		fclose(file);
	return read;
}

static uint64_t read_number(const char *iface, const char *name, uint64_t fallback)
{
	char path[PATH_SIZE], line[32];

	snprintf(path, sizeof(path), "/sys/class/net/%s/%s", iface, name);
	return read_line(path, line, sizeof(line)) ? strtoull(line, NULL, 10) : fallback;
}

static bool exists(const char *format, const char *name)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), format, name);
	return !access(path, F_OK);
}

static void read_kernel(struct iface_facts *f)
{
	struct utsname name;

	f->kernel_major = 99; /* where it does not say, it is taken to be new */
	if (!uname(&name))
		sscanf(name.release, "%u.%u", &f->kernel_major, &f->kernel_minor);
	/* Only a module has a state. */
	f->driver_is_module =
		f->ethtool.driver[0] && exists("/sys/module/%s/initstate", f->ethtool.driver);
}

/* netvsc: the virtual function is a lower device. */
static bool has_vf(const char *driver, const char *name)
{
	char path[PATH_SIZE];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	if (strcmp(driver, "hv_netvsc"))
		return false;
	snprintf(path, sizeof(path), "/sys/class/net/%s", name);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		found |= !strncmp(entry->d_name, "lower_", 6);
	if (dir)
		closedir(dir);
	return found;
}

bool iface_receives_by_others(int ifindex)
{
	struct link_facts link;

	if (link_read(ifindex, &link))
		return false;
	return !strcmp(link.kind, "bond") ||
	       has_vf(ethtool_driver_is(ifindex, "hv_netvsc") ? "hv_netvsc" : "", link.name);
}

/* Adds the CPUs of a list such as 0-3,8 to a set. */
static void add_cpus(cpu_set_t *set, const char *list)
{
	char *end;

	while (*list >= '0' && *list <= '9') {
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (unsigned long cpu = first; cpu <= last && cpu < CPU_SETSIZE; cpu++)
			CPU_SET(cpu, set);
		list = *end == ',' ? end + 1 : end;
	}
}

static void read_cpus(struct iface_facts *f, cpu_set_t *allowed)
{
	char path[PATH_SIZE], line[1024];
	cpu_set_t node;

	CPU_ZERO(allowed);
	sched_getaffinity(0, sizeof(*allowed), allowed);
	f->cpu_count = (unsigned)CPU_COUNT(allowed);
	f->cpus_on_node = true;
	f->numa_node = (int)(int64_t)read_number(f->link.name, "device/numa_node", (uint64_t)-1);
	if (f->numa_node < 0)
		return;
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", f->numa_node);
	if (!read_line(path, line, sizeof(line)))
		return;
	CPU_ZERO(&node);
	add_cpus(&node, line);
	CPU_AND(&node, &node, allowed);
	f->cpus_on_node = CPU_COUNT(&node) != 0;
}

static void read_interrupts(struct iface_facts *f)
{
	char path[PATH_SIZE], line[1024];
	struct dirent *entry;
	cpu_set_t cpus;
	DIR *dir;

	CPU_ZERO(&cpus);
	snprintf(path, sizeof(path), "/sys/class/net/%s/device/msi_irqs", f->link.name);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/irq/%.16s/effective_affinity_list",
			entry->d_name);
		if (!read_line(path, line, sizeof(line)))
			continue;
		f->irq_count++;
		add_cpus(&cpus, line);
	}
	if (dir)
		closedir(dir);
	f->irq_cpus = (unsigned)CPU_COUNT(&cpus);
}

/* Which of the ports has a kernel socket? */
static void read_ports(struct iface_facts *f, const uint16_t *ports, unsigned count)
{
	static const char *const tables[] = {
		"/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"};
	bool held[IFACE_PORTS_MAX] = {};

	for (unsigned t = 0; t < 2; t++) {
		FILE *table = fopen(tables[t], "re");
		char line[512];
		unsigned port;

		while (table && fgets(line, sizeof(line), table))
			for (unsigned i = 0; i < count && i < IFACE_PORTS_MAX; i++)
				if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x", &port) == 1 &&
					port == ports[i])
					held[i] = true;
		if (table)
			fclose(table);
	}
	for (unsigned i = 0; i < count && i < IFACE_PORTS_MAX; i++)
		if (held[i])
			f->held_ports[f->held_count++] = ports[i];
}

static int see_table(const struct nlmsghdr *message, void *context)
{
	*(bool *)context = true;
	return MNL_CB_OK;
}

/* Are there tables of nftables, or any of the older iptables? */
static bool has_firewall(void)
{
	_Alignas(struct nlmsghdr) uint8_t buffer[NETLINK_QUESTION_SIZE];
	struct nlmsghdr *question =
		netlink_question(buffer, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, NLM_F_DUMP);
	struct nfgenmsg *header = mnl_nlmsg_put_extra_header(question, sizeof(*header));
	struct mnl_socket *socket = netlink_open_family(NETLINK_NETFILTER, 0);
	bool found = false;
	char line[64];

	header->version = NFNETLINK_V0;
	if (socket) {
		netlink_ask(socket, question, see_table, &found);
		mnl_socket_close(socket);
	}
	return found || read_line("/proc/thread-self/net/ip_tables_names", line, sizeof(line)) ||
	       read_line("/proc/thread-self/net/ip6_tables_names", line, sizeof(line));
}

int iface_facts_read(struct iface_facts *facts, int ifindex, const uint16_t *ports, unsigned count)
{
	cpu_set_t allowed;
	char name[64];
	__u32 id;

	*facts = (struct iface_facts){};
	if (link_read(ifindex, &facts->link) < 0)
		return -1;
	ethtool_read(ifindex, &facts->ethtool);
	read_kernel(facts);
	facts->has_vf = has_vf(facts->ethtool.driver, facts->link.name);
	read_cpus(facts, &allowed);
	read_interrupts(facts);
	facts->gro_flush_timeout_ns = read_number(facts->link.name, "gro_flush_timeout", 0);
	facts->napi_defer_hard_irqs = read_number(facts->link.name, "napi_defer_hard_irqs", 0);
	facts->firewall = has_firewall();
	facts->have_perfmon = sandbox_has_perfmon();
	facts->is_served =
		filter_find_attached(ifindex, &id, name, sizeof(name)) && filter_is_ours(name);
	read_ports(facts, ports, count);
	return 0;
}
