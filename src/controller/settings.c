#include "controller/settings.h"

#define STR(KEY, FIELD, FALLBACK, HELP)                                                \
	{                                                                              \
#KEY, CONF_STR, offsetof(struct settings, FIELD), FALLBACK, 0, 0, HELP \
	}
#define INT(KEY, FIELD, FALLBACK, MIN, MAX, HELP)                                          \
	{                                                                                  \
#KEY, CONF_INT, offsetof(struct settings, FIELD), FALLBACK, MIN, MAX, HELP \
	}

const struct conf_option settings_table[] = {
	STR(RUN_DIRECTORY, run_directory, "/run/engawa",
		"Directory of link.sock, http.sock, admin.sock and bounce.sock."),
	STR(DATABASE, database, "/var/lib/engawa/controller.db",
		"SQLite database; made at the first start."),
	STR(CA_DIRECTORY, ca_directory, "/etc/engawa/ca",
		"What *engawa ca init* made: issuer, ticket key, mail key."),
	STR(WEB_DIRECTORY, web_directory, "/usr/share/engawa/web",
		"Files of the web client; read at the start."),
	STR(USER, user, "engawa", "User to become when started by root."),
	{"GATES", CONF_LIST, offsetof(struct settings, gates), NULL, 0, 0,
		"Name of a gate that may connect. None: any that reaches link.sock."},
	INT(CERT_DAYS, cert_days, "90", 1, 825,
		"Life of an agent's certificate in days; never longer than the issuer's. Agents renew it by themselves at two thirds of its life."),
	/* a town hall or a carrier's NAT stands behind one address, hence the room */
	INT(ASK_BURST, ask_burst, "200", 1, 1000000,
		"Requests for a ticket that one source address may make at once."),
	INT(ASK_PER_MINUTE, ask_per_minute, "600", 1, 1000000, "And per minute after that."),
	INT(ENROL_BURST, enrol_burst, "100", 1, 1000000,
		"Enrolments that one source address may try at once."),
	INT(ENROL_PER_MINUTE, enrol_per_minute, "60", 1, 1000000, "And per minute after that."),
	STR(SMTP_URL, smtp_url, NULL,
		"Mail server for codes: smtp://host:port or smtps://host:port. Unset: no codes by mail."),
	STR(SMTP_FROM, smtp_from, NULL, "Sender's address of these mails."),
	STR(SMTP_USER, smtp_user, NULL, "User at the mail server, when it wants one."),
	STR(SMTP_PASSWORD_FILE, smtp_password_file, NULL,
		"File with the password of SMTP_USER in its first line."),
	STR(SMTP_CA_FILE, smtp_ca_file, NULL,
		"PEM certificates that the mail server is checked against; default the system's."),
	{"SMTP_STARTTLS", CONF_BOOL, offsetof(struct settings, smtp_starttls), "yes", 0, 0,
		"Refuse an smtp:// server without STARTTLS."},
	STR(BOUNCE_ADDRESS, bounce_address, NULL,
		"Where mails that cannot be delivered come back to, at most 7 characters before the @: the mail server gives what comes to it, with a plus sign and a token, to *engawa bounce*. Unset: a mail that comes back late is not noticed."),
	STR(BOUNCE_USER, bounce_user, "engawa-bounce",
		"User as whom the mail server runs *engawa bounce*: the only one beside root that may use bounce.sock."),
	INT(MAIL_BURST, mail_burst, "5", 1, 1000,
		"Mails with a code that one agent may send within MAIL_WINDOW_S. Unknown devices get 2 in ten minutes, or what the policy's OTP_MAIL_STRANGERS says: it has to be more than that."),
	INT(MAIL_WINDOW_S, mail_window_s, "600", 1, 86400, "See MAIL_BURST; in seconds."),
	STR(LOG_LEVEL, log_level, "info", "Lowest level that is logged: debug, info, warn, error."),
	CONF_OPTIONS_END,
};
