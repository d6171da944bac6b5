/* SPDX-License-Identifier: MIT */
#include "xdp/dispatcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "privsep/sandbox.h"

struct dispatched {
	struct xdp_program *program;
	pid_t detach_helper;
	int parent_pipe; /* the detach_helper sees it close */
};

/* Finds the first program in the dispatcher that is_it() says yes to, and detaches it if that is
 * asked. Returns its id; or 0, with an errno in *error unless there is just none. */
static unsigned search(int ifindex, bool (*is_it)(struct xdp_program *, const void *),
	const void *key, bool detach, int *error)
{
	struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *p = NULL;
	unsigned id = 0;

	*error = 0;
	if (libxdp_get_error(all)) {
		*error = -libxdp_get_error(all);
		return 0;
	}
	while (!xdp_multiprog__is_legacy(all) && (p = xdp_multiprog__next_prog(p, all))) {
		if (!is_it(p, key))
			continue;
		id = xdp_program__id(p);
		if (detach)
			*error = -xdp_program__detach(
				p, ifindex, xdp_multiprog__attach_mode(all), 0);
		break;
	}
	xdp_multiprog__close(all);
	return id;
}

static bool has_name(struct xdp_program *p, const void *name)
{
	return !strncmp(xdp_program__name(p), name, strlen(name));
}

static bool has_id(struct xdp_program *p, const void *id)
{
	return xdp_program__id(p) == *(const unsigned *)id;
}

unsigned dispatcher_find(int ifindex, const char *name)
{
	int error;

	return search(ifindex, has_name, name, false, &error);
}

int dispatcher_remove(int ifindex, unsigned id)
{
	int error;

	search(ifindex, has_id, &id, true, &error);
	errno = error;
	return error ? -1 : 0;
}

/* The process that stays behind. */
static void __attribute__((noreturn)) run_detach_helper(int parent_pipe, int ifindex, unsigned id)
{
	char nothing;

	prctl(PR_SET_NAME, "udpxdp/detach_helper");
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_IGN);
	/* What it inherited it must not keep open: sockets that would seem to be served. */
	if (dup2(parent_pipe, STDERR_FILENO + 1) < 0 || close_range(STDERR_FILENO + 2, ~0u, 0) < 0)
		_exit(1);
	sandbox_enter_detach_helper();
	while (read(STDERR_FILENO + 1, &nothing, 1) < 0 && errno == EINTR)
		;
	_exit(dispatcher_remove(ifindex, id) < 0);
}

static int start_detach_helper(struct dispatched *d, int ifindex)
{
	unsigned id = xdp_program__id(d->program);
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	d->detach_helper = fork();
	if (!d->detach_helper)
		run_detach_helper(ends[0], ifindex, id);
	close(ends[0]);
	if (d->detach_helper < 0) {
		close(ends[1]);
		return -1;
	}
	d->parent_pipe = ends[1];
	return 0;
}

/* libxdp falls back to attaching alone without a word; that is not what was asked for. */
static int attach(struct dispatched *d, int ifindex, enum xdp_attach_mode mode)
{
	struct xdp_multiprog *all;
	int error = -xdp_program__attach(d->program, ifindex, mode, 0);
	bool alone;

	if (!error) {
		all = xdp_multiprog__get_from_ifindex(ifindex);
		alone = libxdp_get_error(all) || xdp_multiprog__is_legacy(all);
		if (!libxdp_get_error(all))
			xdp_multiprog__close(all);
		if (alone)
			error = EOPNOTSUPP;
		else if (start_detach_helper(d, ifindex) < 0)
			error = errno;
		if (error)
			xdp_program__detach(d->program, ifindex, mode, 0);
	}
	errno = error;
	return error ? -1 : 0;
}

bool dispatcher_is_allowed(void)
{
	return libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_EXT, NULL) == 1;
}

struct dispatched *dispatcher_attach(
	struct bpf_object *object, const struct bpf_program *program, int ifindex, bool generic)
{
	DECLARE_LIBXDP_OPTS(
		xdp_program_opts, opts, .obj = object, .prog_name = bpf_program__name(program));
	struct dispatched *d = calloc(1, sizeof(*d));
	int saved;

	if (!d)
		return NULL;
	d->program = xdp_program__create(&opts);
	saved = -libxdp_get_error(d->program);
	if (!saved) {
		if (!attach(d, ifindex, generic ? XDP_MODE_SKB : XDP_MODE_NATIVE))
			return d;
		saved = errno;
		xdp_program__close(d->program);
	}
	free(d);
	errno = saved;
	return NULL;
}

void dispatcher_detach(struct dispatched *d)
{
	if (!d)
		return;
	close(d->parent_pipe);
	waitpid(d->detach_helper, NULL, 0);
	xdp_program__close(d->program);
	free(d);
}
