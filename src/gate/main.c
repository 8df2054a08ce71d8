#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "gate/keeper.h"
#include "gate/parent.h"
#include "gate/process.h"
#include "gate/worker.h"

int
main(int argc, char **argv)
{
	struct settings settings = {0};
	struct conf_error error = {""};
	enum log_level level;
	int rest;
	/* what the parent starts: process.c */
	if (argc == 2 && strcmp(argv[1], "worker") == 0)
		return worker_main();
	if (argc == 2 && strcmp(argv[1], "keeper") == 0)
		return keeper_main();
	int r = conf_main(settings_table, &settings, "engawa-gate", argc, argv, &rest);
	if (r == 0 && rest < argc) {
		fprintf(stderr, "engawa-gate: unexpected argument %s\n", argv[rest]);
		r = -1;
	}
	if (r == 0 && settings_check(&settings, &error) < 0) {
		fprintf(stderr, "engawa-gate: %s\n", error.text);
		r = -1;
	}
	if (r != 0) {
		settings_free(&settings);
		return r < 0 ? 2 : 0;
	}
	settings.workers = settings_workers(&settings);
	log_level_parse(settings.log_level, &level);
	log_open("engawa-gate", level, -1);
	int is_upgrade = getenv(PROCESS_UPGRADE) != NULL;
	unsetenv(PROCESS_UPGRADE);
	int status = parent_main(&settings, argv, is_upgrade);
	settings_free(&settings);
	return status;
}
