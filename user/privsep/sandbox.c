/* SPDX-License-Identifier: MIT */
#include "privsep/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/sockios.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/log.h"
#include "base/parse.h"
#include "base/thread.h"
#include "privsep/root.h"

#define OWN_USER "udpxdp" /* which the package makes */
#define DEFAULT_USER "nobody"
#define DEFAULT_UID 65534 /* where there is no such user either */

static bool entered;

static bool have(unsigned capability)
{
	return !capng_get_caps_process() && capng_have_capability(CAPNG_EFFECTIVE, capability);
}

void sandbox_missing(char *text, size_t size)
{
	static const struct {
		unsigned capability;
		const char *name;
	} needed[] = {
		{CAP_NET_ADMIN, "CAP_NET_ADMIN"},
		{CAP_BPF, "CAP_BPF"},
		{CAP_NET_RAW, "CAP_NET_RAW"},
	};

	text[0] = '\0';
	for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (have(needed[i].capability))
			continue;
		/* What CAP_SYS_ADMIN implies (capabilities(7)). */
		if (needed[i].capability == CAP_BPF && have(CAP_SYS_ADMIN))
			continue;
		snprintf(text + strlen(text), size - strlen(text), "%s%s", text[0] ? ", " : "",
			needed[i].name);
	}
}

bool sandbox_has_perfmon(void)
{
	return have(CAP_PERFMON) || have(CAP_SYS_ADMIN);
}

bool sandbox_changes_user(void)
{
	return root_is_ours() && have(CAP_SETUID) && have(CAP_SETGID);
}

const char *sandbox_default_user(void)
{
	return getpwnam(OWN_USER) ? OWN_USER : DEFAULT_USER;
}

/* A name, or a number, which needs no entry in passwd(5): its group has the same number then.
 * user is NULL when it is left to us. */
static bool find_user(const char *user, uid_t *uid, gid_t *gid)
{
	const struct passwd *p = getpwnam(user ? user : sandbox_default_user());
	uint64_t number = DEFAULT_UID;

	if (!p && user && !parse_uint(user, 0, UINT32_MAX - 1, &number))
		return false;
	if (!p) {
		*uid = *gid = (uid_t)number;
		p = user ? getpwuid(*uid) : NULL;
	}
	if (p) {
		*uid = p->pw_uid;
		*gid = p->pw_gid;
	}
	return true;
}

int sandbox_check_user(const char *user, char *error, size_t size)
{
	uid_t uid;
	gid_t gid;

	if (!user && !sandbox_changes_user())
		return EXIT_CLEAN;
	if (!find_user(user, &uid, &gid)) {
		snprintf(error, size, "user %s: no such user; use another --user", user);
		return EXIT_USAGE;
	}
	if (!sandbox_changes_user() && uid != geteuid()) {
		snprintf(error, size,
			"user %s: CAP_SETUID or CAP_SETGID missing; run as root or omit --user",
			user);
		return EXIT_PERMISSION;
	}
	if (user && !uid) {
		snprintf(error, size,
			"user %s: uid 0 keeps root privileges; use another --user, or --no-sandbox",
			user);
		return EXIT_USAGE;
	}
	return EXIT_CLEAN;
}

/* Before 5.19 updating a map by its descriptor needs CAP_BPF where unprivileged bpf() is off. */
static bool map_updates_need_cap_bpf(void)
{
	struct utsname u;
	unsigned major, minor;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return true;
	return major < 5 || (major == 5 && minor < 19);
}

static int reduce_capabilities(const char *user, bool xdp, char *error, size_t size)
{
	const capng_type_t both = CAPNG_EFFECTIVE | CAPNG_PERMITTED;
	const bool changes_user = sandbox_changes_user();
	const bool bounds = have(CAP_SETPCAP); /* no_new_privs would do alone */
	uid_t uid;
	gid_t gid;
	int result;

	capng_clear(CAPNG_SELECT_ALL);
	if (xdp && map_updates_need_cap_bpf())
		capng_update(CAPNG_ADD, both, CAP_BPF);
	if (!changes_user) {
		result = capng_apply(bounds ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
	} else {
		if (!find_user(user, &uid, &gid)) {
			snprintf(error, size, "user %s: no such user", user);
			return -1;
		}
		result = capng_change_id((int)uid, (int)gid,
			CAPNG_DROP_SUPP_GRP | (bounds ? CAPNG_CLEAR_BOUNDING : 0));
	}
	if (result) {
		snprintf(error, size, "dropping capabilities: libcap-ng error %d", result);
		return -1;
	}
	return 0;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BUILT_WITH_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BUILT_WITH_SANITIZER 1
#endif
#endif
#ifndef BUILT_WITH_SANITIZER
#define BUILT_WITH_SANITIZER 0
#endif

/* What the process needs while it serves, whatever the arguments; see process_rules, too. Whatever
 * is in neither fails with EPERM: execve, ptrace, mount, modules, new namespaces. */
static const char *const process_calls[] = {"accept4", "bind", "brk", "capget", "capset",
	"clock_gettime", "clock_nanosleep", "close", "connect", "dup", "epoll_create1", "epoll_ctl",
	"epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd2", "exit", "exit_group", "fallocate",
	"fcntl", "fdatasync", "flock", "fstat", "fstatfs", "fsync", "ftruncate", "futex",
	"getdents64", "geteuid", "getpid", "getrandom", "getsockname", "getsockopt", "gettid",
	"gettimeofday", "getuid", "lseek", "madvise", "membarrier", "mremap", "munmap", "nanosleep",
	"newfstatat", "open", "openat", "poll", "ppoll", "pread64", "prlimit64", "pwrite64", "read",
	"readlinkat", "readv", "recvfrom", "recvmmsg", "recvmsg", "restart_syscall", "rmdir",
	"rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait",
	"sched_getaffinity", "sched_setaffinity", "sched_yield", "seccomp", "sendmmsg", "sendmsg",
	"sendto", "set_robust_list", "setsockopt", "shutdown", "sigaltstack", "signalfd4", "stat",
	"statx", "sysinfo", "tgkill", "timerfd_create", "timerfd_settime", "uname", "unlink",
	"unlinkat", "wait4", "waitid", "write", "writev", NULL};

/* What the monitor needs: to hear a request, to open or remove a file, to speak with rtnetlink, to
 * answer. */
static const char *const monitor_calls[] = {"close", "exit", "exit_group", "fstat", "fstatat64",
	"geteuid", "getuid", "newfstatat", "openat", "readlinkat", "recvfrom", "recvmsg",
	"restart_syscall", "rt_sigreturn", "sendmsg", "sendto", "statx", "unlinkat", NULL};

/* What a data-path thread does: its socket and doorbells; the capture file, which takes back half a
 * record, or is closed when it is a pipe that nobody reads; locks; the clock where the vdso has
 * none, and a nap in which datagrams gather; an end, by its own will or by abort(). */
static const char *const data_path_calls[] = {"sendto", "recvfrom", "sendmmsg", "recvmmsg",
	"epoll_wait", "epoll_pwait", "poll", "ppoll", "read", "write", "restart_syscall", "lseek",
	"ftruncate", "close", "futex", "clock_gettime", "nanosleep", "clock_nanosleep", "madvise",
	"munmap", "rt_sigprocmask", "exit", "exit_group", "getpid", "gettid", "tgkill",
	"rt_sigreturn", NULL};

/* A call that is allowed when an argument, under the mask, has this value. */
struct argument_rule {
	const char *call;
	unsigned argument;
	uint64_t mask, value;
};

#define ALL UINT64_MAX
#define NEW_NAMESPACES                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
		CLONE_NEWPID | CLONE_NEWNET)
#ifdef __s390__
#define CLONE_FLAGS_ARGUMENT 1
#else
#define CLONE_FLAGS_ARGUMENT 0
#endif

/* Threads, but no processes; nothing that can be executed; rtnetlink and the service manager's
 * socket, but nothing that speaks with the network. */
static const struct argument_rule process_rules[] = {
	{"clone", CLONE_FLAGS_ARGUMENT, CLONE_THREAD | NEW_NAMESPACES, CLONE_THREAD},
	{"mmap", 2, PROT_EXEC, 0},
	{"mprotect", 2, PROT_EXEC, 0},
	{"socket", 0, ALL, AF_UNIX},
	{"socket", 0, ALL, AF_NETLINK},
	{"ioctl", 1, ALL, SIOCETHTOOL},
	{"bpf", 0, ALL, BPF_MAP_LOOKUP_ELEM},
	{"bpf", 0, ALL, BPF_MAP_UPDATE_ELEM},
	{"bpf", 0, ALL, BPF_MAP_DELETE_ELEM},
	{"bpf", 0, ALL, BPF_MAP_GET_NEXT_KEY},
	{"bpf", 0, ALL, BPF_OBJ_GET_INFO_BY_FD},
	{"prctl", 0, ALL, PR_SET_NAME},
	{"prctl", 0, ALL, PR_SET_TIMERSLACK},
	{"prctl", 0, ALL, PR_SET_NO_NEW_PRIVS}, /* libseccomp's and libcap-ng's, for a thread */
	{"prctl", 0, ALL, PR_SET_SECCOMP},
	{"prctl", 0, ALL, PR_CAPBSET_READ},
	{"prctl", 0, ALL, PR_CAP_AMBIENT},
	{"prctl", 0, ALL, PR_GET_SECUREBITS},
	{},
};

/* Of a server on kernel sockets: by which address a peer is reached, an unsent datagram tells. */
static const struct argument_rule sockets_rules[] = {
	{"socket", 0, ALL, AF_INET},
	{"socket", 0, ALL, AF_INET6},
	{},
};

static const struct argument_rule no_rules[] = {{}};

static bool connections;

void sandbox_allow_connections(void)
{
	connections = true;
}

static int allow_calls(scmp_filter_ctx filter, const char *const calls[])
{
	int error = 0;

	for (int i = 0; calls[i] && !error; i++) {
		int number = seccomp_syscall_resolve_name(calls[i]);

		/* Not every architecture has every call. */
		if (number != __NR_SCMP_ERROR)
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
		if (error == -EDOM || error == -EINVAL)
			error = 0;
	}
	return error;
}

static int allow_arguments(scmp_filter_ctx filter, const struct argument_rule *rules)
{
	int error = 0;

	for (; rules->call && !error; rules++) {
		const struct scmp_arg_cmp argument = {
			.arg = rules->argument,
			.op = SCMP_CMP_MASKED_EQ,
			.datum_a = rules->mask,
			.datum_b = rules->value,
		};

		error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW,
			seccomp_syscall_resolve_name(rules->call), 1, &argument);
	}
	return error;
}

static int allow_only(const char *const calls[], const struct argument_rule *rules,
	const struct argument_rule *more)
{
	scmp_filter_ctx filter;
	int error;

	if (BUILT_WITH_SANITIZER)
		return 0; /* its runtime makes calls of its own */
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	error = filter ? allow_calls(filter, calls) : -ENOMEM;
	if (!error)
		error = allow_arguments(filter, rules);
	if (!error)
		error = allow_arguments(filter, more);
	/* What it asks for lies in memory, where no filter looks; without it libc takes clone(). */
	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}

/* Who cannot give up what it should not have ends: it would go on with it otherwise. */
static void apply_or_end(capng_select_t which)
{
	int result = capng_apply(which);

	if (!result)
		return;
	log_line("dropping capabilities failed: libcap-ng error %d; report this", result);
	_exit(EXIT_RUNTIME);
}

/* Capabilities are a thread's own; libcap-ng's state is too. */
static void drop_thread_capabilities(void)
{
	capng_clear(CAPNG_SELECT_CAPS);
	apply_or_end(CAPNG_SELECT_CAPS);
}

int sandbox_enter(const char *user, bool xdp, char *error, size_t size)
{
	int result;

	if (reduce_capabilities(user, xdp, error, size) < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		snprintf(error, size, "no_new_privs: %s", strerror(errno));
		return -1;
	}
	result = allow_only(
		process_calls, process_rules, xdp && !connections ? no_rules : sockets_rules);
	if (result) {
		snprintf(error, size, "seccomp: %s", strerror(-result));
		return -1;
	}
	entered = true;
	thread_on_start(drop_thread_capabilities);
	return 0;
}

void sandbox_enter_data_path(void)
{
	int result = entered ? allow_only(data_path_calls, no_rules, no_rules) : 0;

	if (result)
		log_line("the workers have no seccomp filter of their own: %s; see seccomp(2)",
			strerror(-result));
}

void sandbox_enter_monitor(bool resolves)
{
	const bool bounds = have(CAP_SETPCAP), overrides = have(CAP_DAC_OVERRIDE);

	resolves &= have(CAP_NET_ADMIN);
	capng_clear(CAPNG_SELECT_ALL);
	if (resolves)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN);
	if (overrides)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_DAC_OVERRIDE);
	apply_or_end(bounds ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	allow_only(monitor_calls, no_rules, no_rules);
}

/* No list of system calls: what libxdp makes is its own business, and nobody talks to this
 * process. CAP_SYS_ADMIN finds programs by their ids, the others load what remains anew. */
void sandbox_enter_detach_helper(void)
{
	const capng_type_t both = CAPNG_EFFECTIVE | CAPNG_PERMITTED;
	const bool bounds = have(CAP_SETPCAP);

	capng_clear(CAPNG_SELECT_ALL);
	capng_updatev(CAPNG_ADD, both, CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON, -1);
	apply_or_end(bounds ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
