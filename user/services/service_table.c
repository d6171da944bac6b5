/* SPDX-License-Identifier: MIT */
#include "services/service_table.h"

#include <string.h>

#define SERVICE(name) extern const struct udpxdp_service name##_service;
#include "services/services.def"
#undef SERVICE

const struct udpxdp_service *const service_table[] = {
#define SERVICE(name) &name##_service,
#include "services/services.def"
#undef SERVICE
	NULL,
};

const char *const default_services[] = {
#define SERVICE(name) #name,
#include "services/services.def"
#undef SERVICE
	NULL,
};

const struct udpxdp_service *service_find(const char *name)
{
	for (unsigned i = 0; service_table[i]; i++)
		if (!strcmp(service_table[i]->name, name))
			return service_table[i];
	return NULL;
}
