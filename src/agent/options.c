#include "agent/options.h"

#include "base/str.h"

#define STR(KEY, FIELD, FALLBACK, HELP)                                               \
	{                                                                             \
#KEY, CONF_STR, offsetof(struct options, FIELD), FALLBACK, 0, 0, HELP \
	}

const struct conf_option option_table[] = {
	STR(STATE_DIRECTORY, state_directory, "/var/lib/engawa-agent",
		"Keys, certificate, settings and counters of this office PC."),
	STR(RUN_DIRECTORY, run_directory, NULL,
		"Directory of agent.sock; default the state directory."),
	STR(POLICY_FILE, policy_file, NULL,
		"The organisation's signed policy; default policy in the state directory."),
	STR(USER, user, "engawa-agent",
		"User that the processes which read the network become when the agent is started as root."),
	STR(OWNER, owner, NULL,
		"User who may change password and mail address besides root; default DESKTOP_USER."),
	STR(PROXY, proxy, NULL,
		"HTTP proxy on the way to the gates: http://[user:password@]host:port."),
	STR(DESKTOP_PROGRAM, desktop_program, "/usr/libexec/engawa/engawa-desktop",
		"Path of engawa-desktop."),
	STR(DESKTOP_USER, desktop_user, NULL,
		"User whose desktop is shown; must be set when the agent is started as root."),
	STR(DISPLAY, display, ":0", "X display of that desktop: a local one, :N."),
	STR(XAUTHORITY, xauthority, NULL,
		"X authority file of that display; read as DESKTOP_USER."),
	{"LOGINS_MAX", CONF_INT, offsetof(struct options, logins_max), "4", 2, 16,
		"Logins at the same time; one of them is kept for devices that are known."},
	{"SELF_CONNECT", CONF_BOOL, offsetof(struct options, self_connect), "no", 0, 0,
		"Clients on this very machine are let in: for trying out, with a display of its own."},
	STR(LOG_LEVEL, log_level, "info", "Lowest level that is logged: debug, info, warn, error."),
	STR(ORG, org, NULL, "For enrol: the organisation file."),
	STR(CODE, code, NULL, "For enrol: the enrolment code."), CONF_OPTIONS_END};

int
state_path(const struct options *options, const char *name, char *out, size_t size)
{
	return str_print(out, size, "%s/%s", options->state_directory, name);
}
