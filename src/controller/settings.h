/* Settings of engawa-controller, the same for every role of it. */
#pragma once
#include "base/conf.h"

struct settings {
	char *run_directory, *database, *ca_directory, *web_directory, *user;
	struct conf_list gates;
	int64_t cert_days;
	int64_t ask_burst, ask_per_minute, enrol_burst, enrol_per_minute;
	char *smtp_url, *smtp_from, *smtp_user, *smtp_password_file, *smtp_ca_file;
	int64_t smtp_starttls;
	char *bounce_address, *bounce_user;
	int64_t mail_burst, mail_window_s;
	char *log_level;
};

extern const struct conf_option settings_table[];
