/* SPDX-License-Identifier: MIT */
/* The counters of a running server, once or again and again. */
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/control_connect.h"
#include "cmd/stats/control.h"
#include "cmd/stats/print.h"
#include "cli/verbs.h"
#include "base/clock.h"
#include "base/escape.h"
#include "xdp/counters.h"
#include "xdp/filter.h"
#include "base/log.h"

struct config {
	const char *iface;
	const char *pin_dir;
	const char *control;
	bool json;
	bool prometheus;
	unsigned verbose;
	uint64_t interval_ns;
	bool in_place; /* a table that stays where it is, on a terminal */
};

/* Whose counters, and where they are. */
struct source {
	char iface[256];
	char dir[4096];
	int control; /* a control socket, which tells them; -1: the maps do */
	bool named;  /* the directory was named by the user: show what is there, alive or not */
	bool alone;  /* so was the interface: what others of the same server count is left out */
};

/* ---- which server -------------------------------------------------------------------- */

/* bpffs refuses dots in names. */
static void without_dots(char *name)
{
	while ((name = strchr(name, '.')))
		*name++ = '_';
}

/* At the end of a path they say nothing. */
static void without_slashes(char *path)
{
	for (size_t len = strlen(path); len > 1 && path[len - 1] == '/'; len--)
		path[len - 1] = '\0';
}

/* The directory is named after the interface, its dots aside: find the one that it means. */
static void iface_of(const char *entry, char *iface, size_t size)
{
	struct if_nameindex *all = if_nameindex();

	snprintf(iface, size, "%s", entry);
	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		char name[IF_NAMESIZE];

		snprintf(name, sizeof(name), "%s", i->if_name);
		without_dots(name);
		if (!strcmp(name, entry))
			snprintf(iface, size, "%s", i->if_name);
	}
	if_freenameindex(all);
}

static int is_server(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Servers found, to be told apart by a person. */
struct found {
	size_t count, used;
	char names[1024];
};

static void add_found(struct found *found, const char *name)
{
	if (found->used < sizeof(found->names))
		found->used += (size_t)snprintf(found->names + found->used,
			sizeof(found->names) - found->used, "%s%s", found->count ? ", " : "", name);
	found->count++;
}

/* By their pins. The dead count only where nobody lives. */
static struct found find_pins(struct source *source, struct dirent **entries, int count, bool dead)
{
	struct found found = {};
	char dir[sizeof(source->dir)];

	for (int i = 0; i < count; i++) {
		snprintf(dir, sizeof(dir), "%s/%s", PIN_ROOT, entries[i]->d_name);
		if (!dead && !pins_alive(dir))
			continue;
		add_found(&found, entries[i]->d_name);
		memcpy(source->dir, dir, sizeof(dir));
		iface_of(entries[i]->d_name, source->iface, sizeof(source->iface));
	}
	return found;
}

/* By their programs, where pins cannot be seen or are elsewhere. */
static struct found find_programs(struct source *source)
{
	struct if_nameindex *interfaces = if_nameindex();
	struct counters_maps maps;
	struct found found = {};

	for (struct if_nameindex *i = interfaces; i && i->if_index; i++) {
		if (counters_maps_find(&maps, (int)i->if_index))
			continue;
		counters_maps_close(&maps);
		add_found(&found, i->if_name);
		snprintf(source->iface, sizeof(source->iface), "%s", i->if_name);
		snprintf(source->dir, sizeof(source->dir), "%s/", PIN_ROOT);
	}
	if (interfaces)
		if_freenameindex(interfaces);
	return found;
}

/* Without -i: the only server there is. */
static void find_only(struct source *source)
{
	struct dirent **entries = NULL;
	int count = scandir(PIN_ROOT, &entries, is_server, alphasort);
	const int error = count < 0 ? errno : 0;
	struct found found;

	found = find_pins(source, entries, count, false);
	if (!found.count)
		found = find_programs(source);
	if (!found.count)
		found = find_pins(source, entries, count, true);
	if (found.count != 1) /* none to be read, or one server on several interfaces */
		source->control = control_try(NULL);
	if (!found.count && source->control < 0 && (error == EACCES || error == EPERM))
		log_fail(EXIT_PERMISSION, "%s: %s; run as root or with read access to it", PIN_ROOT,
			strerror(error));
	if (!found.count && source->control < 0) {
		control_check_refused(NULL);
		log_fail(EXIT_RUNTIME,
			"no counters in " PIN_ROOT ": no server is running; start one, or use -i");
	}
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	if (found.count > 1 && source->control < 0)
		log_fail(EXIT_USAGE, "several servers are running: %s; choose one with -i",
			found.names);
}

static void find_source(struct source *source, const struct config *config)
{
	const char *dir = config->pin_dir;
	char name[IF_NAMESIZE];
	struct sockaddr_un addr;

	source->control = -1;
	source->alone = config->iface;
	if (config->control) {
		source->control = control_connect(config->control, NULL, &addr);
		return;
	}
	if (!config->iface && !dir) {
		find_only(source);
		return;
	}
	if (config->iface && strlen(config->iface) >= IF_NAMESIZE)
		log_fail(EXIT_INTERFACE, "interface '%s': no such interface; see ip link",
			config->iface);
	if (dir) {
		source->named = true;
		snprintf(source->dir, sizeof(source->dir), "%s", dir);
		without_slashes(source->dir);
		iface_of(basename(source->dir), source->iface, sizeof(source->iface));
	} else {
		snprintf(name, sizeof(name), "%s", config->iface);
		without_dots(name);
		snprintf(source->dir, sizeof(source->dir), "%s/%s", PIN_ROOT, name);
	}
	if (config->iface)
		snprintf(source->iface, sizeof(source->iface), "%s", config->iface);
}

/* ---- reading ------------------------------------------------------------------------- */

static void __attribute__((noreturn)) not_permitted(const struct source *source)
{
	log_fail(EXIT_PERMISSION,
		"cannot read the counters of %s: %m; run as root or with CAP_BPF and read "
		"access to %s",
		source->iface, source->dir);
}

/* A server that died leaves its pins behind, and nobody attached to the interface. */
static void check_alive(const struct source *source, int ifindex)
{
	char name[16];
	__u32 id;

	if (source->named || pins_alive(source->dir))
		return;
	if (ifindex && filter_find_attached(ifindex, &id, name, sizeof(name)))
		return;
	log_fail(EXIT_RUNTIME,
		"no server is running on %s: the counters in %s are left over from one that "
		"died; show them with --pin-dir %s",
		source->iface, source->dir, source->dir);
}

/* The pins; or, where they cannot be seen (`ip netns exec` hides bpffs), the maps of the program
 * on the interface. */
static void open_maps(const struct source *source, struct counters_maps *maps)
{
	int ifindex = (int)if_nametoindex(source->iface);

	if (!counters_maps_open(maps, source->dir)) {
		check_alive(source, ifindex);
		return;
	}
	if (errno == EPERM || errno == EACCES)
		not_permitted(source);
	if (!source->named)
		control_check_refused(source->iface);
	if (!ifindex && source->named)
		log_fail(EXIT_RUNTIME,
			"no counters in %s: %m; name the directory that the server pins them in",
			source->dir);
	if (!ifindex)
		log_fail(EXIT_INTERFACE,
			"interface '%s': no such interface, and no counters in %s; "
			"see ip link",
			source->iface, source->dir);
	if (!counters_maps_find(maps, ifindex))
		return;
	if (errno == EPERM || errno == EACCES)
		not_permitted(source);
	if (errno != ENOENT)
		log_fail(EXIT_RUNTIME, "cannot read the counters of %s: %m", source->iface);
	log_fail(EXIT_RUNTIME,
		"no server is running on %s: no counters in %s and no udpxdp program on the "
		"interface; start one with udpxdp -i %s",
		source->iface, source->dir, source->iface);
}

/* Where its pins cannot be read, or there are none, the server itself may tell. */
static void turn_to_control(struct source *source)
{
	char path[sizeof(source->dir) + sizeof(PIN_VERDICTS)];

	if (source->named || source->control >= 0)
		return;
	snprintf(path, sizeof(path), "%s/" PIN_VERDICTS, source->dir);
	if (access(path, R_OK))
		source->control = stats_find(source->iface);
}

static void read_counters(const struct source *source, struct counters *counters)
{
	struct counters_maps maps;

	if (source->control >= 0) {
		if (stats_ask(source->control, source->alone ? source->iface : NULL, counters))
			log_fail(EXIT_RUNTIME,
				"reading the counters from the control socket failed: %s; use the "
				"udpxdp that serves",
				strerror(errno));
		return;
	}
	open_maps(source, &maps);
	if (counters_read(&maps, counters)) {
		if (errno == EPROTO)
			log_fail(EXIT_RUNTIME,
				"the counters of %s have another layout than udpxdp " UDPXDP_VERSION
				" expects; use the udpxdp that serves it",
				source->iface);
		if (errno == EPERM)
			not_permitted(source);
		log_fail(EXIT_RUNTIME, "cannot read the counters of %s: %m", source->iface);
	}
	counters_maps_close(&maps);
}

/* Whose counters they are: as they say themselves, whatever their directory is called. */
static const char *label(
	const struct config *config, const struct source *source, const struct counters *counters)
{
	bool asked = config->iface && !config->pin_dir; /* and found by its present name */

	return counters->iface[0] && !asked ? counters->iface : source->iface;
}

/* ---- showing ------------------------------------------------------------------------- */

/* first: the counters of the first time. */
static void show(
	const struct config *config, const struct stats_view *view, const struct counters *first)
{
	int result = 0;

	if (config->in_place)
		stats_draw(stdout, view, first);
	else if (config->json)
		result = stats_print_json(stdout, view);
	else if (config->prometheus)
		stats_print_prometheus(stdout, view);
	else
		stats_print_table(stdout, view);
	if (fflush(stdout) || ferror(stdout) || result)
		log_fail_output();
}

/* Waits until *at; false when a signal says to end. Both are blocked, so none is missed. */
static bool wait_until(uint64_t at_ns, const sigset_t *ending)
{
	uint64_t now_ns = clock_ns();
	struct timespec left = clock_timespec(at_ns > now_ns ? at_ns - now_ns : 0);

	while (sigtimedwait(ending, NULL, &left) < 0)
		if (errno == EAGAIN)
			return true;
	return false;
}

static void show_again(const struct config *config, const struct source *source,
	struct stats_view *view, const struct counters *first)
{
	struct counters times[2] = {}; /* this time and the one before, in turn */
	uint64_t next = first->time_ns;
	sigset_t ending;

	sigemptyset(&ending);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGTERM);
	sigprocmask(SIG_BLOCK, &ending, NULL);
	view->before = first;
	for (unsigned turn = 0; wait_until(next += config->interval_ns, &ending); turn ^= 1) {
		struct counters *now = &times[turn];

		counters_free(now);
		read_counters(source, now);
		view->now = now;
		if (!config->json && !config->in_place)
			putchar('\n');
		show(config, view, first);
		view->before = now;
	}
	counters_free(&times[0]);
	counters_free(&times[1]);
}

/* ---- the verb ------------------------------------------------------------------------ */

#define MEMBER(name) .offset = offsetof(struct config, name)

static const struct udpxdp_option options[] = {
	{.name = "interface", .kind = UDPXDP_OPTION_STRING, MEMBER(iface)},
	{.name = "iface",
		.letter = 'i',
		.kind = UDPXDP_OPTION_STRING,
		MEMBER(iface),
		.arg = "IFACE",
		.help = "the interface served (default: the only one)"},
	{.name = "pin-dir",
		.kind = UDPXDP_OPTION_STRING,
		MEMBER(pin_dir),
		.arg = "DIR",
		.help = "where the counters are pinned (default: " PIN_ROOT "/IFACE)"},
	{.name = "control",
		.kind = UDPXDP_OPTION_STRING,
		MEMBER(control),
		.arg = "PATH",
		.help = "ask the server behind this control socket (default: where there are no "
			"pins, that of IFACE)"},
	{.name = "json",
		.letter = 'j',
		.kind = UDPXDP_OPTION_BOOL,
		MEMBER(json),
		.help = "print JSON"},
	{.name = "prometheus",
		.kind = UDPXDP_OPTION_BOOL,
		MEMBER(prometheus),
		.help = "print the text exposition format of Prometheus"},
	{.name = "interval",
		.letter = 'n',
		.kind = UDPXDP_OPTION_SECONDS,
		MEMBER(interval_ns),
		.arg = "SEC",
		.help = "print again every SEC seconds, with rates per second: on a terminal "
			"in place; JSON then takes one line each time",
		.min = 10,
		.max = 86400000},
	{.name = "verbose",
		.letter = 'v',
		.kind = UDPXDP_OPTION_COUNT,
		MEMBER(verbose),
		.help = "print zero counters, too"},
	{},
};

static int run(const struct verb *verb, int argc, char **argv)
{
	struct config config = {};
	struct source source = {};
	struct counters counters;
	const char *name;
	char iface[ESCAPE_TEXT_MAX(sizeof(source.iface)) + 1];
	struct stats_view view = {.iface = iface, .now = &counters};

	options_parse(verb, &config, argc, argv);
	if (config.control && (config.pin_dir || config.iface))
		log_fail(EXIT_USAGE, "--control, --pin-dir, -i: each names a server; use one");
	if (config.prometheus && (config.json || config.interval_ns))
		log_fail(EXIT_USAGE,
			"--prometheus cannot be combined with %s; see udpxdp stats "
			"--help",
			config.json ? "--json" : "--interval");
	filter_log_setup();
	find_source(&source, &config);
	turn_to_control(&source);
	view.all = config.verbose;
	config.in_place = config.interval_ns && !config.json && stats_is_terminal(stdout);
	view.compact = config.interval_ns;
	read_counters(&source, &counters);
	name = label(&config, &source, &counters);
	iface[escape_text(iface, sizeof(iface) - 1, (const uint8_t *)name, strlen(name))] = 0;
	show(&config, &view, &counters);
	if (config.interval_ns)
		show_again(&config, &source, &view, &counters);
	counters_free(&counters);
	return EXIT_CLEAN;
}

const struct verb stats_verb = {
	.name = "stats",
	.operands = "",
	.instead = "name the interface with -i IFACE",
	.summary = "Print the counters of a running server.",
	.options = options,
	.run = run,
};
