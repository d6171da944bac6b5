/* SPDX-License-Identifier: MIT */
#include "privsep/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/sockios.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"

#define DEFAULT_USER "nobody"

static bool entered;

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
	capng_get_caps_process();
	for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (capng_have_capability(CAPNG_EFFECTIVE, needed[i].capability))
			continue;
		/* What CAP_SYS_ADMIN implies (capabilities(7)). */
		if (needed[i].capability == CAP_BPF &&
			capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN))
			continue;
		snprintf(text + strlen(text), size - strlen(text), "%s%s", text[0] ? ", " : "",
			needed[i].name);
	}
}

static bool have(unsigned capability)
{
	capng_get_caps_process();
	return capng_have_capability(CAPNG_EFFECTIVE, capability);
}

bool sandbox_has_perfmon(void)
{
	return have(CAP_PERFMON) || have(CAP_SYS_ADMIN);
}

bool sandbox_changes_user(void)
{
	return geteuid() == 0 && have(CAP_SETUID) && have(CAP_SETGID);
}

int sandbox_check_user(const char *user, char *error, size_t size)
{
	const struct passwd *p;

	if (!user && !sandbox_changes_user())
		return EXIT_CLEAN;
	p = getpwnam(user ? user : DEFAULT_USER);
	if (!p) {
		snprintf(error, size, "there is no user %s; give another --user",
			user ? user : DEFAULT_USER);
		return EXIT_USAGE;
	}
	if (sandbox_changes_user() || p->pw_uid == geteuid())
		return EXIT_CLEAN;
	snprintf(error, size,
		"not permitted to become %s: CAP_SETUID or CAP_SETGID missing; run as "
		"root or leave --user out",
		user);
	return EXIT_PERMISSION;
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

static int reduce_capabilities(const char *user, bool keeps_net_admin, char *error, size_t size)
{
	const capng_type_t both = CAPNG_EFFECTIVE | CAPNG_PERMITTED;
	const bool changes_user = sandbox_changes_user();
	const bool bounds = have(CAP_SETPCAP); /* no_new_privs would do alone */
	const struct passwd *p;
	int result;

	capng_clear(CAPNG_SELECT_ALL);
	if (keeps_net_admin)
		capng_update(CAPNG_ADD, both, CAP_NET_ADMIN);
	if (keeps_net_admin && map_updates_need_cap_bpf())
		capng_update(CAPNG_ADD, both, CAP_BPF);
	if (!changes_user) {
		result = capng_apply(bounds ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
	} else {
		errno = 0;
		p = getpwnam(user ? user : DEFAULT_USER);
		if (!p) {
			snprintf(error, size, "there is no user %s", user ? user : DEFAULT_USER);
			return -1;
		}
		result = capng_change_id(p->pw_uid, p->pw_gid,
			CAPNG_DROP_SUPP_GRP | (bounds ? CAPNG_CLEAR_BOUNDING : 0));
	}
	if (result) {
		snprintf(error, size, "giving up capabilities: libcap-ng says %d", result);
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

/* What the process needs while it serves; whatever is not here fails with EPERM. No execve, no
 * ptrace, no mount, no modules, no new namespaces. */
static const char *const process_calls[] = {"accept4", "bind", "bpf", "brk", "capget", "capset",
	"clock_gettime", "clock_nanosleep", "clone", "clone3", "close", "connect", "dup",
	"epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd2",
	"exit", "exit_group", "fallocate", "fcntl", "fdatasync", "flock", "fstat", "fstatfs",
	"fsync", "ftruncate", "futex", "getdents64", "geteuid", "getpid", "getrandom",
	"getsockname", "getsockopt", "gettid", "gettimeofday", "getuid", "lseek", "madvise",
	"membarrier", "mmap", "mprotect", "mremap", "munmap", "nanosleep", "newfstatat", "open",
	"openat", "poll", "ppoll", "prctl", "pread64", "prlimit64", "pwrite64", "read", "readv",
	"recvfrom", "recvmmsg", "recvmsg", "restart_syscall", "rmdir", "rseq", "rt_sigaction",
	"rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sched_getaffinity",
	"sched_setaffinity", "sched_yield", "seccomp", "sendmsg", "sendto", "set_robust_list",
	"setsockopt", "shutdown", "sigaltstack", "signalfd4", "socket", "stat", "statx", "sysinfo",
	"tgkill", "timerfd_create", "timerfd_settime", "uname", "unlink", "unlinkat", "wait4",
	"sendmmsg", "waitid", "write", "writev", NULL};

/* What the monitor needs: to hear a request, to open or remove a file, to answer. */
static const char *const monitor_calls[] = {"close", "exit", "exit_group", "open", "openat",
	"recvfrom", "restart_syscall", "rmdir", "rt_sigreturn", "sendmsg", "unlink", "unlinkat",
	NULL};

/* What a data-path thread does: its sockets and doorbells; the capture file, which takes back half
 * a record and is closed where it cannot; locks; the clock where the vdso has none, and a nap in
 * which datagrams gather; an end, by its own will or by abort(). */
static const char *const data_path_calls[] = {"sendto", "recvfrom", "sendmmsg", "recvmmsg", "poll",
	"ppoll", "epoll_wait", "epoll_pwait", "read", "write", "restart_syscall", "ftruncate",
	"close", "futex", "clock_gettime", "nanosleep", "clock_nanosleep", "madvise", "munmap",
	"rt_sigprocmask", "exit", "exit_group", "getpid", "gettid", "tgkill", "rt_sigreturn", NULL};

static int allow_only(const char *const calls[])
{
#ifdef BUILT_WITH_SANITIZER
	return 0; /* its runtime makes calls of its own */
#else
	static const struct scmp_arg_cmp queue_count = {
		.arg = 1, .op = SCMP_CMP_EQ, .datum_a = SIOCETHTOOL};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int error = filter ? 0 : -ENOMEM;

	for (int i = 0; calls[i] && !error; i++) {
		int number = seccomp_syscall_resolve_name(calls[i]);

		/* Not every architecture has every call. */
		if (number != __NR_SCMP_ERROR)
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
		if (error == -EDOM || error == -EINVAL)
			error = 0;
	}
	if (!error && calls == process_calls)
		error = seccomp_rule_add_array(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, &queue_count);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
#endif
}

/* Capabilities are a thread's own; libcap-ng's state is too. */
static void drop_thread_capabilities(void)
{
	capng_clear(CAPNG_SELECT_CAPS);
	capng_apply(CAPNG_SELECT_CAPS);
}

int sandbox_enter(const char *user, bool keeps_net_admin, char *error, size_t size)
{
	int result;

	if (reduce_capabilities(user, keeps_net_admin, error, size) < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		snprintf(error, size, "no_new_privs: %s", strerror(errno));
		return -1;
	}
	result = allow_only(process_calls);
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
	int result = entered ? allow_only(data_path_calls) : 0;

	if (result)
		log_line("the data path keeps the system calls of the whole process: seccomp: %s",
			strerror(-result));
}

void sandbox_enter_monitor(void)
{
	const bool bounds = have(CAP_SETPCAP), overrides = have(CAP_DAC_OVERRIDE);

	capng_clear(CAPNG_SELECT_ALL);
	if (overrides)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_DAC_OVERRIDE);
	capng_apply(bounds ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	allow_only(monitor_calls);
}

/* No list of system calls: what libxdp makes is its own business, and nobody talks to this
 * process. CAP_SYS_ADMIN finds programs by their ids, the others load what remains anew. */
void sandbox_enter_detach_helper(void)
{
	const capng_type_t both = CAPNG_EFFECTIVE | CAPNG_PERMITTED;
	const bool bounds = have(CAP_SETPCAP);

	capng_clear(CAPNG_SELECT_ALL);
	capng_updatev(CAPNG_ADD, both, CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON, -1);
	capng_apply(bounds ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
