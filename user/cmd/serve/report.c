/* SPDX-License-Identifier: MIT */
/* serve --check: what the start would fail with, tried without a trace; and what it would do. */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/serve/check.h"
#include "privsep/sandbox.h"
#include "server/control.h"
#include "server/guards/guards.h"
#include "server/kernel_sockets.h"
#include "services/service_spec.h"
#include "xdp/counters.h"
#include "xdp/dispatcher.h"

/* ---- what the start would fail with ---------------------------------------------------- */

/* Would a file be opened for writing, or made? Returns 0 or an errno. */
static int try_file(const char *path)
{
	char directory[4096];

	if (!access(path, F_OK))
		return access(path, W_OK) ? errno : 0;
	if (errno != ENOENT)
		return errno;
	if (strlen(path) >= sizeof(directory))
		return ENAMETOOLONG;
	strcpy(directory, path);
	return access(dirname(directory), W_OK | X_OK) ? errno : 0;
}

static int try_control(const struct server_config *c)
{
	int error = control_check(c->control);

	if (error == EADDRINUSE) {
		log_line("%s is in use: another udpxdp answers there; stop it or give another "
			 "--control",
			c->control);
		return EXIT_BUSY;
	}
	if (!error || !c->control_asked)
		return EXIT_CLEAN;
	log_line("making %s failed: %s; give another --control", c->control, strerror(error));
	return EXIT_RUNTIME;
}

static int try_pins(const struct server_config *c)
{
	if (!pins_alive(c->pin_dir))
		return EXIT_CLEAN;
	log_line("%s is in use: another udpxdp counts there; stop it or give another --pin-dir",
		c->pin_dir);
	return EXIT_BUSY;
}

/* The verifier and the memory limit have their say; nothing is attached. */
static int try_filter(const struct server_config *c, unsigned queues)
{
	const struct filter_settings settings = {
		.ifindex = c->ifindex,
		.counter_rows = queues * c->service_count,
		.limit_interval = c->limit.interval,
		.limit_burst = c->limit.burst,
		.total_interval = c->total.interval,
		.total_burst = c->total.burst,
		.rules = c->rule_count != 0 || c->rules_file,
	};
	char error[256];
	struct filter *filter;

	if (c->dispatcher && !dispatcher_is_allowed())
		return server_dispatcher_failed();
	filter = filter_load(&settings, error, sizeof(error));
	if (filter) {
		filter_close(filter);
		return EXIT_CLEAN;
	}
	return server_filter_failed(error);
}

static int try_capture(const struct server_config *c)
{
	int error = 0;

	if (c->capture && !server_captures_to_stdout(c) && !(error = try_file(c->capture)))
		error = server_check_capture(c);
	if (!error)
		return EXIT_CLEAN;
	log_line("writing a capture failed: %s: %s; %sgive another --write", c->capture,
		strerror(error), error == EEXIST ? "it is not a capture: remove it or " : "");
	return EXIT_RUNTIME;
}

/* ---- what it would do ------------------------------------------------------------------ */

static void print_cpus(const struct server_config *c)
{
	printf("cpus      ");
	for (unsigned i = 0; i < c->cpu_count; i++)
		printf("%s%d", i ? "," : "", c->cpus[i]);
	putchar('\n');
}

static void print_files(const struct server_config *c)
{
	for (unsigned i = 0; i < c->service_count; i++) {
		const char *path = service_history(&c->services[i]);
		int error = path ? try_file(path) : 0;

		if (!path)
			continue;
		printf("history   %s, of %s:%u%s%s\n", path, c->services[i].service->name,
			c->services[i].port, error ? "; tried again every second: " : "",
			error ? strerror(error) : "");
	}
	if (c->capture)
		printf("capture   %s\n", server_captures_to_stdout(c)
						 ? "standard output, without messages"
						 : c->capture);
}

static void print_control(const struct server_config *c)
{
	int error = control_check(c->control);

	if (error)
		printf("control   none: making %s failed: %s\n", c->control, strerror(error));
	else
		printf("control   %s\n", c->control);
}

static void print_limit(const char *name, const struct rate_limit *limit)
{
	if (limit->interval)
		printf("%-10s%llu datagrams a second, %llu at once\n", name,
			UDPXDP_NSEC_PER_SEC / limit->interval, limit->burst / limit->interval + 1);
}

/* The configuration as it is for interface number i. */
static const struct server_config *config_of(const struct server_config *c, unsigned i)
{
	static struct server_config one;

	if (!i)
		return c;
	one = *c;
	one.iface = c->more[i - 1].iface;
	one.ifindex = c->more[i - 1].ifindex;
	one.pin_dir = c->more[i - 1].pin_dir;
	return &one;
}

static void print_interface(const struct server_config *c, unsigned queues)
{
	if (c->mode == XDP_MODE_SOCKETS)
		printf("interface %s, workers %u, mode sockets\n", c->iface,
			c->last_queue - c->first_queue + 1);
	else
		printf("interface %s, queues %u to %u, mode %s, attached %s\n", c->iface,
			c->first_queue, c->last_queue < queues ? c->last_queue : queues - 1,
			xdp_mode_name(c->mode), c->dispatcher ? "through the dispatcher" : "alone");
}

static void print_plan(const struct server_config *c, const char *rules)
{
	char services[MAX_SERVICES * (UDPXDP_NAME_SIZE + 7)];

	services_text(c->services, c->service_count, services, sizeof(services));
	printf("services  %s\n", services);
	if (c->cpu_count)
		print_cpus(c);
	print_limit("limit", &c->limit);
	print_limit("total", &c->total);
	if (rules[0])
		printf("rules     %s\n", rules);
	print_files(c);
	print_control(c);
	for (unsigned i = 0; i <= c->more_count && c->mode != XDP_MODE_SOCKETS; i++)
		printf("counters  %s\n", config_of(c, i)->pin_dir);
	printf("user      %s\n", c->no_sandbox ? "this one, without a sandbox"
				 : sandbox_changes_user()
					 ? c->user ? c->user : sandbox_default_user()
					 : "this one");
}

static void print_findings(const struct server_config *c, const struct iface_facts *facts)
{
	struct iface_finding findings[IFACE_FINDINGS_MAX];
	unsigned count = iface_check(facts, findings);

	for (unsigned i = 0; i < count; i++)
		printf("finding   %s%s%s: %s%s%s\n", c->more_count ? c->iface : "",
			c->more_count ? " " : "", findings[i].topic, findings[i].text,
			findings[i].cure[0] ? "; " : "", findings[i].cure);
}

/* What the start of one interface would fail with. */
static int try_interface(const struct server_config *c, unsigned ingress, unsigned *queues)
{
	struct xsk_queues counted;
	struct frame_io *io;
	int status;

	if (c->mode == XDP_MODE_SOCKETS) {
		status = kernel_sockets_open(&io, c, ingress, 0, -1);
		if (!status)
			io->ops->close(io);
		return status;
	}
	if ((status = server_check_queues(c, &counted, queues)) || (status = try_pins(c)))
		return status;
	return try_filter(c, *queues);
}

int serve_check_report(
	const struct serve_options *o, const struct iface_facts facts[INTERFACES_MAX])
{
	const struct server_config *c = &o->server;
	unsigned queues[INTERFACES_MAX] = {};
	char rules[PATH_MAX + 128];
	int status;

	if ((status = server_register_outputs(c)) ||
		(status = guards_check(c, rules, sizeof(rules))) || (status = try_control(c)))
		return status;
	for (unsigned i = 0; i <= c->more_count && !status; i++)
		status = try_interface(config_of(c, i), i, &queues[i]);
	if (status || (status = try_capture(c)) || (status = server_check_bridges(c)))
		return status;
	for (unsigned i = 0; i <= c->more_count; i++)
		print_interface(config_of(c, i), queues[i]);
	print_plan(c, rules);
	for (unsigned i = 0; i <= c->more_count && c->mode != XDP_MODE_SOCKETS; i++)
		print_findings(config_of(c, i), &facts[i]);
	puts("nothing was attached");
	if (fflush(stdout) || ferror(stdout))
		log_fail_output();
	return EXIT_CLEAN;
}
