/* SPDX-License-Identifier: MIT */
/* What is needed of the outside before the sandbox closes: credentials, and the servers' names. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output/bridge/internal.h"

/* The text between two marks, without the white space around it; NULL: there is none. */
static char *between(const char *text, const char *begin, const char *end)
{
	const char *from = strstr(text, begin), *to;

	if (!from)
		return NULL;
	from += strlen(begin);
	from += strspn(from, "- \r\n");
	to = strstr(from, end);
	if (!to)
		return NULL;
	while (to > from && strchr("- \r\n", to[-1]))
		to--;
	return strndup(from, (size_t)(to - from));
}

int link_secrets_read(struct link_secrets *s, const char *path, char *error, size_t size)
{
	char text[8192];
	FILE *file = fopen(path, "re");
	size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	char *colon;

	if (!file || ferror(file)) {
		snprintf(error, size, "reading %s failed: %s; use another nats-creds=", path,
			strerror(errno));
		if (file)
			fclose(file);
		return -1;
	}
	fclose(file);
	text[len] = '\0';
	s->jwt = between(text, "BEGIN NATS USER JWT-----", "------END");
	s->seed = between(text, "BEGIN USER NKEY SEED-----", "------END");
	if (!s->jwt && !s->seed) {
		text[strcspn(text, "\r\n")] = '\0';
		colon = strchr(text, ':');
		s->token = colon ? NULL : strdup(text);
		s->user = colon ? strndup(text, (size_t)(colon - text)) : NULL;
		s->password = colon ? strdup(colon + 1) : NULL;
	}
	explicit_bzero(text, sizeof(text));
	if ((s->jwt && s->seed) || (s->user && *s->user) || (s->token && *s->token))
		return 0;
	snprintf(error, size,
		"%s has no credentials: neither those of a .creds file nor a line "
		"USER:PASSWORD or TOKEN; use another nats-creds=",
		path);
	return -1;
}

void link_secrets_free(struct link_secrets *s)
{
	char *const secrets[] = {s->jwt, s->seed, s->user, s->password, s->token};

	for (unsigned i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		if (secrets[i])
			explicit_bzero(secrets[i], strlen(secrets[i]));
		free(secrets[i]);
	}
}

/* What resolves names loads modules, which a sandbox allows to nobody: once, before. */
void link_look_up(const char *servers)
{
	for (const char *url = servers; url && *url; url = strchr(url, ',')) {
		char host[256];
		const char *begin, *at;
		struct addrinfo *list = NULL;
		size_t len;

		url += *url == ',';
		begin = strstr(url, "://") + 3;
		len = strcspn(begin, ",/");
		at = memrchr(begin, '@', len);
		begin = at ? at + 1 : begin;
		snprintf(host, sizeof(host), "%.*s", (int)strcspn(begin, ":,/"), begin);
		if (!getaddrinfo(host, NULL, NULL, &list))
			freeaddrinfo(list);
	}
}
