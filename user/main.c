/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/verbs.h"
#include "base/log.h"

static const struct verb *const verbs[] = {
	&serve_verb,
	&replay_verb,
	&client_verb,
	&broadcast_verb,
	&chat_verb,
	&stats_verb,
	&bench_verb,
	&check_verb,
	NULL,
};

static const char *const most_used[] = {"iface", "service"};

static const struct verb *verb_called(const char *name)
{
	for (size_t i = 0; verbs[i]; i++)
		if (!strcmp(verbs[i]->name, name))
			return verbs[i];
	return NULL;
}

static const struct verb *find_verb(const char *name)
{
	const struct verb *verb = verb_called(name);

	if (verb)
		return verb;
	if (if_nametoindex(name))
		log_fail(EXIT_USAGE, "verb '%s': unknown; to serve that interface, use -i %s", name,
			name);
	log_fail(EXIT_USAGE, "verb '%s': unknown; see udpxdp --help", name);
}

static int printed(void)
{
	if (fflush(stdout) || ferror(stdout))
		log_fail(EXIT_RUNTIME, "standard output: %m");
	return EXIT_CLEAN;
}

/* A screen; what serve takes besides is in its own --help. */
static int overview(void)
{
	puts("Usage: udpxdp [VERB] [OPTION...] [OPERAND...]\n"
	     "UDP services at driver speed over AF_XDP: echo, broadcast, chat.\n"
	     "\n"
	     "Verbs (none means serve; udpxdp VERB --help has its options):");
	for (size_t i = 0; verbs[i]; i++)
		options_print_text(
			verbs[i]->summary, printf("  %s %s", verbs[i]->name, verbs[i]->operands));
	puts("\nMost used with serve:");
	for (size_t i = 0; i < sizeof(most_used) / sizeof(most_used[0]); i++)
		options_print(&serve_verb, most_used[i]);
	puts("\n"
	     "  sudo udpxdp -i eth0                      echo, broadcast and chat on eth0\n"
	     "  sudo udpxdp -i eth0 -s echo:7,stamp=off  a plain echo on port 7");
	return printed();
}

static int help(int argc, char **argv)
{
	if (argc < 2)
		return overview();
	if (argc > 2)
		log_fail(EXIT_USAGE, "operand '%s': unexpected argument; see udpxdp --help",
			argv[2]);
	if (verb_called(argv[1]) || !service_help_of(argv[1]))
		options_help(find_verb(argv[1]));
	return printed();
}

/*
 * A standard file that was closed before we began would become the first file that is opened,
 * and get the messages. Opened the wrong way round, its use fails as if it were closed.
 */
static void fill_standard_files(void)
{
	static const int wrong_way[] = {O_WRONLY, O_RDONLY, O_RDONLY};

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			open("/dev/null", wrong_way[fd]);
}

int main(int argc, char **argv)
{
	static char serve[] = "serve";
	const struct verb *verb;

	fill_standard_files();
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return overview();
	if (argc > 1 && !strcmp(argv[1], "help"))
		return help(argc - 1, argv + 1);
	if (argc > 1 && argv[1][0] != '-') {
		verb = find_verb(argv[1]);
		return verb->run(verb, argc - 1, argv + 1);
	}
	if (argc)
		argv[0] = serve;
	verb = find_verb(serve);
	return verb->run(verb, argc, argv);
}
