/* engawa-controller [options]: started by hand or systemd it is the parent; the parent starts it
 * again with a role's name. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "controller/bounce.h"
#include "controller/core.h"
#include "controller/mail.h"
#include "controller/mailer.h"
#include "controller/parent.h"
#include "controller/web.h"

static int
run(const struct settings *settings, int argc, char **argv, int rest)
{
	enum log_level level;
	const char *role = rest < argc ? argv[rest] : NULL;
	if (argc - rest > 1) {
		fprintf(stderr, "engawa-controller: %s?\n", argv[rest + 1]);
		return 2;
	}
	if (log_level_parse(settings->log_level, &level) < 0) {
		fprintf(stderr, "engawa-controller: LOG_LEVEL: debug, info, warn or error\n");
		return 2;
	}
	if (settings->smtp_url && !(settings->smtp_from && mail_address_ok(settings->smtp_from))) {
		fprintf(stderr,
			"engawa-controller: SMTP_URL needs SMTP_FROM, a plain mail address\n");
		return 2;
	}
	if (settings->bounce_address &&
		!(settings->smtp_url && bounce_address_ok(settings->bounce_address))) {
		fprintf(stderr,
			"engawa-controller: BOUNCE_ADDRESS needs SMTP_URL, and is a plain mail address of at most %d characters before the @\n",
			BOUNCE_LOCAL_MAX);
		return 2;
	}
	log_open("engawa-controller", level, -1);
	if (!role)
		return parent_main(settings, argc, argv);
	if (strcmp(role, "core") == 0)
		return core_main(settings);
	if (strcmp(role, "web") == 0)
		return web_main(settings);
	if (strcmp(role, "mailer") == 0)
		return mailer_main(settings);
	fprintf(stderr, "engawa-controller: %s?\n", role);
	return 2;
}

int
main(int argc, char **argv)
{
	struct settings settings = {0};
	int rest = argc;
	int r = conf_main(settings_table, &settings, "engawa-controller", argc, argv, &rest);
	int status = r < 0 ? 2 : r > 0 ? 0 : run(&settings, argc, argv, rest);
	conf_free(settings_table, &settings);
	return status;
}
