/*
 * agent.sock: the settings of the person at the office PC, for root, OWNER and SETTINGS_GROUP (by
 * peer credentials). One message, one answer, one packet each, any number in turn; a connection
 * that sends anything else is closed. With a settings password: local_lock.h.
 */
#pragma once
#include "agent/agent.h"

struct local;

/* 0, -errno, -ERR_NOT_FOUND (no such OWNER). */
int local_open(struct agent *agent, const char *path, struct local **ret_local);
void local_free(struct local *local);
/* Writes the settings, and only then takes them over. 0, -errno, -ERR_DISK_FULL. */
int local_save(struct agent *agent, const struct settings *settings);
