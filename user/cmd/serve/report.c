/* SPDX-License-Identifier: MIT */
/* serve --check: what the start would fail with, tried without a trace; and what it would do. */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/serve/check.h"
#include "privsep/sandbox.h"
#include "services/service_spec.h"
#include "xdp/counters.h"

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

/* Does a server answer at this control socket? */
static bool is_answered(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool answered;

	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	answered = !connect(probe, (struct sockaddr *)&addr, sizeof(addr)) || errno == EAGAIN ||
		   errno == EPROTOTYPE;
	close(probe);
	return answered;
}

static int try_control(const struct server_config *c)
{
	int error = 0;

	if (strlen(c->control) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		error = ENAMETOOLONG;
	} else if (is_answered(c->control)) {
		log_line("%s is in use: another udpxdp answers there; stop it or give another "
			 "--control",
			c->control);
		return EXIT_BUSY;
	} else if (c->control_asked) {
		error = try_file(c->control);
	}
	if (!error)
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
		.limit_interval = c->limit_interval,
		.limit_burst = c->limit_burst,
		.rules = c->rule_count != 0,
		.default_deny = c->default_deny,
	};
	char error[256];
	struct filter *filter = filter_load(&settings, error, sizeof(error));

	if (filter) {
		filter_close(filter);
		return EXIT_CLEAN;
	}
	log_line("loading the filter failed: %s; see udpxdp -vv for the kernel's reasons", error);
	return errno == EPERM || errno == EACCES ? EXIT_PERMISSION : EXIT_INTERFACE;
}

static int try_capture(const struct server_config *c)
{
	int error = c->capture ? try_file(c->capture) : 0;

	if (!error)
		return EXIT_CLEAN;
	log_line("writing a capture failed: %s: %s; give another --write", c->capture,
		strerror(error));
	return EXIT_RUNTIME;
}

/* Does this finding keep the interface from being served in this mode? */
static bool prevents(const struct iface_finding *finding, enum xdp_mode mode)
{
	bool native = mode == XDP_MODE_ZEROCOPY || mode == XDP_MODE_COPY;

	if (!strcmp(finding->topic, "zerocopy")) /* with a cure: it has, but may fail */
		return mode == XDP_MODE_ZEROCOPY && !finding->cure[0];
	if (finding->severity != IFACE_BROKEN || !strcmp(finding->topic, "link") ||
		!strcmp(finding->topic, "xdp"))
		return false; /* it comes up later; the dispatcher has room for others */
	return native || !strcmp(finding->topic, "mtu") || !strcmp(finding->topic, "kernel");
}

static int try_mode(
	const struct server_config *c, const struct iface_finding *findings, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (!prevents(&findings[i], c->mode))
			continue;
		log_line("interface %s cannot be served in mode %s: %s; %s", c->iface,
			xdp_mode_name(c->mode), findings[i].text,
			findings[i].cure[0] ? findings[i].cure : "give another --mode");
		return EXIT_INTERFACE;
	}
	return EXIT_CLEAN;
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
		printf("capture   %s\n", c->capture);
}

static void print_plan(const struct server_config *c, unsigned queues,
	const struct iface_finding *findings, unsigned count)
{
	char services[MAX_SERVICES * (UDPXDP_NAME_SIZE + 7)];
	unsigned last = c->last_queue < queues ? c->last_queue : queues - 1;

	services_text(c->services, c->service_count, services, sizeof(services));
	printf("interface %s, queues %u to %u, mode %s, attached %s\n", c->iface, c->first_queue,
		last, xdp_mode_name(c->mode), c->dispatcher ? "through the dispatcher" : "alone");
	printf("services  %s\n", services);
	if (c->cpu_count)
		print_cpus(c);
	if (c->limit_interval)
		printf("limit     %llu datagrams a second, %llu at once\n",
			NSEC_PER_SEC / c->limit_interval, c->limit_burst / c->limit_interval + 1);
	if (c->rule_count)
		printf("rules     %u of --allow and --deny; others are %s\n", c->rule_count,
			c->default_deny ? "dropped" : "served");
	print_files(c);
	printf("control   %s\ncounters  %s\nuser      %s\n", c->control, c->pin_dir,
		c->no_sandbox            ? "this one, without a sandbox"
		: sandbox_changes_user() ? c->user ? c->user : "nobody"
					 : "this one");
	for (unsigned i = 0; i < count; i++)
		printf("finding   %s: %s%s%s\n", findings[i].topic, findings[i].text,
			findings[i].cure[0] ? "; " : "", findings[i].cure);
	puts("nothing was attached");
}

int serve_check_report(const struct serve_options *o, const struct iface_facts *facts)
{
	const struct server_config *c = &o->server;
	struct iface_finding findings[IFACE_FINDINGS_MAX];
	struct xsk_queues counted;
	unsigned queues, count = iface_check(facts, findings);
	int status;

	if ((status = server_check_queues(c, &counted, &queues)) ||
		(status = try_mode(c, findings, count)) || (status = try_control(c)) ||
		(status = try_pins(c)) || (status = try_filter(c, queues)) ||
		(status = try_capture(c)))
		return status;
	print_plan(c, queues, findings, count);
	if (fflush(stdout) || ferror(stdout))
		log_fail_output();
	return EXIT_CLEAN;
}
