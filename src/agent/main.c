/* engawa-agent [OPTION...] run | enrol; and, started by the monitor, engawa-agent role NAME. */
#include <stdio.h>
#include <string.h>

#include "agent/enrol.h"
#include "agent/monitor.h"
#include "agent/options.h"
#include "agent/restore.h"
#include "agent/role.h"
#include "agent/usermode.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/token.h"

static const struct command {
	const char *name;
	int (*run)(const struct options *options);
} roles[] = {
	{"control", control_main},
	{"pump", pump_main},
	{"login", login_main},
	{"work", work_main},
	{"desktop", desktop_main},
	{"check-pam", check_pam_main},
	{"check-radius", check_radius_main},
	{"check-ldap", check_ldap_main},
	{"check-certificate", check_certificate_main},
	{"check-maclist", check_maclist_main},
	{"guard", guard_main},
	{"standby", standby_main},
	{"console", console_main},
};

static int
run_role(const char *name, const struct options *options)
{
	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
		if (strcmp(roles[i].name, name) == 0)
			return roles[i].run(options);
	return 2;
}

static int
usage(void)
{
	fprintf(stderr,
		"usage: engawa-agent [--config FILE] [--OPTION VALUE]... run\n"
		"       engawa-agent enrol --org FILE --code CODE [--org-fingerprint HEX] [--state-directory DIR]\n"
		"       engawa-agent organisation --org FILE [--org-fingerprint HEX] [--state-directory DIR]\n"
		"       engawa-agent --help\n");
	return 2;
}

/* The command may stand before the options or after them. */
int
main(int argc, char **argv)
{
	static struct options options;
	enum log_level level;
	const char *command = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL, *role = NULL;
	if (argc == 2 && strcmp(argv[1], TOKEN_HELPER) == 0) /* token_call starts us so */
		return token_helper();
	int rest, skip = command ? 1 : 0;
	if (command && strcmp(command, "role") == 0 && argc > 2) {
		role = argv[2];
		skip = 2;
	}
	/* their file stands where everybody puts it */
	int is_backup =
		command && (strcmp(command, "backup") == 0 || strcmp(command, "restore") == 0);
	const char *file = is_backup && argc > 2 && argv[2][0] != '-' ? argv[2] : NULL;
	skip += file != NULL;
	int r = conf_main(option_table, &options, "engawa-agent", argc - skip, argv + skip, &rest);
	if (r != 0)
		return r > 0 ? 0 : 2;
	rest += skip;
	if (!command && rest < argc)
		command = argv[rest++];
	if (file)
		options.backup_file = mem_str(file);
	if (log_level_parse(options.log_level, &level) < 0) {
		fprintf(stderr, "engawa-agent: LOG_LEVEL: debug, info, warn or error\n");
		return 2;
	}
	log_open("engawa-agent", level, -1);
	if (!command || rest != argc)
		return usage();
	if (role)
		return run_role(role, &options);
	r = usermode_apply(&options);
	if (r < 0) {
		fprintf(stderr, "engawa-agent: STATE_DIRECTORY: %s\n", strerror(-r));
		return 1;
	}
	if (strcmp(command, "run") == 0)
		return monitor_main(&options);
	if (strcmp(command, "enrol") == 0)
		return enrol_main(&options);
	if (is_backup)
		return command[0] == 'b' ? backup_main(&options) : restore_main(&options);
	if (strcmp(command, "organisation") == 0)
		return organisation_main(&options);
	return usage();
}
