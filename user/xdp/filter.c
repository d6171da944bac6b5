/* SPDX-License-Identifier: MIT */
#include "xdp/filter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "xdp/dispatcher.h"
#include "xdp/internal.h"
#include "base/log.h"

#define PROGRAM_PREFIX "udpxdp_" /* of their names, in bpf/udpxdp.bpf.c */

/* ---- what libbpf and libxdp say ------------------------------------------------------- */

static int print_lines(const char *format, va_list args)
{
	char *text, *rest, *line;

	/* The verifier's log is one message of many lines. */
	if (vasprintf(&text, format, args) < 0)
		return 0;
	for (rest = text; log_level >= 2 && (line = strsep(&rest, "\n"));)
		if (line[0])
			log_line("%s", line);
	free(text);
	return 0;
}

static int from_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	return print_lines(format, args);
}

static int from_libxdp(enum libxdp_print_level level, const char *format, va_list args)
{
	return print_lines(format, args);
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

/* Every row says which verdict it counts and whose, on every CPU. */
static int name_verdicts(struct filter *f)
{
	int cpus = libbpf_num_possible_cpus();
	struct verdict_row *rows = cpus > 0 ? calloc(cpus, sizeof(*rows)) : NULL;
	int result = rows ? 0 : -1;

	_Static_assert(sizeof(rows->iface) == IF_NAMESIZE, "room for any name");
	if (rows)
		if_indextoname((unsigned)f->ifindex, rows[0].iface);
	for (__u32 v = 0; !result && v < FRAME_VERDICT_COUNT; v++) {
		for (int i = 0; i < cpus; i++) {
			rows[i].reason = v;
			memcpy(rows[i].iface, rows[0].iface, sizeof(rows[i].iface));
		}
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
	config->total_interval = s->total_interval;
	config->total_burst = s->total_burst;
	config->rules = s->rules;
	config->any_vlan = s->any_vlan;
	config->ifindex = s->ifindex;
	config->frame_max = s->frame_max;
	(void)!getrandom(config->seed, sizeof(config->seed), 0);
	if (s->rules) {
		bpf_map__set_max_entries(f->skeleton->maps.source_rules, RULES_MAX);
		bpf_map__set_max_entries(f->skeleton->maps.source_rules_b, RULES_MAX);
	}
	f->skeleton->bss->filter_local_bits.complete = 1;
	bpf_map__set_max_entries(f->skeleton->maps.service_counters, s->counter_rows);
}

/* Makes what depends on the maps being there. */
static int prepare(struct filter *f, const struct filter_settings *s)
{
	/* No instruction names this map; bound, it can be found through the program (Linux 5.10).
	 */
	bpf_prog_bind_map(
		bpf_program__fd(f->program), bpf_map__fd(f->skeleton->maps.service_counters), NULL);
	return map_counters(f, s->counter_rows) < 0 || name_verdicts(f) < 0 ? -1 : 0;
}

/*
 * The programs, best first: what cannot be loaded has the next tried. Those without the helper take
 * CAP_PERFMON, those with it Linux 5.18.
 */
static const struct variant {
	bool answers, helper;
} variants[] = {{true, false}, {true, true}, {false, false}, {false, true}};

#define VARIANTS (sizeof(variants) / sizeof(variants[0]))

static bool has_helper(void)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_get_buff_len, NULL) == 1;
}

static void choose_program(struct filter *f, const struct variant *v)
{
	struct bpf_program *program;

	f->answers = v->answers;
	if (v->answers)
		f->program = v->helper ? f->skeleton->progs.udpxdp_answer
				       : f->skeleton->progs.udpxdp_answer_5;
	else
		f->program = v->helper ? f->skeleton->progs.udpxdp_filter
				       : f->skeleton->progs.udpxdp_filter_5;
	bpf_object__for_each_program(program, f->skeleton->obj)
		bpf_program__set_autoload(program, program == f->program);
}

static struct filter *open_filter(const struct filter_settings *settings, const struct variant *v)
{
	struct filter *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->link = f->pins.lock = -1;
	f->ifindex = settings->ifindex;
	f->skeleton = udpxdp_bpf__open();
	if (!f->skeleton) {
		free(f);
		return NULL;
	}
	configure(f, settings);
	choose_program(f, v);
	if (settings->frags && v->helper)
		bpf_program__set_flags(f->program, BPF_F_XDP_HAS_FRAGS);
	return f;
}

/* Loads the best that there is by this function, which returns 0, or -1 with errno. Returns NULL
 * with errno, and in error why the last one failed. */
static struct filter *load_best(const struct filter_settings *settings,
	int (*load)(struct filter *, void *), void *context, char *error, size_t size)
{
	const bool helper = has_helper();
	int saved = ENOMEM, refused = 0;

	for (unsigned i = 0; i < VARIANTS; i++) {
		struct filter *f;

		if ((variants[i].helper && !helper) || (variants[i].answers && !settings->answers))
			continue;
		/* Only the helper knows how long a frame in pieces is. */
		if (settings->frags && helper && !variants[i].helper)
			continue;
		f = open_filter(settings, &variants[i]);
		if (f && !load(f, context) && !prepare(f, settings)) {
			snprintf(f->refused, sizeof(f->refused), "%s", strerror(refused));
			return f;
		}
		saved = errno;
		if (variants[i].answers)
			refused = saved;
		filter_close(f);
	}
	snprintf(error, size, "%s%s", strerror(saved),
		!helper && (saved == EPERM || saved == EACCES)
			? ": before Linux 5.18 it needs CAP_PERFMON as well, and "
			  "before 5.11 a memlock limit for its maps (ulimit -l, "
			  "LimitMEMLOCK=)"
			: "");
	errno = saved;
	return NULL;
}

static int load(struct filter *f, void *context)
{
	return udpxdp_bpf__load(f->skeleton);
}

struct filter *filter_load(const struct filter_settings *settings, char *error, size_t size)
{
	return load_best(settings, load, NULL, error, size);
}

static int load_dispatched(struct filter *f, void *generic)
{
	f->dispatched =
		dispatcher_attach(f->skeleton->obj, f->program, f->ifindex, *(bool *)generic);
	return f->dispatched ? 0 : -1;
}

struct filter *filter_load_dispatched(
	const struct filter_settings *settings, bool *generic, char *error, size_t size)
{
	unsigned stale = filter_find_dispatched(settings->ifindex);

	if (stale)
		dispatcher_remove(settings->ifindex, stale);
	for (*generic = settings->generic;; *generic = true) {
		struct filter *f = load_best(settings, load_dispatched, generic, error, size);

		if (f || *generic || settings->native || errno == EOPNOTSUPP)
			return f;
		log_line("no native mode: attaching through the dispatcher: %s, trying skb", error);
	}
}

bool filter_is_ours(const char *name)
{
	return !strncmp(name, PROGRAM_PREFIX, strlen(PROGRAM_PREFIX));
}

unsigned filter_find_dispatched(int ifindex)
{
	/* libxdp keeps what it needs there. */
	pins_mount_bpffs();
	return dispatcher_find(ifindex, PROGRAM_PREFIX);
}

const char *filter_refused(const struct filter *f)
{
	return f->refused;
}

void filter_counters_maps(const struct filter *f, struct counters_maps *maps)
{
	*maps = (struct counters_maps){
		.ports = bpf_map__fd(f->skeleton->maps.port_counters),
		.verdicts = bpf_map__fd(f->skeleton->maps.verdicts),
		.services = bpf_map__fd(f->skeleton->maps.service_counters),
	};
}

struct service_counters *filter_counters(const struct filter *f)
{
	return f->counters;
}

/* ---- pins ----------------------------------------------------------------------------- */

int filter_pin(struct filter *f, const char *dir)
{
	f->pinned[0] =
		(struct pin){PIN_PORT_COUNTERS, bpf_map__fd(f->skeleton->maps.port_counters)};
	f->pinned[1] = (struct pin){PIN_VERDICTS, bpf_map__fd(f->skeleton->maps.verdicts)};
	f->pinned[2] =
		(struct pin){PIN_SERVICE_COUNTERS, bpf_map__fd(f->skeleton->maps.service_counters)};
	return pins_make(&f->pins, dir, f->pinned, sizeof(f->pinned) / sizeof(f->pinned[0]));
}

bool filter_pin_path(const struct filter *f, unsigned i, char path[PIN_PATH_SIZE])
{
	return pins_path(&f->pins, i, path);
}

/* ---- attach --------------------------------------------------------------------------- */

int filter_attach(struct filter *f, bool generic)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		.flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
	char name[BPF_OBJ_NAME_LEN];
	__u32 id;

	if (f->dispatched)
		return 0;
	f->link = bpf_link_create(bpf_program__fd(f->program), f->ifindex, BPF_XDP, &opts);
	if (f->link >= 0)
		return 0;
	/* EEXIST: one in the other mode here, or one on an interface above or below. */
	if (errno == EEXIST)
		errno = filter_find_attached(f->ifindex, &id, name, sizeof(name)) ? EBUSY : EEXIST;
	return -1;
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
	dispatcher_detach(f->dispatched);
	f->dispatched = NULL;
}

void filter_close(struct filter *f)
{
	if (!f)
		return;
	filter_detach(f);
	pins_remove(&f->pins);
	if (f->counters)
		munmap(f->counters, f->counters_size);
	free(f->tries[0].keys);
	free(f->tries[1].keys);
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
