/* SPDX-License-Identifier: MIT */
#include "host/filter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "host/log.h"
#include "udpxdp.skel.h"

struct filter {
	struct udpxdp_bpf *skeleton;
	int ifindex;
	int link; /* of an attachment by bpf_link, or -1 */
	struct xdp_program *dispatched; /* attached through the dispatcher, in dispatched_mode */
	enum xdp_attach_mode dispatched_mode;
	struct service_counters *counters;
	size_t counters_size;
	char pin_dir[256]; /* "": not pinned */
	int pin_lock;      /* on the directory, as long as we live; or -1 */
};

static const char *const pin_names[] = {
		PIN_PORT_COUNTERS, PIN_VERDICTS, PIN_SERVICE_COUNTERS};

/* ---- what libbpf and libxdp say ------------------------------------------------------- */

static _Thread_local char kernel_says[256];

static void keep_kernel_message(const char *line)
{
	static const char mark[] = "Kernel error message: ";
	const char *found = strstr(line, mark);

	if (!found)
		return;
	snprintf(kernel_says, sizeof(kernel_says), "%s", found + sizeof(mark) - 1);
	kernel_says[strcspn(kernel_says, "\n")] = '\0';
}

static int say(const char *format, va_list args)
{
	char line[1024];

	vsnprintf(line, sizeof(line), format, args);
	keep_kernel_message(line);
	line[strcspn(line, "\n")] = '\0';
	if (log_level >= 2 && line[0])
		log_line("%s", line);
	return 0;
}

static int from_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	return say(format, args);
}

static int from_libxdp(enum libxdp_print_level level, const char *format, va_list args)
{
	return say(format, args);
}

void filter_log_setup(void)
{
	libbpf_set_print(from_libbpf);
	libxdp_set_print(from_libxdp);
}

/* ---- load ----------------------------------------------------------------------------- */

static int map_counters(struct filter *f, unsigned rows)
{
	long page = sysconf(_SC_PAGESIZE);
	void *area;

	f->counters_size = (rows * sizeof(*f->counters) + page - 1) & ~((size_t)page - 1);
	area = mmap(NULL, f->counters_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_map__fd(f->skeleton->maps.service_counters), 0);
	if (area == MAP_FAILED)
		return -1;
	f->counters = area;
	return 0;
}

/* Every row says which verdict it counts, on every CPU. */
static int name_verdicts(struct filter *f)
{
	int cpus = libbpf_num_possible_cpus();
	struct verdict_row *rows = cpus > 0 ? calloc(cpus, sizeof(*rows)) : NULL;
	int result = rows ? 0 : -1;

	for (__u32 v = 0; !result && v < FRAME_VERDICT_COUNT; v++) {
		for (int i = 0; i < cpus; i++)
			rows[i].reason = v;
		result = bpf_map_update_elem(
				bpf_map__fd(f->skeleton->maps.verdicts), &v, rows, BPF_ANY);
	}
	free(rows);
	return result;
}

static void configure(struct filter *f, const struct filter_settings *s)
{
	/* The skeleton maps .rodata for writing until the object is loaded. */
	struct filter_config *config = (struct filter_config *)&f->skeleton->rodata->filter_config;

	config->limit_interval = s->limit_interval;
	config->limit_burst = s->limit_burst;
	config->rules = s->rules;
	config->default_deny = s->default_deny;
	config->has_buff_len = libbpf_probe_bpf_helper(
			BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_get_buff_len, NULL) == 1;
	bpf_map__set_max_entries(f->skeleton->maps.service_counters, s->counter_rows);
}

/*
 * A rule for ::/0 means IPv6, but IPv4 lies within it in its mapped form: so IPv4 begins with a rule
 * of its own, which says what holds where no rule matches.
 */
static int part_families(struct filter *f, const struct filter_settings *s)
{
	const struct source_rule_key ipv4 = {.prefix_len = 96, .addr.b = {[10] = 0xff, 0xff}};

	return s->rules ? filter_set_rule(f, &ipv4, s->default_deny ? RULE_DENY : RULE_ALLOW) : 0;
}

/* Makes what depends on the maps being there. */
static int prepare(struct filter *f, const struct filter_settings *s)
{
	/* No instruction names this map; bound, it can be found through the program (Linux 5.10). */
	bpf_prog_bind_map(bpf_program__fd(f->skeleton->progs.udpxdp_filter),
			bpf_map__fd(f->skeleton->maps.service_counters), NULL);
	if (map_counters(f, s->counter_rows) < 0 || name_verdicts(f) < 0)
		return -1;
	return part_families(f, s);
}

static struct filter *open_filter(const struct filter_settings *settings)
{
	struct filter *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->link = f->pin_lock = -1;
	f->ifindex = settings->ifindex;
	f->skeleton = udpxdp_bpf__open();
	if (f->skeleton)
		configure(f, settings);
	return f;
}

/* Always NULL: gives up, with errno as it is now. */
static struct filter *give_up(struct filter *f, char *error, size_t size)
{
	int saved = errno;

	snprintf(error, size, "%s", strerror(saved));
	filter_close(f);
	errno = saved;
	return NULL;
}

struct filter *filter_load(const struct filter_settings *settings, char *error, size_t size)
{
	struct filter *f = open_filter(settings);

	if (f && f->skeleton && !udpxdp_bpf__load(f->skeleton) &&
			!prepare(f, settings))
		return f;
	return give_up(f, error, size);
}

/* Takes away what a crashed instance left in the dispatcher. */
static void remove_stale(int ifindex)
{
	struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *p = NULL;

	if (libxdp_get_error(all))
		return;
	while (!xdp_multiprog__is_legacy(all) && (p = xdp_multiprog__next_prog(p, all))) {
		if (strcmp(xdp_program__name(p), "udpxdp_filter"))
			continue;
		xdp_program__detach(p, ifindex, xdp_multiprog__attach_mode(all), 0);
		break; /* the list is void now; there is never more than one */
	}
	xdp_multiprog__close(all);
}

/* libxdp falls back to attaching alone without a word; that is not what was asked for. */
static int attach_dispatched(struct filter *f, enum xdp_attach_mode mode)
{
	struct xdp_multiprog *all;
	bool alone;
	int error = xdp_program__attach(f->dispatched, f->ifindex, mode, 0);

	if (error) {
		errno = -error;
		return -1;
	}
	f->dispatched_mode = mode;
	all = xdp_multiprog__get_from_ifindex(f->ifindex);
	alone = libxdp_get_error(all) || xdp_multiprog__is_legacy(all);
	if (!libxdp_get_error(all))
		xdp_multiprog__close(all);
	if (!alone)
		return 0;
	xdp_program__detach(f->dispatched, f->ifindex, mode, 0);
	f->dispatched_mode = XDP_MODE_UNSPEC;
	errno = EOPNOTSUPP;
	return -1;
}

struct filter *filter_load_dispatched(const struct filter_settings *settings, bool *generic,
		char *error, size_t size)
{
	static const enum xdp_attach_mode modes[] = {XDP_MODE_NATIVE, XDP_MODE_SKB};

	remove_stale(settings->ifindex);
	for (int i = settings->generic;; i++) {
		struct filter *f = open_filter(settings);

		if (!f || !f->skeleton)
			return give_up(f, error, size);
		f->dispatched = xdp_program__from_bpf_obj(f->skeleton->obj, "xdp");
		if (libxdp_get_error(f->dispatched)) {
			errno = -libxdp_get_error(f->dispatched);
			f->dispatched = NULL;
			return give_up(f, error, size);
		}
		*generic = modes[i] == XDP_MODE_SKB;
		if (!attach_dispatched(f, modes[i]) && !prepare(f, settings))
			return f;
		give_up(f, error, size);
		if (*generic || errno == EOPNOTSUPP)
			return NULL;
	}
}

struct service_counters *filter_counters(const struct filter *f)
{
	return f->counters;
}

/* ---- maps ----------------------------------------------------------------------------- */

int filter_set_socket(struct filter *f, __u32 queue, int socket)
{
	return bpf_map_update_elem(
			bpf_map__fd(f->skeleton->maps.sockets), &queue, &socket, BPF_ANY);
}

int filter_clear_socket(struct filter *f, __u32 queue)
{
	return bpf_map_delete_elem(bpf_map__fd(f->skeleton->maps.sockets), &queue);
}

int filter_serve_port(struct filter *f, __u16 port, bool broadcast)
{
	int cpus = libbpf_num_possible_cpus(), result;
	struct port_counters *zero = cpus > 0 ? calloc(cpus, sizeof(*zero)) : NULL;
	__u8 yes = 1;

	if (!zero)
		return -1;
	result = bpf_map_update_elem(
			bpf_map__fd(f->skeleton->maps.port_counters), &port, zero, BPF_ANY);
	free(zero);
	if (!result && broadcast)
		result = bpf_map_update_elem(bpf_map__fd(f->skeleton->maps.broadcast_ports), &port,
				&yes, BPF_ANY);
	return result;
}

int filter_set_address(struct filter *f, const struct ip_addr *addr, __u32 flags)
{
	return bpf_map_update_elem(
			bpf_map__fd(f->skeleton->maps.local_addrs), addr, &flags, BPF_ANY);
}

int filter_clear_address(struct filter *f, const struct ip_addr *addr)
{
	return bpf_map_delete_elem(bpf_map__fd(f->skeleton->maps.local_addrs), addr);
}

int filter_set_rule(struct filter *f, const struct source_rule_key *key, __u32 rule)
{
	return bpf_map_update_elem(
			bpf_map__fd(f->skeleton->maps.source_rules), key, &rule, BPF_ANY);
}

/* ---- pins ----------------------------------------------------------------------------- */

static bool is_bpffs(const char *path)
{
	struct statfs s;

	return !statfs(path, &s) && s.f_type == BPF_FS_MAGIC;
}

/* Outside bpffs it leaves nothing behind. */
static int make_dir(const char *path)
{
	struct stat found;

	if (mkdir(path, 0755) < 0) {
		if (errno != EEXIST || lstat(path, &found) < 0)
			return -1;
		/* bpffs may be writable by everybody: do not be led astray there. */
		if (S_ISDIR(found.st_mode) && (!found.st_uid || found.st_uid == geteuid()))
			return 0;
		errno = EPERM;
		return -1;
	}
	if (is_bpffs(path))
		return 0;
	rmdir(path);
	errno = ENOTSUP;
	return -1;
}

/* Makes the directories of a path, and mounts bpffs first where it should be and is not. */
static int make_pin_dir(const char *dir)
{
	char path[256];

	if (snprintf(path, sizeof(path), "%s", dir) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (!strncmp(dir, BPFFS "/", sizeof(BPFFS)) && !is_bpffs(BPFFS) &&
			mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
		return -1;
	for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (make_dir(path) < 0)
			return -1;
		*slash = '/';
	}
	if (make_dir(path) < 0)
		return -1;
	if (!is_bpffs(path)) {
		errno = ENOTSUP;
		return -1;
	}
	return 0;
}

#define PINNED_MAPS (sizeof(pin_names) / sizeof(pin_names[0]))

_Static_assert(FILTER_PINS == PINNED_MAPS + 2, "the maps, their directory and its parent");

bool filter_pin_path(const struct filter *f, unsigned i, char path[FILTER_PIN_PATH])
{
	if (!f->pin_dir[0])
		return false;
	if (i < PINNED_MAPS)
		snprintf(path, FILTER_PIN_PATH, "%s/%s", f->pin_dir, pin_names[i]);
	else /* the parent goes only when no other instance is there */
		snprintf(path, FILTER_PIN_PATH, "%s", i == PINNED_MAPS ? f->pin_dir : PIN_ROOT);
	return true;
}

static void remove_pins(const struct filter *f, unsigned count)
{
	char path[FILTER_PIN_PATH];

	for (unsigned i = 0; i < count && filter_pin_path(f, i, path); i++)
		if (unlink(path) < 0)
			rmdir(path);
}

static int pin_map(const struct filter *f, const struct bpf_map *map, const char *name)
{
	char path[FILTER_PIN_PATH];

	snprintf(path, sizeof(path), "%s/%s", f->pin_dir, name);
	return bpf_obj_pin(bpf_map__fd(map), path);
}

static void unpin(struct filter *f)
{
	remove_pins(f, FILTER_PINS);
	if (f->pin_lock >= 0)
		close(f->pin_lock);
	f->pin_lock = -1;
	f->pin_dir[0] = '\0';
}

int filter_pin(struct filter *f, const char *dir)
{
	int saved;

	if (make_pin_dir(dir) < 0)
		return -1;
	/* The lock, not the pins, says that somebody lives here: it dies with its process. */
	f->pin_lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->pin_lock < 0)
		return -1;
	if (flock(f->pin_lock, LOCK_EX | LOCK_NB) < 0) {
		saved = errno == EWOULDBLOCK ? EBUSY : errno;
		close(f->pin_lock);
		f->pin_lock = -1;
		errno = saved;
		return -1;
	}
	snprintf(f->pin_dir, sizeof(f->pin_dir), "%s", dir);
	remove_pins(f, PINNED_MAPS);
	if (pin_map(f, f->skeleton->maps.port_counters, PIN_PORT_COUNTERS) < 0 ||
			pin_map(f, f->skeleton->maps.verdicts, PIN_VERDICTS) < 0 ||
			pin_map(f, f->skeleton->maps.service_counters, PIN_SERVICE_COUNTERS) < 0) {
		saved = errno;
		unpin(f);
		errno = saved;
		return -1;
	}
	return 0;
}

/* ---- attach --------------------------------------------------------------------------- */

/*
 * bpf_link_create() has no place for the kernel's explanation; the netlink attach has. If, against
 * the odds, it succeeds now, it is undone.
 */
static void explain(struct filter *f, __u32 flags, char *error, size_t size)
{
	int program = bpf_program__fd(f->skeleton->progs.udpxdp_filter);

	kernel_says[0] = '\0';
	if (!bpf_xdp_attach(f->ifindex, program, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL)) {
		LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = program);

		bpf_xdp_detach(f->ifindex, flags | XDP_FLAGS_REPLACE, &opts);
	}
	snprintf(error, size, "%s", kernel_says);
}

static int attach_link(struct filter *f, __u32 flags, char *error, size_t size)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);
	int saved;

	f->link = bpf_link_create(bpf_program__fd(f->skeleton->progs.udpxdp_filter), f->ifindex,
			BPF_XDP, &opts);
	if (f->link >= 0)
		return 0;
	saved = errno == EEXIST ? EBUSY : errno;
	if (saved != EBUSY)
		explain(f, flags, error, size);
	errno = saved;
	return -1;
}

int filter_attach(struct filter *f, bool generic, char *error, size_t size)
{
	error[0] = '\0';
	if (f->dispatched)
		return 0;
	return attach_link(f, generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE, error, size);
}

bool filter_is_attached(const struct filter *f)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);

	if (f->link < 0) /* the dispatcher's attachment has none */
		return f->dispatched != NULL;
	return bpf_obj_get_info_by_fd(f->link, &info, &len) || (int)info.xdp.ifindex == f->ifindex;
}

void filter_detach(struct filter *f)
{
	if (f->link >= 0)
		close(f->link);
	f->link = -1;
	if (f->dispatched && f->dispatched_mode != XDP_MODE_UNSPEC)
		xdp_program__detach(f->dispatched, f->ifindex, f->dispatched_mode, 0);
	f->dispatched_mode = XDP_MODE_UNSPEC;
}

void filter_close(struct filter *f)
{
	if (!f)
		return;
	filter_detach(f);
	unpin(f);
	if (f->counters)
		munmap(f->counters, f->counters_size);
	xdp_program__close(f->dispatched);
	udpxdp_bpf__destroy(f->skeleton);
	free(f);
}

bool filter_find_attached(int ifindex, __u32 *id, char *name, size_t size)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	int fd;

	if (bpf_xdp_query(ifindex, 0, &query) < 0)
		return false;
	*id = query.prog_id ? query.prog_id : query.drv_prog_id;
	if (!*id)
		*id = query.skb_prog_id ? query.skb_prog_id : query.hw_prog_id;
	if (!*id)
		return false;
	snprintf(name, size, "?");
	fd = bpf_prog_get_fd_by_id(*id);
	if (fd >= 0) {
		if (!bpf_obj_get_info_by_fd(fd, &info, &len))
			snprintf(name, size, "%s", info.name);
		close(fd);
	}
	return true;
}
