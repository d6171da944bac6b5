/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

static void (*enter)(void);

struct start {
	void *(*run)(void *arg);
	void *arg;
};

static void *run_entered(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	if (enter)
		enter();
	return start.run(start.arg);
}

void thread_on_start(void (*call)(void))
{
	enter = call;
}

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *arg), void *arg)
{
	struct start *start = malloc(sizeof(*start));
	sigset_t all, before;
	int error;

	if (!start)
		return ENOMEM;
	*start = (struct start){.run = run, .arg = arg};

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(thread, NULL, run_entered, start);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		free(start);
	else
		pthread_setname_np(*thread, name);
	return error;
}

void thread_sleep_ms(unsigned ms)
{
	struct timespec time = clock_timespec((uint64_t)ms * NSEC_PER_MSEC);

	nanosleep(&time, NULL);
}

unsigned thread_nap(unsigned last_ms, bool busy, unsigned max_ms)
{
	unsigned ms = busy ? 1 : 2 * last_ms;

	if (ms > max_ms)
		ms = max_ms;
	thread_sleep_ms(ms);
	return ms;
}
