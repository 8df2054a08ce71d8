/*
 * Room on this computer: of the disk that holds the state directory, and of memory. When one falls
 * below its threshold (DISK_WARN_MIB, MEMORY_WARN_MIB) the log, the status and the person in a
 * session are told; the log and the session again each hour while it lasts. A disk with no room at
 * all refuses logins by itself: what cannot be recorded is not judged (-ERR_DISK_FULL).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"

struct session;

enum {
	HEALTH_EVERY_MS = 5000,
	HEALTH_AGAIN_S = 3600,
	HEALTH_MEMINFO_MAX_BYTES = 16384
};

enum health_what {
	HEALTH_DISK,
	HEALTH_MEMORY,
	HEALTH_COUNT
};

struct agent;
struct health;

/* Looks at once, and then every HEALTH_EVERY_MS. */
struct health *health_new(struct agent *agent);
void health_free(struct health *health);

/* 0, or ERR_DISK_LOW, ERR_MEMORY_LOW. */
uint32_t health_code(const struct health *health, enum health_what what);
/* -1: not known. */
int64_t health_free_mib(const struct health *health, enum health_what what);
/* The session begins: its person learns what lasts. */
void health_tell(const struct health *health, struct session *session);

/* MemAvailable of /proc/meminfo in MiB, -1 when it is not there. */
int64_t health_meminfo(const char *text);
/* Whether it is low now: a tenth more than the threshold is needed to be well again. */
int health_low(int was_low, int64_t free_mib, int64_t warn_mib);
