/*
 * The devices that have logged in completely, and the failures and mails charged to each; everybody
 * else shares one entry, the strangers'. So a stranger with the terminal ID can use up the
 * strangers' tries and never those of a device that is known. Who has given the pairing code that
 * the office PC shows is counted apart from both (devices_pairing). One small file, written as a
 * whole before a try is judged: what cannot be recorded is not judged, and a restart forgets
 * nothing.
 *
 * Being known gives a device its own counters and nothing else.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"

enum {
	DEVICE_HASH_BYTES = 32,
	DEVICES_MAX = 208, /* persons have theirs here too: more than users.h has. The one not seen
			      for longest and without a failure makes room */
	DEVICES_SHARED = 256, /* counters of those that have none of their own: devices_shared */
	LOCKOUT_DELAY_MAX_S = 3600, /* the hard cap of the growing delay */
	LOCKOUT_MEMORY_S = 86400,   /* a day without failure: the delay starts anew */
	LOCKOUT_ROW_MAX = 100, /* failures without a login between them: then only devices_unlock
				  helps (NIST SP 800-63B 3.2.2) */
	MAILS_PER_HOUR = 30,
	STRANGERS_MAILS_S = 600, /* in which strangers get as many as policy says */
};

/* How hard, from policy. */
struct lockout_rule {
	uint32_t count, timeout_s;
};

struct tries {
	uint32_t failures, mails;
	uint32_t row;                        /* failures since the last login, however long ago */
	uint64_t failed_s, until_s, mails_s; /* wall clock; 0 = never */
};

struct devices;

/*
 * Persons have counters here too. Whose name is nobody's, or was not proved yet, shares one of
 * DEVICES_SHARED with others; which one nobody can tell who has not the file. So there is no end of
 * names that could push out other counters, and one that is used up says nothing about a name.
 */

/* In place of a device's hash: all who have given a pairing code, and are not registered yet. */
extern const uint8_t devices_pairing[DEVICE_HASH_BYTES];

/* Reads the file when there is one. 0, -errno, -ERR_SETTING (damaged: not silently forgotten);
 * error as in conf_load. */
int devices_open(const char *path, struct devices **ret_devices, struct conf_error *error);
void devices_free(struct devices *devices);
/* The file's text, both ways. 0 or -ERR_SETTING; on the heap, NULL without memory. */
int devices_parse(const char *text, size_t len, struct devices **ret_devices);
char *devices_text(const struct devices *devices);

/* 1 when the device has logged in completely before. */
int devices_seen(const struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES]);
/* 1 when it has its own counters: for that reason, or because it is registered. */
int devices_known(const struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES]);
/* A complete login: the device is known from now on and its failures are forgotten. 0, -errno, or
 * -ERR_LIMIT as in devices_enter. */
int devices_login(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES],
	const char *name, uint64_t now_s);

/* A registered device has its own counters from the start, and never makes room for another; 0: no
 * longer, it is a stranger again. 0 or -errno. */
int devices_keep(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES], int keep,
	uint64_t now_s);
/* Its own counters from now on, before its first login; written with the next change. 0, or
 * -ERR_LIMIT: all places are taken by registered ones and by ones with failures. */
int devices_enter(
	struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES], uint64_t now_s);
/* In place of its hash: the counters that it shares. They may be the same array. 0 or -ERR_CRYPTO.
 */
int devices_shared(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES],
	uint8_t ret_hash[static DEVICE_HASH_BYTES]);
/* One of those who pair has logged in completely: their failures are forgotten. 0 or -errno. */
int devices_paired(struct devices *devices);
/* For those that are registered, after devices_open. */
void devices_mark_kept(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES]);

/* 0, -ERR_LOCKED_OUT and how long still, or -ERR_SHUT_OUT: LOCKOUT_ROW_MAX is reached. */
int devices_check(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES],
	uint64_t now_s, uint32_t *ret_retry_s);
/* A failure, charged before the try is judged; devices_refund takes it back when it was right. 0 or
 * -errno. */
int devices_charge(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES],
	const struct lockout_rule *rule, uint64_t now_s, struct tries *ret_before);
int devices_refund(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES],
	const struct tries *before);
/* One more mail: a device may have MAILS_PER_HOUR, all strangers together so many in
 * STRANGERS_MAILS_S. Theirs have to be fewer than what the relay mails for one office PC, or they
 * would leave none to the others. 0, -ERR_LIMIT and how long to wait, -errno. */
int devices_mail(struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES],
	uint32_t strangers_max, uint64_t now_s, uint32_t *ret_retry_s);
/* 1 when devices_mail would refuse one. */
int devices_mails_used(const struct devices *devices, const uint8_t hash[static DEVICE_HASH_BYTES],
	uint32_t strangers_max, uint64_t now_s);
/* Forgets all failures, of strangers too. 0 or -errno. */
int devices_unlock(struct devices *devices);
/* For the status: how many are known; how long strangers are locked out still. */
/* 1: strangers are shut out until devices_unlock. */
int devices_strangers_shut(const struct devices *devices);
/* The one that logged in last: its name (may be "") and when. 0 when there is none. */
int devices_last(const struct devices *devices, const char **ret_name, uint64_t *ret_s);
size_t devices_count(const struct devices *devices);
uint32_t devices_strangers_locked_s(struct devices *devices, uint64_t now_s);
