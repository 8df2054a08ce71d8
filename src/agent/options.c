#include "agent/options.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/err.h"
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
	STR(SETTINGS_GROUP, settings_group, "engawa",
		"Group whose members may change settings besides root and OWNER, when it exists."),
	STR(PROXY, proxy, NULL,
		"HTTP proxy on the way to the gates: http://[user:password@]host:port."),
	STR(DESKTOP_SOURCE, desktop_source, "x11",
		"What is shown: x11, the X display of DESKTOP_USER; rdp, a session at this computer's xrdp, where people log on themselves."),
	STR(DESKTOP_PROGRAM, desktop_program, "/usr/libexec/engawa/engawa-desktop",
		"Path of engawa-desktop; that of engawa-desktop-rdp is the same with -rdp behind it."),
	STR(DESKTOP_USER, desktop_user, NULL,
		"User whose desktop is shown; must be set when the agent is started as root, for the source x11."),
	STR(DISPLAY, display, ":0", "X display of that desktop: a local one, :N."),
	{"DISPLAY_VIRTUAL", CONF_BOOL, offsetof(struct options, display_virtual), "no", 0, 0,
		"The display is a virtual one of this service (Xorg with the dummy driver): its monitors become those of the home PC."},
	STR(XAUTHORITY, xauthority, NULL,
		"X authority file of that display; read as DESKTOP_USER."),
	STR(IBUS_DIRECTORY, ibus_directory, NULL,
		"Where the IBus of that desktop says where it listens: text composed at home goes through it. Read as DESKTOP_USER; default .config/ibus/bus in that user's home; none = text comes by keys."),
	{"RDP_PORT", CONF_INT, offsetof(struct options, rdp_port), "3389", 1, 65535,
		"For the source rdp: the port of 127.0.0.1 where xrdp listens; no other computer is ever asked."},
	STR(RDP_CERTIFICATE, rdp_certificate, "/etc/xrdp/cert.pem",
		"For the source rdp: the certificate that xrdp must show, as in its xrdp.ini; readable by USER."),
	STR(RDP_PROGRAM, rdp_program, "/usr/sbin/xrdp",
		"For the source rdp: xrdp's program, to tell people whether it is missing or only does not run."),
	STR(RDP_KEYBOARD, rdp_keyboard, "jp",
		"For the source rdp: the keyboard of people's home PCs, jp or us."),
	{"SCREEN_GUARD", CONF_BOOL, offsetof(struct options, screen_guard), "yes", 0, 0,
		"During sessions the office PC's screen is dark, its keyboards and mice are disconnected, and it is locked afterwards. With the source rdp or DISPLAY_VIRTUAL, whose sessions are on no screen, it is locked when a session begins."},
	STR(LOCK_COMMAND, lock_command, NULL,
		"Shell command that locks the desktop, run as DESKTOP_USER; its success means that it is locked. Default: the desktop's own screen lock, over D-Bus."),
	{"LOCKED_DESKTOP", CONF_BOOL, offsetof(struct options, locked_desktop), "no", 0, 0,
		"A locked desktop is shown, and the person at home unlocks it; no = connections to it are refused (EW-303)."},
	{"NO_STANDBY", CONF_BOOL, offsetof(struct options, no_standby), "yes", 0, 0,
		"The office PC does not go to sleep, and its screen saver does not start, while a session lasts."},
	{"LOGINS_MAX", CONF_INT, offsetof(struct options, logins_max), "4", 2, 16,
		"Logins at the same time; one of them is kept for devices that are known."},
	{"DISK_WARN_MIB", CONF_INT, offsetof(struct options, disk_warn_mib), "500", 0, 1000000000,
		"Below this much free space on the disk of the state directory people are warned; 0 = never."},
	{"MEMORY_WARN_MIB", CONF_INT, offsetof(struct options, memory_warn_mib), "500", 0,
		1000000000, "Below this much available memory people are warned; 0 = never."},
	STR(SHUTDOWN_COMMAND, shutdown_command, NULL,
		"Shell command that is run when working hours have ended a session, for example systemctl poweroff; default nothing."),
	{"SELF_CONNECT", CONF_BOOL, offsetof(struct options, self_connect), "no", 0, 0,
		"Clients on this very machine are let in: for trying out, with a display of its own. Without this the application is refused there (EW-308); a browser tells no MAC address and is recognized only where the relay sees it at an address of this machine."},
	{"RESUME_S", CONF_INT, offsetof(struct options, resume_s), "600", 0, 600,
		"When the connection to a client breaks, how long its session waits for it to come back. 0 = not at all."},
	STR(PEPPER_FILE, pepper_file, NULL,
		"Key without which the kept passwords are worth nothing; made when missing; default pepper in the state directory."),
	STR(PEPPER_TOKEN, pepper_token, NULL,
		"In place of the file: a secret key that a token keeps, as a PKCS#11 URI with token= and object=; made in it when missing."),
	STR(PEPPER_MODULE, pepper_module, NULL, "Path of the PKCS#11 module for PEPPER_TOKEN."),
	STR(PEPPER_PIN_FILE, pepper_pin_file, NULL,
		"File with the token's PIN, readable by its owner only; default none is said."),
	STR(PASSWORD_BLOCKLIST, password_blocklist, NULL,
		"File of passwords that may not be chosen, one a line, besides those the program knows."),
	STR(PAM_SERVICE, pam_service, "engawa", "PAM service for users of the method pam."),
	STR(PAM_DIRECTORY, pam_directory, NULL,
		"Directory of that service's file; default /etc/pam.d."),
	{"RADIUS_SERVER", CONF_LIST, offsetof(struct options, radius_servers), NULL, 0, 0,
		"RADIUS server for users of the method radius: host[:port], or tls://host[:port] over TLS (RadSec); several are asked in turn."},
	STR(RADIUS_SECRET_FILE, radius_secret_file, NULL,
		"File with the secret shared with the RADIUS servers, readable by its owner only; not used over TLS."),
	STR(RADIUS_CA_FILE, radius_ca_file, NULL,
		"Certificates that those of tls:// servers must come from, readable by USER; there is no default."),
	STR(RADIUS_CERTIFICATE_FILE, radius_certificate_file, NULL,
		"Our own certificate (PEM, with its issuers) for tls:// servers that ask for one, readable by USER."),
	STR(RADIUS_KEY_FILE, radius_key_file, NULL, "Its key (PEM), readable by its owner only."),
	STR(LDAP_URL, ldap_url, NULL,
		"Directory for users of the method ldap: ldaps://host[:port], or ldap://host[:port] with StartTLS. Nothing is asked without TLS."),
	STR(LDAP_CA_FILE, ldap_ca_file, NULL,
		"Certificates that the directory's must come from, readable by USER; default the system's."),
	STR(LDAP_BIND, ldap_bind, NULL,
		"How a user binds: %s@city.example (Active Directory) or uid=%s,ou=people,dc=city,dc=example."),
	STR(LDAP_BASE, ldap_base, NULL, "Where users are searched, when a group is set."),
	STR(LDAP_FILTER, ldap_filter, "(sAMAccountName=%s)",
		"Filter that finds the one entry of a user."),
	STR(LDAP_ALLOW_GROUP, ldap_allow_group, NULL,
		"DN of the group that may connect; default everybody."),
	STR(LDAP_DENY_GROUP, ldap_deny_group, NULL,
		"DN of a group that may not connect, whoever else may."),
	{"LDAP_NESTED", CONF_BOOL, offsetof(struct options, ldap_nested), "yes", 0, 0,
		"Groups may have groups as members, which Active Directory resolves; other directories need no."},
	STR(CERTIFICATE_CA_FILE, certificate_ca_file, NULL,
		"Certificates (PEM: root and what stands below it) that persons' certificates must come from, readable by USER; for users of the method certificate."),
	STR(CERTIFICATE_NAME, certificate_name, "cn",
		"Where a certificate has the user's name: cn (common name), email or upn (Windows), each there exactly once."),
	STR(CERTIFICATE_CRL, certificate_crl, NULL,
		"List of revoked certificates (CRL, no delta) of their issuer: a file, readable by USER, or http://host/path, fetched at each login."),
	STR(OCSP_URL, ocsp_url, NULL,
		"http://host/path that is asked when policy has ENABLE_OCSP; default what the certificate itself names."),
	STR(MAC_LIST_CA_FILE, mac_list_ca_file, NULL,
		"Certificates that the server of the policy's MAC address lists must come from, readable by USER; default the system's."),
	STR(LOG_LEVEL, log_level, "info", "Lowest level that is logged: debug, info, warn, error."),
	STR(ORG, org, NULL, "For enrol and organisation: the organisation file."),
	STR(ORG_FINGERPRINT, org_fingerprint, NULL,
		"For enrol and organisation: the fingerprint that the organisation told; without it the terminal asks."),
	STR(CODE, code, NULL, "For enrol: the enrolment code."),
	STR(BACKUP_FILE, backup_file, NULL, "For backup and restore: the file."),
	STR(PASSPHRASE_FILE, passphrase_file, NULL,
		"For backup and restore: a file with the passphrase, readable by its owner only; without it the terminal asks."),
	{"WITH_IDENTITY", CONF_BOOL, offsetof(struct options, with_identity), "no", 0, 0,
		"For backup: the keys of this terminal too, to move it to another computer."},
	{"OTHER_TERMINAL", CONF_BOOL, offsetof(struct options, other_terminal), "no", 0, 0,
		"For restore: take the settings of another office PC of this organisation."},
	CONF_OPTIONS_END};

int
options_rdp(const struct options *options)
{
	return strcmp(options->desktop_source, "rdp") == 0;
}

int
state_path(const struct options *options, const char *name, char *out, size_t size)
{
	return str_print(out, size, "%s/%s", options->state_directory, name);
}

int
state_lock(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ERR_NOT_ENROLLED : -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	int r = errno == EWOULDBLOCK ? -ERR_EXISTS : -errno;
	close(fd);
	return r;
}
