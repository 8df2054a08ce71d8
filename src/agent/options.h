/* Settings of engawa-agent. */
#pragma once
#include "base/conf.h"

struct options {
	char *state_directory, *run_directory, *policy_file, *user, *owner, *proxy, *log_level;
	char *desktop_source, *desktop_program, *desktop_user, *display, *xauthority,
		*ibus_directory;
	char *rdp_certificate, *rdp_program, *rdp_keyboard;
	int64_t rdp_port;
	char *settings_group;
	char *pepper_file, *pepper_token, *pepper_module, *pepper_pin_file, *password_blocklist;
	char *pam_service, *pam_directory;
	struct conf_list radius_servers;
	char *radius_secret_file, *radius_ca_file, *radius_certificate_file, *radius_key_file;
	char *ldap_url, *ldap_ca_file, *ldap_bind, *ldap_base, *ldap_filter, *ldap_allow_group,
		*ldap_deny_group;
	int64_t ldap_nested;
	char *certificate_ca_file, *certificate_name, *certificate_crl, *ocsp_url;
	char *shutdown_command, *lock_command;
	char *mac_list_ca_file;
	int64_t logins_max, self_connect, display_virtual, resume_s;
	int64_t disk_warn_mib, memory_warn_mib;
	int64_t screen_guard, locked_desktop, no_standby;
	char *org, *org_fingerprint, *code;  /* enrol */
	char *backup_file, *passphrase_file; /* backup, restore */
	int64_t with_identity, other_terminal;
};

extern const struct conf_option option_table[];

/* Two agents on one state directory would count failures past each other. The lock goes when the
 * process goes, however it goes. 0, -ERR_NOT_ENROLLED (no directory), -ERR_EXISTS (in use), -errno.
 */
int state_lock(const char *directory);

/* 1: the desktop is a session at this computer's xrdp; 0: an X display. */
int options_rdp(const struct options *options);

/* "state/name" of the state directory. 0 or -ENAMETOOLONG. */
int state_path(const struct options *options, const char *name, char *out, size_t size);
