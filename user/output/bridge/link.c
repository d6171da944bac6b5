/* SPDX-License-Identifier: MIT */
/*
 * The link to the room's server, by libnats. Calls wait for the server's answer, which is why they
 * are the bridge's thread's alone. Whatever fails ends the link: the bridge makes another.
 */
#ifdef UDPXDP_NATS

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output/bridge/link.h"

#define STREAM "UDPXDP_ROOM"
#define SUBJECTS "udpxdp.room"
#define PRESENCE "UDPXDP_PRESENCE"
#define NICKS "UDPXDP_NICKS"

#define ANSWER_MS 2000               /* for the server's answer */
#define PING_MS 2000                 /* without an answer to two of them it is gone */
#define STREAM_MAX_BYTES (1ll << 30) /* a week and a GiB are kept, or what there is room for */
#define STREAM_MIN_BYTES (1ll << 20)
#define STREAM_MAX_AGE_NS (7 * 86400 * 1000000000ll)
#define DUPLICATES_NS (120 * 1000000000ll)
#define SIDE_PENDING 4096 /* presences and claims that wait to be read; more are let go */
#define URLS_MAX 16
#define PATIENCE 10 /* attempts, of one a second */

/* ---- what went wrong
 * ----------------------------------------------------------------------------- */

/* Its own messages end with a stop and may have several lines. */
static void set_error(char *error, size_t size, const char *what, const char *why, const char *cure)
{
	const char *place = *why == '(' ? strstr(why, "): ") : NULL; /* (conn.c:2088): */

	snprintf(error, size, "%s: %s; %s", what, place ? place + 3 : why, cure);
	for (char *c = error; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
}

static void set_connect_error(char *error, size_t size, natsStatus status)
{
	const char *last = nats_GetLastError(NULL);

	if (status == NATS_CONNECTION_AUTH_FAILED || status == NATS_NOT_PERMITTED ||
		(last && strstr(last, "uthorization")))
		set_error(error, size, "connecting to the server failed",
			"it refuses the credentials", "give others by nats-creds=");
	else if (status == NATS_SSL_ERROR || status == NATS_SECURE_CONNECTION_REQUIRED)
		set_error(error, size, "connecting to the server failed",
			last && *last ? last : "no TLS", "check its certificate, or use tls://");
	else
		snprintf(error, size, LINK_UNREACHABLE);
}

static void set_js_error(
	char *error, size_t size, const char *what, natsStatus status, jsErrCode code)
{
	const char *last = nats_GetLastError(NULL);

	if (code == JSNotEnabledErr || code == JSNotEnabledForAccountErr ||
		status == NATS_NO_RESPONDERS || status == NATS_TIMEOUT ||
		status == NATS_NO_SERVER_SUPPORT)
		set_error(error, size, what,
			status == NATS_TIMEOUT             ? "JetStream does not answer"
			: status == NATS_NO_SERVER_SUPPORT ? "the server is too old"
							   : "the server has no JetStream",
			"start nats-server 2.9 or newer with -js");
	else
		set_error(error, size, what, last && *last ? last : natsStatus_GetText(status),
			"see the server's log");
}

/* ---- credentials ------------------------------------------------------------------------- */

static natsStatus give_jwt(char **jwt, char **error, void *closure)
{
	const struct link_secrets *secrets = closure;

	*jwt = strdup(secrets->jwt);
	return *jwt ? NATS_OK : NATS_NO_MEMORY;
}

static natsStatus sign(
	char **error, unsigned char **signature, int *len, const char *nonce, void *closure)
{
	const struct link_secrets *secrets = closure;

	return nats_Sign(secrets->seed, nonce, signature, len);
}

static natsStatus set_secrets(natsOptions *options, const struct link_secrets *secrets)
{
	if (secrets->jwt)
		return natsOptions_SetUserCredentialsCallbacks(
			options, give_jwt, (void *)secrets, sign, (void *)secrets);
	if (secrets->user)
		return natsOptions_SetUserInfo(options, secrets->user, secrets->password);
	return secrets->token ? natsOptions_SetToken(options, secrets->token) : NATS_OK;
}

/* ---- opening ----------------------------------------------------------------------------- */

/* What goes wrong beside our calls shows in them. */
static void ignore_error(natsConnection *connection, natsSubscription *subscription,
	natsStatus status, void *closure)
{
}

static natsStatus connect_to(struct link *link, const struct service_room *room,
	const char *hostname, const struct link_secrets *secrets)
{
	char urls[sizeof(room->servers)], name[128], *rest = urls;
	const char *list[URLS_MAX];
	natsOptions *options = NULL;
	natsStatus status = natsOptions_Create(&options);
	int count = 0;

	memcpy(urls, room->servers, sizeof(urls));
	snprintf(name, sizeof(name), "udpxdp %s", hostname);
	while (count < URLS_MAX && (list[count] = strsep(&rest, ",")))
		count++;
	if (status == NATS_OK)
		status = natsOptions_SetServers(options, list, count);
	if (status == NATS_OK)
		status = set_secrets(options, secrets);
	if (status == NATS_OK)
		status = natsOptions_SetTimeout(options, ANSWER_MS);
	if (status == NATS_OK)
		status = natsOptions_SetName(options, name);
	if (status == NATS_OK)
		status = natsOptions_SetAllowReconnect(options, false);
	if (status == NATS_OK)
		status = natsOptions_SetPingInterval(options, PING_MS);
	if (status == NATS_OK)
		status = natsOptions_SetMaxPingsOut(options, 2);
	if (status == NATS_OK)
		status = natsOptions_SetErrorHandler(options, ignore_error, NULL);
	if (status == NATS_OK)
		status = natsConnection_Connect(&link->connection, options);
	natsOptions_Destroy(options);
	return status;
}

/* As large as may be: a server grants no more than it has. */
static natsStatus add_stream(
	struct link *link, jsStreamConfig *config, jsStreamInfo **info, jsErrCode *code)
{
	natsStatus status;

	config->MaxBytes = STREAM_MAX_BYTES;
	do {
		*code = 0;
		status = js_AddStream(info, link->js, config, NULL, code);
		config->MaxBytes /= 2;
	} while (*code == JSStorageResourcesExceededErr && config->MaxBytes >= STREAM_MIN_BYTES);
	return status;
}

/* Three copies where there is a cluster, else one. A cluster that is too small may only be
 * incomplete yet: alone says that this has lasted. */
static natsStatus make_stream(
	struct link *link, unsigned *too_small, jsStreamInfo **info, jsErrCode *code)
{
	const char *subjects[] = {SUBJECTS ".>"};
	jsStreamConfig config;
	natsStatus status;

	jsStreamConfig_Init(&config);
	config.Name = STREAM;
	config.Subjects = subjects;
	config.SubjectsLen = 1;
	config.Storage = js_FileStorage;
	config.MaxAge = STREAM_MAX_AGE_NS;
	config.Duplicates = DUPLICATES_NS;
	config.Replicas = 3;
	status = add_stream(link, &config, info, code);
	if (*code != JSStreamReplicasNotSupportedErr &&
		(*code != JSClusterNoPeersErr || ++*too_small < PATIENCE))
		return status;
	config.Replicas = 1;
	return add_stream(link, &config, info, code);
}

static natsStatus find_stream(
	struct link *link, unsigned *too_small, struct link_stream *stream, jsErrCode *code)
{
	jsStreamInfo *info = NULL;
	natsStatus status = js_GetStreamInfo(&info, link->js, STREAM, NULL, code);

	if (status == NATS_NOT_FOUND || *code == JSStreamNotFoundErr) {
		status = make_stream(link, too_small, &info, code);
		if (*code == JSStreamNameExistErr) /* another host was faster */
			status = js_GetStreamInfo(&info, link->js, STREAM, NULL, code);
	}
	if (status == NATS_OK) {
		*stream = (struct link_stream){.epoch = (uint64_t)info->Created,
			.first = info->State.FirstSeq,
			.last = info->State.LastSeq};
		link->copies = (int)info->Config->Replicas;
	}
	jsStreamInfo_Destroy(info);
	return status;
}

static natsStatus find_bucket(
	struct link *link, kvStore **bucket, const char *name, unsigned ttl_seconds)
{
	natsStatus status = js_KeyValue(bucket, link->js, name);
	kvConfig config;

	if (status != NATS_NOT_FOUND)
		return status;
	kvConfig_Init(&config);
	config.Bucket = name;
	config.TTL = ttl_seconds * 1000000000ll;
	config.StorageType = js_FileStorage;
	config.History = 1;
	config.Replicas = link->copies; /* as the stream */
	status = js_CreateKeyValue(bucket, link->js, &config);
	return status == NATS_OK ? status : js_KeyValue(bucket, link->js, name);
}

/* What is put into a bucket is published under a subject of it: who listens there needs no consumer
 * of JetStream, and hears of each change at once. */
static natsStatus watch_bucket(struct link *link, enum link_kind kind, const char *bucket)
{
	natsSubscription **subscription = &link->subscriptions[kind];
	char subject[SUBJECT_SIZE];
	natsStatus status;

	snprintf(subject, sizeof(subject), "$KV.%s.%s.*", bucket, link->room);
	status = natsConnection_SubscribeSync(subscription, link->connection, subject);
	if (status == NATS_OK)
		status = natsSubscription_SetPendingLimits(*subscription, SIDE_PENDING, -1);
	return status;
}

struct link *link_open(const struct service_room *room, const char *name, const char *hostname,
	const struct link_secrets *secrets, unsigned *too_small, struct link_stream *stream,
	char *error, size_t size)
{
	struct link *link = calloc(1, sizeof(*link));
	jsOptions options;
	jsErrCode code = 0;
	natsStatus status;

	if (!link) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	snprintf(link->room, sizeof(link->room), "%s", name);
	snprintf(link->subject, sizeof(link->subject), SUBJECTS ".%s.%s", name, hostname);
	snprintf(link->presence_key, sizeof(link->presence_key), "%s.%s", name, hostname);
	status = connect_to(link, room, hostname, secrets);
	if (status != NATS_OK) {
		set_connect_error(error, size, status);
		link_close(link);
		return NULL;
	}
	jsOptions_Init(&options);
	options.Wait = ANSWER_MS;
	status = natsConnection_JetStream(&link->js, link->connection, &options);
	if (status == NATS_OK)
		status = find_stream(link, too_small, stream, &code);
	if (status == NATS_OK)
		status = find_bucket(link, &link->presence, PRESENCE, ROOM_TTL_S);
	if (status == NATS_OK)
		status = find_bucket(link, &link->nicks, NICKS, ROOM_NICK_TTL_S);
	if (status == NATS_OK)
		status = watch_bucket(link, LINK_PRESENCE, PRESENCE);
	if (status == NATS_OK)
		status = watch_bucket(link, LINK_CLAIM, NICKS);
	if (status == NATS_OK)
		return link;
	set_js_error(error, size, "finding or making the room's stream and buckets failed", status,
		code);
	link_close(link);
	return NULL;
}

void link_close(struct link *link)
{
	natsMsg_Destroy(link->message);
	for (unsigned i = 0; i <= LINK_CLAIM; i++)
		natsSubscription_Destroy(link->subscriptions[i]);
	kvStore_Destroy(link->presence);
	kvStore_Destroy(link->nicks);
	jsCtx_Destroy(link->js);
	natsConnection_Destroy(link->connection);
	free(link);
}

/* ---- in ---------------------------------------------------------------------------------- */

enum link_result link_listen(struct link *link, uint64_t from)
{
	char subject[SUBJECT_SIZE];
	jsSubOptions options;
	jsErrCode code = 0;
	natsStatus status;

	snprintf(subject, sizeof(subject), SUBJECTS ".%s.*", link->room);
	jsSubOptions_Init(&options);
	options.Stream = STREAM;
	options.Ordered = true;
	options.Config.DeliverPolicy = js_DeliverByStartSequence;
	options.Config.OptStartSeq = from ? from : 1;
	options.Config.Heartbeat = 1000000000;
	status = js_SubscribeSync(
		&link->subscriptions[LINK_LINES], link->js, subject, NULL, &options, &code);
	return status == NATS_OK ? LINK_OK : LINK_LOST;
}

/* Takes one that is there, or waits for it. */
static enum link_result next_of(
	struct link *link, enum link_kind kind, unsigned wait_ms, struct link_message *out)
{
	natsMsg *m = NULL;
	natsStatus status =
		natsSubscription_NextMsg(&m, link->subscriptions[kind], wait_ms ? wait_ms : 1);
	const char *dot, *operation = NULL;
	jsMsgMetaData *meta = NULL;

	if (status == NATS_TIMEOUT || status == NATS_SLOW_CONSUMER)
		return LINK_NOTHING;
	if (status != NATS_OK)
		return LINK_LOST;
	natsMsg_Destroy(link->message);
	link->message = m;
	dot = strrchr(natsMsg_GetSubject(m), '.');
	*out = (struct link_message){.kind = kind,
		.key = dot ? dot + 1 : "",
		.data = natsMsg_GetData(m),
		.len = (size_t)natsMsg_GetDataLength(m)};
	if (kind != LINK_LINES) {
		if (natsMsgHeader_Get(m, "KV-Operation", &operation) == NATS_OK)
			out->deleted = true; /* or purged, which is the same to us */
		return LINK_OK;
	}
	if (natsMsg_GetMetaData(&meta, m) != NATS_OK)
		return LINK_NOTHING; /* somebody sent it here, past the stream */
	out->sequence = meta->Sequence.Stream;
	jsMsgMetaData_Destroy(meta);
	return LINK_OK;
}

static bool has_some(struct link *link, enum link_kind kind)
{
	int count = 0;

	return natsSubscription_GetPending(link->subscriptions[kind], &count, NULL) == NATS_OK &&
	       count > 0;
}

enum link_result link_next(struct link *link, unsigned wait_ms, struct link_message *message)
{
	enum link_result result = LINK_NOTHING;

	if (natsConnection_IsClosed(link->connection))
		return LINK_LOST;
	for (unsigned kind = LINK_PRESENCE; kind <= LINK_CLAIM; kind++)
		if (result == LINK_NOTHING && has_some(link, kind))
			result = next_of(link, kind, 0, message);
	if (result == LINK_NOTHING && (wait_ms || has_some(link, LINK_LINES)))
		result = next_of(link, LINK_LINES, wait_ms, message);
	return result;
}

/* ---- out --------------------------------------------------------------------------------- */

enum link_result link_publish(
	struct link *link, const char *data, const char *id, char *error, size_t size)
{
	jsPubOptions options;
	jsErrCode code = 0;
	natsStatus status;

	jsPubOptions_Init(&options);
	options.MsgId = id;
	options.ExpectStream = STREAM;
	status =
		js_Publish(NULL, link->js, link->subject, data, (int)strlen(data), &options, &code);
	if (status == NATS_MAX_PAYLOAD)
		return LINK_NOTHING;
	if (status != NATS_OK)
		set_error(error, size, "storing what is said here failed",
			natsStatus_GetText(status), "see the server's log");
	return result_of(status, code);
}

enum link_result link_check(struct link *link)
{
	jsConsumerInfo *info = NULL;
	natsStatus status = natsSubscription_GetConsumerInfo(
		&info, link->subscriptions[LINK_LINES], NULL, NULL);

	jsConsumerInfo_Destroy(info);
	return status == NATS_OK ? LINK_OK : LINK_LOST;
}

#endif
