/* What the monitor keeps about persons: the pepper, the table, their counters. */
#pragma once
#include "agent/agent.h"
#include "agent/password.h"

/* Reads all, after the settings. 0, or negative with the file's path; error as in conf_load. */
int persons_open(struct agent *agent, char *ret_path, size_t size, struct conf_error *error);
void persons_close(struct agent *agent);

/* What holds for a password that is set now; user "" = the single one. Logs a waiver. */
void persons_choice(struct agent *agent, const char *user, struct password_choice *ret_choice);
/* How policy names this terminal in PASSWORD_WAIVER: hex of the ID's hash. */
enum {
	WAIVER_NAME_SIZE = 17
};
void persons_waiver_name(const struct agent *agent, char ret_name[static WAIVER_NAME_SIZE]);

/* Writes the table, and only then takes it over. 0, -errno, -ERR_DISK_FULL. */
int persons_save(struct agent *agent, const struct users *users);
/* A right password was kept in an older way: keeps the new hash, if the old one is still it. */
void persons_rehash(struct agent *agent, const char *old, const char *now);
