/* SPDX-License-Identifier: MIT */
/* `udpxdp serve`: reads the command line, checks what can be checked, runs the server. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "cli/control_path.h"
#include "base/log.h"
#include "cli/config.h"
#include "cli/verbs.h"
#include "cmd/serve/check.h"
#include "server/control.h"
#include "services/service_spec.h"
#include "services/service_table.h"

static int set_from_file(
	void *options, const char *name, const char *value, char *error, size_t size)
{
	if (strcmp(name, "config") && strcmp(name, "check"))
		return options_set(&serve_verb, options, name, value, error, size);
	snprintf(error, size, "%s: for the command line only", name);
	return -1;
}

static void read_file(const char *path, struct serve_options *o)
{
	char error[256];
	unsigned line;
	size_t len;

	o->config_text = config_load(path, &len, error, sizeof(error));
	if (!o->config_text)
		log_fail(EXIT_USAGE, "reading %s failed: %s; give another --config", path, error);
	line = config_parse(o->config_text, len, set_from_file, o, error, sizeof(error));
	if (line)
		log_fail(EXIT_USAGE, "%s:%u: %s; correct the file", path, line, error);
}

/* The defaults, then the file, then the command line on top: its services instead of those of the
 * file. */
static void read_options(const struct verb *verb, struct serve_options *o, int argc, char **argv)
{
	struct command_line line;
	const char *file;

	command_line_read(&line, verb, argc, argv);
	options_set_defaults(verb, o);
	file = command_line_value(&line, "config");
	if (file && *file) /* an empty name is refused with the other options */
		read_file(file, o);
	if (command_line_has(&line, "service"))
		o->server.service_count = 0;
	if (command_line_has(&line, "iface") || command_line_has(&line, "interface")) {
		o->server.iface = NULL;
		o->server.more_count = 0;
	}
	if (command_line_has(&line, "verbose"))
		o->verbose = 0;
	command_line_apply(&line, o);
	command_line_free(&line);
	for (int i = 1; i < argc; i++)
		service_hide_password(argv[i]); /* from ps */
	o->server.dispatcher = o->attach == ATTACH_DISPATCHER;
}

static void add_defaults(struct server_config *c)
{
	char error[256];

	for (int i = 0; default_services[i]; i++)
		if (services_add(c->services, &c->service_count, default_services[i], error,
			    sizeof(error)) < 0)
			log_fail(EXIT_USAGE, "%s", error);
}

/* bpffs allows no dot in a name. A directory that is named has the other interfaces' beside it. */
static void name_pins(char *dir, size_t size, const char *under, const char *iface)
{
	const bool named = strcmp(under, PIN_ROOT);
	int used = snprintf(dir, size, "%s%s%s", under, named ? "-" : "/", iface);

	for (char *dot = dir + ((size_t)used < size ? used - (int)strlen(iface) : 0);
		(dot = strchr(dot, '.'));)
		*dot = '_';
}

/* Where the control socket and the counters are, unless they are named. */
static void name_places(struct serve_options *o)
{
	static char control[CONTROL_PATH_SIZE], pin_dir[128];
	struct server_config *c = &o->server;
	const char *iface = c->iface ? c->iface : "";

	control_path_default(control, c->iface ? c->iface : SERVER_ANY_INTERFACE);
	c->control = o->control ? o->control : control;
	c->control_asked = o->control;
	name_pins(pin_dir, sizeof(pin_dir), PIN_ROOT, iface);
	c->pin_dir = o->pin_dir ? o->pin_dir : pin_dir;
	for (unsigned i = 0; i < c->more_count; i++)
		name_pins(c->more[i].pin_dir, sizeof(c->more[i].pin_dir),
			o->pin_dir ? o->pin_dir : PIN_ROOT, c->more[i].iface);
}

static int serve(const struct verb *verb, int argc, char **argv)
{
	static struct serve_options o = {.server.print_rate = PRINTER_RATE};
	struct server_config *c = &o.server;
	static struct iface_facts facts[INTERFACES_MAX];

	read_options(verb, &o, argc, argv);
	log_level = o.verbose;
	if (!c->service_count)
		add_defaults(c);
	services_name_histories(c->services, c->service_count);
	name_places(&o);
	filter_log_setup();
	tzset();
	serve_check(&o, facts);
	if (o.check)
		return serve_check_report(&o, facts);
	if (getrandom(&c->seed, sizeof(c->seed), 0) != sizeof(c->seed))
		log_fail(EXIT_RUNTIME, "no random numbers: %s; services need them for secrets",
			strerror(errno));
	return server_run(c);
}

const struct verb serve_verb = {
	.name = "serve",
	.operands = "",
	.instead = "name the interface with -i IFACE",
	.summary = "Serve an interface over AF_XDP, until SIGINT.",
	.options = serve_options,
	.more = service_help_print,
	.notes = serve_notes,
	.run = serve,
};
