/* SPDX-License-Identifier: MIT */
/* What the sandbox takes away, tried: each test enters it in a process of its own. */
#include "base/log.h" /* before cmocka, which has a macro called fail */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "netlink/resolver.h"
#include "privsep/sandbox.h"
#include "base/thread.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FILTERED false /* sanitizers make system calls of their own */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FILTERED false
#endif
#endif
#ifndef FILTERED
#define FILTERED true
#endif

/* In the child: ends it, unless this holds; the line says where. */
#define must(what)                                                    \
	do {                                                          \
		if (!(what))                                          \
			_exit(__LINE__ & 0xff ? __LINE__ & 0xff : 1); \
	} while (0)
#define refused(call) must((call) < 0 && errno == EPERM)
#define refused_map(protection)                                                                \
	must(mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && \
		errno == EPERM)

static void in_a_child(void (*run)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status))
		print_error("the child ended at line %d\n", WEXITSTATUS(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The same, where there is a sandbox to be had. */
static void in_a_sandboxed_child(void (*run)(void))
{
	if (prctl(PR_GET_SECCOMP) < 0) {
		print_message("no seccomp here: an emulator has none\n");
		skip();
	}
	in_a_child(run);
}

static void enter(void)
{
	char error[256];

	must(!sandbox_enter(NULL, true, error, sizeof(error)));
}

static int ask_for_queues(int socket)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq request = {.ifr_data = (char *)&channels};

	strcpy(request.ifr_name, "lo");
	return ioctl(socket, SIOCETHTOOL, &request);
}

static bool has(unsigned capability)
{
	/* In the sandbox the bounding set cannot be read: that is no failure here. */
	const int whole = capng_get_caps_process();

	(void)whole;
	return capng_have_capability(CAPNG_EFFECTIVE, capability);
}

/* ---- the process ---- */

static void run_process(void)
{
	char *const nothing[] = {"true", NULL};
	struct ifreq request = {.ifr_name = "lo"};
	void *memory;
	int fd;

	enter();
	must(geteuid() && geteuid() == getuid() && getegid() && getegid() == getgid());
	must(!has(CAP_NET_ADMIN) && !has(CAP_NET_RAW) && !has(CAP_SYS_ADMIN) && !has(CAP_SETUID));
	must(seteuid(0) < 0);
	must(open("/etc/shadow", O_RDONLY) < 0);
	fd = open("/etc/passwd", O_RDONLY);
	must(fd >= 0);
	if (!FILTERED)
		return;
	refused(execve("/bin/true", nothing, nothing));
	refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	refused(unshare(CLONE_NEWUSER));
	refused(fchmod(fd, 0666));
	refused(fork());
	refused(syscall(SYS_clone, CLONE_THREAD | CLONE_NEWUSER, NULL, NULL, NULL, 0));
	must(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
	refused(socket(AF_INET, SOCK_DGRAM, 0));
	refused(socket(AF_INET6, SOCK_DGRAM, 0));
	refused(socket(AF_PACKET, SOCK_RAW, 0));
	must(socket(AF_UNIX, SOCK_DGRAM, 0) >= 0);
	refused(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	refused(prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0));
	must(!prctl(PR_SET_NAME, "named"));
	refused(syscall(SYS_bpf, BPF_PROG_LOAD, NULL, 0));
	refused_map(PROT_READ | PROT_EXEC);
	refused_map(PROT_READ | PROT_WRITE | PROT_EXEC);
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(memory != MAP_FAILED);
	refused(mprotect(memory, 4096, PROT_READ | PROT_EXEC));
	fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	must(fd >= 0);
	refused(ioctl(fd, SIOCGIFFLAGS, &request));
	must(!ask_for_queues(fd) || errno == EOPNOTSUPP);
}

static void the_process_may_do_no_more_than_it_needs(void **state)
{
	in_a_sandboxed_child(run_process);
}

/* ---- its threads ---- */

static int ends[2]; /* of a pair of sockets */

static void *run_thread(void *ended)
{
	must(!has(CAP_NET_ADMIN));
	must(socket(AF_UNIX, SOCK_DGRAM, 0) >= 0);
	*(bool *)ended = true;
	return NULL;
}

static void *run_worker(void *ended)
{
	char byte = 'x';

	must(!has(CAP_NET_ADMIN));
	sandbox_enter_data_path();
	if (FILTERED) {
		refused(socket(AF_INET, SOCK_DGRAM, 0));
		refused(open("/etc/passwd", O_RDONLY));
		refused(ask_for_queues(ends[0]));
		refused(unlink("/nonexistent"));
		refused(fcntl(ends[0], F_GETFL));
		refused_map(PROT_READ | PROT_EXEC);
	}
	must(sendto(ends[0], &byte, 1, 0, NULL, 0) == 1);
	must(recvfrom(ends[1], &byte, 1, MSG_DONTWAIT, NULL, NULL) == 1);
	*(bool *)ended = true;
	return NULL;
}

static void run_threads(void)
{
	pthread_t thread;
	bool ended = false;

	must(!socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
	enter();
	must(!thread_start(&thread, "beside", run_thread, &ended));
	pthread_join(thread, NULL);
	must(ended);
	ended = false;
	must(!thread_start(&thread, "worker", run_worker, &ended));
	pthread_join(thread, NULL);
	must(ended);
	/* What a worker gave up is still there for the others. */
	must(socket(AF_UNIX, SOCK_DGRAM, 0) >= 0);
}

static void its_threads_may_do_less(void **state)
{
	in_a_sandboxed_child(run_threads);
}

static void run_outside(void)
{
	char *const nothing[] = {"true", NULL};

	sandbox_enter_data_path();
	must(has(CAP_SYS_ADMIN));
	execve("/bin/true", nothing, nothing);
	must(false);
}

static void without_a_sandbox_nothing_is_taken(void **state)
{
	in_a_child(run_outside);
}

/* ---- the monitor ---- */

static void run_monitor(void)
{
	char *const nothing[] = {"true", NULL};
	char path[] = "/tmp/udpxdp-sandbox-XXXXXX";
	int fd = mkstemp(path);

	must(fd >= 0);
	must(!fchown(fd, 1, 1) &&
		!fchmod(fd, 0600)); /* somebody else's, who shares it with nobody */
	sandbox_enter_monitor(false);
	must(openat(AT_FDCWD, path, O_RDWR) >= 0);
	must(!unlinkat(AT_FDCWD, path, 0));
	if (!FILTERED)
		return;
	refused(execve("/bin/true", nothing, nothing));
	refused(socket(AF_INET, SOCK_DGRAM, 0));
	refused(fchmod(fd, 0666));
	refused(setuid(1));
}

static void run_resolver(void)
{
	const struct udpxdp_addr addr = udpxdp_addr_ipv4(127, 0, 0, 9);

	must(!resolver_open());
	sandbox_enter_monitor(true);
	must(has(CAP_NET_ADMIN) && !has(CAP_SYS_ADMIN) && !has(CAP_NET_RAW));
	must(!resolver_use(1, &addr) || errno != EPERM);
	must(resolver_use(999999, &addr) < 0 && errno == ENODEV);
	if (FILTERED)
		refused(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
}

static void the_monitor_may_have_neighbours_found(void **state)
{
	in_a_sandboxed_child(run_resolver);
}

static void the_monitor_may_open_and_remove_and_no_more(void **state)
{
	in_a_child(run_monitor);
}

/* ---- users ---- */

static void which_users_it_may_become(void **state)
{
	char error[256];

	assert_int_equal(sandbox_check_user(NULL, error, sizeof(error)), EXIT_CLEAN);
	assert_int_equal(sandbox_check_user("daemon", error, sizeof(error)), EXIT_CLEAN);
	assert_int_equal(sandbox_check_user("nosuch", error, sizeof(error)), EXIT_USAGE);
	assert_non_null(strstr(error, "user nosuch: no such user"));
	assert_int_equal(sandbox_check_user("root", error, sizeof(error)), EXIT_USAGE);
	assert_non_null(strstr(error, "uid 0"));
	assert_int_equal(sandbox_check_user("0", error, sizeof(error)), EXIT_USAGE);
	assert_int_equal(sandbox_check_user("1", error, sizeof(error)), EXIT_CLEAN);
	assert_int_equal(sandbox_check_user("54321", error, sizeof(error)), EXIT_CLEAN);
	assert_int_equal(sandbox_check_user("4294967295", error, sizeof(error)), EXIT_USAGE);
	assert_int_equal(sandbox_check_user("12x", error, sizeof(error)), EXIT_USAGE);
}

static void run_as_number(void)
{
	char error[256], path[] = "/tmp/udpxdp-sandbox-XXXXXX";
	struct stat made;
	int fd;

	must(!sandbox_enter("54321", true, error, sizeof(error)));
	must(getuid() == 54321 && geteuid() == 54321);
	fd = mkstemp(path);
	must(fd >= 0 && !unlink(path));
	must(!fstat(fd, &made) && made.st_uid == 54321 && made.st_gid == 54321);
}

static void a_number_needs_no_entry(void **state)
{
	in_a_sandboxed_child(run_as_number);
}

static void run_as_daemon(void)
{
	char error[256];

	must(!setgid(1) && !setuid(1));
	must(!sandbox_changes_user());
	must(sandbox_check_user(NULL, error, sizeof(error)) == EXIT_CLEAN);
	must(sandbox_check_user("daemon", error, sizeof(error)) == EXIT_CLEAN);
	must(sandbox_check_user("root", error, sizeof(error)) == EXIT_PERMISSION);
	must(strstr(error, "CAP_SETUID"));
	sandbox_missing(error, sizeof(error));
	must(!strcmp(error, "CAP_NET_ADMIN, CAP_BPF, CAP_NET_RAW"));
}

static void a_plain_user_stays_one(void **state)
{
	in_a_child(run_as_daemon);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_process_may_do_no_more_than_it_needs),
		cmocka_unit_test(its_threads_may_do_less),
		cmocka_unit_test(without_a_sandbox_nothing_is_taken),
		cmocka_unit_test(the_monitor_may_open_and_remove_and_no_more),
		cmocka_unit_test(the_monitor_may_have_neighbours_found),
		cmocka_unit_test(which_users_it_may_become),
		cmocka_unit_test(a_number_needs_no_entry),
		cmocka_unit_test(a_plain_user_stays_one),
	};

	if (geteuid()) {
		printf("1..1\nok 1 - the sandbox # SKIP only root has privileges to give up\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
