/* SPDX-License-Identifier: MIT */
/* Is a service what service.h asks for? It may come from somebody else. */
#include <stdio.h>
#include <string.h>

#include "services/service_spec.h"
#include "services/service_table.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789_-"

bool service_is_name(const char *name, size_t size)
{
	const size_t len = name ? strspn(name, NAME_CHARACTERS) : 0;

	return len && len < size && !name[len];
}

/* Bytes of the member that a row sets, on which it is aligned as well; 0: none. */
static size_t size_of(const struct udpxdp_option *row)
{
	switch (row->kind) {
	case UDPXDP_OPTION_BOOL:
		return sizeof(bool);
	case UDPXDP_OPTION_UINT:
		return sizeof(uint32_t);
	case UDPXDP_OPTION_SECONDS:
		return sizeof(uint64_t);
	case UDPXDP_OPTION_ENUM:
		return sizeof(int);
	default:
		return 0;
	}
}

/* What is wrong with a row; NULL: nothing. */
static const char *option_fault(const struct udpxdp_option *row)
{
	const size_t size = row->kind == UDPXDP_OPTION_PATH ? row->max : size_of(row);

	if (!service_is_name(row->name, UDPXDP_OWN_DROP_SIZE))
		return "its name is not 1 to 23 of a-z, 0-9, _ and -";
	if (row->kind > UDPXDP_OPTION_CALL)
		return "a service's options are of another kind";
	if (row->offset > UDPXDP_OPTIONS_SIZE || size > UDPXDP_OPTIONS_SIZE - row->offset)
		return "it ends behind the 512 bytes that a service's options may take";
	if (size_of(row) && row->offset % size_of(row))
		return "its offset does not suit its kind";
	if (row->kind == UDPXDP_OPTION_ENUM && !row->words)
		return "it has no words";
	if (row->kind == UDPXDP_OPTION_PATH && row->max < 2)
		return "its max leaves no room for a path";
	if (row->kind == UDPXDP_OPTION_CALL && !row->set)
		return "it has no set()";
	return NULL;
}

static int check_options(const struct udpxdp_service *service, char *error, size_t size)
{
	for (const struct udpxdp_option *row = service->options; row && row->name; row++) {
		const char *fault = option_fault(row);

		for (const struct udpxdp_option *other = service->options; other < row; other++)
			if (!strcmp(other->name, row->name))
				fault = "it is there twice";
		if (!fault)
			continue;
		snprintf(error, size, "option '%.32s': %s", row->name, fault);
		return -1;
	}
	return 0;
}

static int check_drops(const struct udpxdp_service *service, char *error, size_t size)
{
	static const char *const common[] = {
#define X(name, text) #name,
		UDPXDP_DROP_REASONS(X)
#undef X
	};
	const struct udpxdp_reason *row = service->drops;

	for (unsigned n = 0; row && row->name; n++, row++) {
		const char *fault = service_is_name(row->name, UDPXDP_OWN_DROP_SIZE)
					    ? NULL
					    : "its name is not 1 to 23 of a-z, 0-9, _ and -";

		if (n == UDPXDP_OWN_DROPS)
			fault = "it is one more than the 8 that a service may have";
		for (unsigned i = 0; i < UDPXDP_DROP_COUNT; i++)
			if (!strcmp(common[i], row->name))
				fault = "it is called as one that all services have";
		if (!fault && !row->text)
			fault = "it has no text";
		if (!fault)
			continue;
		snprintf(error, size, "drop reason '%.32s': %s", row->name, fault);
		return -1;
	}
	return 0;
}

int service_check(const struct udpxdp_service *service, char *error, size_t size)
{
	const char *fault = NULL;

	if (service->version != UDPXDP_SERVICE_VERSION) {
		snprintf(error, size,
			"made for version %u of the service interface, and this udpxdp has %u",
			service->version, UDPXDP_SERVICE_VERSION);
		return -1;
	}
	if (!service_is_name(service->name, UDPXDP_NAME_SIZE))
		fault = "its name is not 1 to 11 of a-z, 0-9, _ and -";
	else if (!service->port)
		fault = "it has no default port";
	else if (!service->receive)
		fault = "it has no receive()";
	else if (service->has_history && !service->single)
		fault = "only a single service has a history";
	else if (service->command && !service->single)
		fault = "only a single service has a command()";
	if (fault) {
		snprintf(error, size, "%s", fault);
		return -1;
	}
	return check_options(service, error, size) || check_drops(service, error, size) ? -1 : 0;
}
