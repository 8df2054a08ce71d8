/* What becomes of devices and persons: registered, cut off, and the owner told. */
#pragma once
#include "agent/agent.h"

/* registry and its marks among the counters. 0, -errno, -ERR_SETTING. */
int admit_open(struct agent *agent, char *path, size_t size, struct conf_error *error);
/* The whole login has succeeded. 0, or why it is refused after all. */
int admit_passed(struct agent *agent, struct session *session);
/* Registers it; the owner is told when it first comes in. 0, -ERR_LIMIT, -errno. */
int admit_register(struct agent *agent, const struct entry *entry, const char *by);
/* The table of persons has changed: sessions of those who are disabled or gone end now. */
void admit_persons(struct agent *agent);
/* Not registered any more, its sessions end now. 0, -ERR_NOT_FOUND, -errno. */
int admit_remove(struct agent *agent, const uint8_t hash[static REGISTRY_HASH_BYTES]);
