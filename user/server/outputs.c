/* SPDX-License-Identifier: MIT */
/* What the server writes: capture, histories, standard output; and what is removed at the end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "output/bridge/bridge.h"
#include "privsep/monitor.h"
#include "privsep/sandbox.h"
#include "server/internal.h"
#include "server/interfaces/interfaces.h"
#include "services/service_spec.h"

#define PLACE_PATH_SIZE (UDPXDP_PATH_SIZE + 8)

/* ---- which files ---------------------------------------------------------------------- */

static int register_output(const char *path)
{
	if (!monitor_register(path))
		return EXIT_CLEAN;
	if (errno == EEXIST) {
		log_line("%s: another output is the same file; use a different file", path);
		return EXIT_USAGE;
	}
	log_line("%s: %s; %s", path, strerror(errno),
		errno == EPERM ? SERVER_UNTRUSTED_ADVICE : "use a shorter path");
	return EXIT_RUNTIME;
}

/* Beside the history of a room that spans hosts stands what it has of the room; false: it does not
 * span any, or keeps none. */
static bool place_path(const struct service_config *service, char path[PLACE_PATH_SIZE])
{
	const char *history = service_history(service);

	if (!history || !*service->room.servers)
		return false;
	snprintf(path, PLACE_PATH_SIZE, "%s.room", history);
	return true;
}

bool server_captures_to_stdout(const struct server_config *c)
{
	return c->capture && !strcmp(c->capture, "-");
}

int server_register_outputs(const struct server_config *c)
{
	char place[PLACE_PATH_SIZE];
	int status = c->capture && !server_captures_to_stdout(c) ? register_output(c->capture)
								 : EXIT_CLEAN;

	for (unsigned i = 0; i < c->service_count && !status; i++) {
		const char *history = service_history(&c->services[i]);

		status = history ? register_output(history) : EXIT_CLEAN;
		if (!status && history && place_path(&c->services[i], place))
			status = register_output(place);
	}
	return status;
}

int server_seal_monitor(struct server *s)
{
	char path[PIN_PATH_SIZE];
	int error = s->control ? monitor_remove_at_end(s->config->control) : 0;

	for (unsigned n = 0; n <= s->more_count; n++) {
		const struct filter *filter = server_interface(s, n)->filter;

		for (unsigned i = 0; !error && filter && filter_pin_path(filter, i, path); i++)
			error = monitor_remove_at_end(path);
	}
	monitor_seal();
	return error;
}

/* ---- the capture ---------------------------------------------------------------------- */

static bool is_pcap_magic(uint32_t magic)
{
	return magic == 0xa1b23c4d || magic == 0xa1b2c3d4;
}

/* What is no capture was not ours, and is not emptied. */
static bool may_be_emptied(const char *path, int fd)
{
	struct stat file, read_file;
	uint32_t magic = 0;
	bool may = false;
	int reader;

	if (fstat(fd, &file) || !S_ISREG(file.st_mode) || !file.st_size)
		return true;
	reader = monitor_open(path, O_RDONLY | O_NONBLOCK);
	if (reader < 0)
		return false;
	may = !fstat(reader, &read_file) && read_file.st_ino == file.st_ino &&
	      read_file.st_dev == file.st_dev &&
	      read(reader, &magic, sizeof(magic)) == sizeof(magic) &&
	      (is_pcap_magic(magic) || is_pcap_magic(__builtin_bswap32(magic)));
	close(reader);
	return may;
}

/* As monitor_open(), but EEXIST for a file that is no capture. */
static int open_capture_file(const char *path, int flags)
{
	int fd = monitor_open(path, flags);

	if (fd < 0 || may_be_emptied(path, fd))
		return fd;
	close(fd);
	errno = EEXIST;
	return -1;
}

int server_check_capture(const struct server_config *c)
{
	int fd = open_capture_file(c->capture, O_RDONLY | O_NONBLOCK);

	if (fd < 0)
		return errno == ENOENT ? 0 : errno; /* it will be made */
	close(fd);
	return 0;
}

int server_open_capture(struct server *s)
{
	const bool to_stdout = server_captures_to_stdout(s->config);
	char error[256];

	if (!s->config->capture)
		return EXIT_CLEAN;
	s->capture = capture_open(to_stdout ? "standard output" : s->config->capture,
		to_stdout ? NULL : open_capture_file, log_line, error, sizeof(error));
	if (s->capture)
		return EXIT_CLEAN;
	log_line("%s; %s", error,
		errno == EEXIST ? "it is not a capture: remove it or use another --write"
				: "use another --write");
	return EXIT_RUNTIME;
}

/* ---- the others ----------------------------------------------------------------------- */

/* Of a service that has a room. NULL: an error line was said. */
static struct bridge *prepare_bridge(const struct service_config *service, const char *hostname)
{
	char error[512];
	struct bridge *bridge = bridge_new(service, hostname, error, sizeof(error));

	if (!bridge)
		log_line("room %s: %s", service->room.name, error);
	return bridge;
}

int server_prepare_bridges(struct server *s)
{
	const struct server_config *c = s->config;

	for (unsigned i = 0; i < c->service_count; i++) {
		if (!*c->services[i].room.servers)
			continue;
		s->bridges[i] = prepare_bridge(&c->services[i], s->hostname);
		if (!s->bridges[i])
			return EXIT_RUNTIME;
		sandbox_allow_connections();
	}
	return EXIT_CLEAN;
}

int server_check_bridges(const struct server_config *c)
{
	for (unsigned i = 0; i < c->service_count; i++) {
		struct bridge *bridge;

		if (!*c->services[i].room.servers)
			continue;
		bridge = prepare_bridge(&c->services[i], "");
		if (!bridge)
			return EXIT_RUNTIME;
		bridge_stop(bridge);
	}
	return EXIT_CLEAN;
}

static int start_bridge(struct server *s, unsigned i)
{
	struct udpxdp_room_place place = {};
	char path[PLACE_PATH_SIZE];

	if (s->histories[i] && place_path(&s->config->services[i], path) &&
		history_keep_place(s->histories[i], path, &place) < 0)
		log_line("%s: %s; what the room says while this host is away will be missing in "
			 "the history",
			path, strerror(errno));
	return bridge_start(s->bridges[i], &place, s->sockets.doorbells[0]);
}

int server_open_outputs(struct server *s)
{
	const struct server_config *c = s->config;

	for (unsigned i = 0; i < c->service_count; i++) {
		const char *path = service_history(&c->services[i]);

		if (path && !(s->histories[i] = history_start(path, c->services[i].history_sync)))
			return server_start_failed("starting the history");
		if (s->bridges[i] && start_bridge(s, i) < 0)
			return server_start_failed("starting the room's bridge");
	}
	if (!c->quiet &&
		!(s->printer = printer_start(c->services, c->service_count, interfaces_workers(s),
			  STDOUT_FILENO, c->log_format, c->print_rate)))
		return server_start_failed("starting the printer");
	return EXIT_CLEAN;
}
