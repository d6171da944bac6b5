/* SPDX-License-Identifier: MIT */
/* What the server writes: capture, histories, standard output; and what is removed at the end. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "privsep/monitor.h"
#include "server/internal.h"
#include "services/service_spec.h"

/* ---- which files ---------------------------------------------------------------------- */

static int register_output(const char *path)
{
	if (!monitor_register(path))
		return EXIT_CLEAN;
	if (errno == EEXIST) {
		log_line("%s: two outputs are the same file; give each a file of its own", path);
		return EXIT_USAGE;
	}
	log_line("%s: %s; %s", path, strerror(errno),
		errno == EPERM ? SERVER_UNTRUSTED_ADVICE : "use a shorter path");
	return EXIT_RUNTIME;
}

int server_register_outputs(const struct server *s)
{
	const struct server_config *c = s->config;
	int status = c->capture ? register_output(c->capture) : EXIT_CLEAN;

	for (unsigned i = 0; i < c->service_count && !status; i++) {
		const char *history = service_history(&c->services[i]);

		status = history ? register_output(history) : EXIT_CLEAN;
	}
	return status;
}

int server_seal_monitor(const struct server *s)
{
	char path[PIN_PATH_SIZE];
	int error = s->control ? monitor_remove_at_end(s->config->control) : 0;

	for (unsigned i = 0; !error && s->filter && filter_pin_path(s->filter, i, path); i++)
		error = monitor_remove_at_end(path);
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

int server_open_capture(struct server *s)
{
	char error[256];

	if (!s->config->capture)
		return EXIT_CLEAN;
	s->capture =
		capture_open(s->config->capture, open_capture_file, log_line, error, sizeof(error));
	if (s->capture)
		return EXIT_CLEAN;
	log_line("%s; %s", error,
		errno == EEXIST ? "what is there is no capture: remove it or use another --write"
				: "use another --write");
	return EXIT_RUNTIME;
}

/* ---- the others ----------------------------------------------------------------------- */

int server_open_outputs(struct server *s)
{
	const struct server_config *c = s->config;

	for (unsigned i = 0; i < c->service_count; i++) {
		const char *path = service_history(&c->services[i]);

		if (path && !(s->histories[i] = history_start(path, c->services[i].history_sync)))
			return server_start_failed("starting the history");
	}
	if (!c->quiet && !(s->printer = printer_start(c->services, c->service_count,
				   s->sockets.count, STDOUT_FILENO, c->log_format, c->print_rate)))
		return server_start_failed("starting the printer");
	return EXIT_CLEAN;
}
