/* Settings of engawa-agent. */
#pragma once
#include "base/conf.h"

struct options {
	char *state_directory, *run_directory, *policy_file, *user, *owner, *proxy, *log_level;
	char *desktop_program, *desktop_user, *display, *xauthority;
	int64_t logins_max, self_connect;
	char *org, *code; /* enrol */
};

extern const struct conf_option option_table[];

/* "state/name" of the state directory. 0 or -ENAMETOOLONG. */
int state_path(const struct options *options, const char *name, char *out, size_t size);
