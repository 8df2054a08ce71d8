#include "agent/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/hours.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "crypto/orgfile.h"

#define AT(field) offsetof(struct policy, field)
#define LIMIT_INT(key, field, fallback, min, max, help) \
	{key, CONF_INT, AT(limits.field), fallback, min, max, help},
#define LIMIT_STR(key, field, fallback, help) \
	{key, CONF_STR, AT(limits.field), fallback, 0, 0, help},
#define LIMIT_LIST(key, field, help) {key, CONF_LIST, AT(limits.field), NULL, 0, 0, help},
#define SWITCH(key, field, fallback, help)                     \
	{                                                      \
		key, CONF_INT, AT(field), fallback, 0, 1, help \
	}
#define NOTED(key, help)                                   \
	{                                                  \
		key, CONF_STR, AT(noted), NULL, 0, 0, help \
	}

const struct conf_option policy_options[] = {
	{"REVISION", CONF_INT, AT(revision), "0", 0, INT64_MAX,
		"Number of this policy: one that was seen is never followed by a lower one. Every change of the policy needs a higher one: other content under a number that was seen lets nobody in (EW-1540)."},
	{"NOT_AFTER", CONF_STR, AT(not_after), NULL, 0, 0, "Last day of this policy, YYYY-MM-DD."},
	SWITCH("ENFORCE_OTP", enforce_otp, "0",
		"A one-time code is asked for, whatever DISABLE_OTP says."),
	SWITCH("DISABLE_OTP", disable_otp, "0", "No one-time code is asked for."),
	{"OTP_MAIL", CONF_STR, AT(otp_mail), "legacy", 0, 0,
		"When codes are mailed: legacy (while no authenticator app or security key is enrolled), recovery (when they are not at hand), off (never)."},
	{"OTP_WEBAUTHN", CONF_STR, AT(otp_webauthn), "off", 0, 0,
		"Security keys as one-time codes: off, on (before app and mail, where one is registered), only (nothing else but codes on paper). Needs WEBAUTHN_RP_ID."},
	{"WEBAUTHN_RP_ID", CONF_STR, AT(webauthn_rp_id), NULL, 0, 0,
		"Domain that security keys are registered for: the host name of the relay's page, or a domain above the host names of all its gates."},
	{"WEBAUTHN_ORIGIN", CONF_LIST, AT(webauthn_origin), NULL, 0, 0,
		"Page that may use security keys, https://host[:port]; default https:// and WEBAUTHN_RP_ID."},
	SWITCH("WEBAUTHN_WITHOUT_PIN", webauthn_without_pin, "0",
		"Touching the security key is enough; without this it must ask for its PIN or fingerprint."),
	{"ENFORCE_OTP_ENDWITH", CONF_STR, AT(otp_endwith), NULL, 0, 0,
		"Codes are mailed only to addresses that end with this, for example @city.example.lg.jp."},
	{"OTP_MAIL_STRANGERS", CONF_INT, AT(otp_mail_strangers), "2", 1, 30,
		"Codes that are mailed in ten minutes to all devices together that never came in. What the relay mails for one office PC (its MAIL_BURST) has to be more, or nothing is left for those that did."},
	SWITCH("ENFORCE_INSPECTION", enforce_inspection, "0",
		"Clients must pass the quarantine check, whatever DISABLE_INSPECTION says."),
	SWITCH("DISABLE_INSPECTION", disable_inspection, "0", "Clients need no quarantine check."),
	SWITCH("ENFORCE_MACCHECK", enforce_maccheck, "0",
		"Clients' MAC addresses must be registered, whatever DISABLE_MACCHECK says."),
	SWITCH("DISABLE_MACCHECK", disable_maccheck, "0",
		"Clients' MAC addresses are not checked."),
	SWITCH("ENFORCE_DEVICECHECK", enforce_devicecheck, "0",
		"Only devices that are registered at the office PC may come in, whatever DISABLE_DEVICECHECK says."),
	SWITCH("DISABLE_DEVICECHECK", disable_devicecheck, "0",
		"Devices need not be registered at the office PC."),
	SWITCH("ENFORCE_LIMITED_FIREWALL", enforce_limited_firewall, "0",
		"Clients must close their network (完全閉域化), whatever DISABLE_LIMITED_FIREWALL says."),
	SWITCH("DISABLE_LIMITED_FIREWALL", disable_limited_firewall, "0",
		"Clients need not close their network."),
	SWITCH("ENFORCE_WATERMARK", enforce_watermark, "0",
		"The watermark is drawn, whatever DISABLE_WATERMARK says."),
	SWITCH("DISABLE_WATERMARK", disable_watermark, "0", "No watermark is drawn."),
	SWITCH("ENFORCE_SCREEN_GUARD", enforce_screen_guard, "0",
		"The office PC's screen is dark and its keyboards and mice are disconnected during sessions, whatever its settings say; where sessions are on no screen, there are none while a desktop stands open there (EW-1480)."),
	SWITCH("DISABLE_NO_STANDBY", disable_no_standby, "0",
		"The office PC may go to sleep during sessions, whatever its NO_STANDBY says."),
	{"WATERMARK_MESSAGE", CONF_STR, AT(watermark_message), NULL, 0, 0,
		"First line of the watermark."},
	{"PICTURE_PADDING", CONF_STR, AT(picture_padding), "256", 0, 0,
		"Pictures are filled up to a multiple of so many bytes, 128, 256 or 512: from their lengths a listener who can show lines on the same screen could guess what else was on it. More bytes hide more."},
	SWITCH("DENY_CLIENTS_APP", deny_clients_app, "0", "Client applications are refused."),
	SWITCH("DENY_CLIENTS_HTML5", deny_clients_html5, "1", "Browsers are refused."),
	SWITCH("HTML5_WITHOUT_INSPECTION", html5_without_inspection, "0",
		"Browsers are exempt from the quarantine check."),
	SWITCH("HTML5_WITHOUT_MACCHECK", html5_without_maccheck, "0",
		"Browsers are exempt from the MAC address check."),
	SWITCH("HTML5_WITHOUT_LIMITED_FIREWALL", html5_without_limited_firewall, "0",
		"Browsers are exempt from the closed network."),
	SWITCH("ENFORCE_PASSWORD_COMPLEXITY", enforce_password_complexity, "0",
		"New passwords need several kinds of characters (8 of 3 kinds, 16 of 2, 24 of any) instead of length alone."),
	{"PASSWORD_WAIVER", CONF_LIST, AT(password_waiver), NULL, 0, 0,
		"Office PC (waiver_name of its status) whose passwords need not meet the rules, and the last day of that, YYYY-MM-DD."},
	SWITCH("REQUIRE_CERTIFICATE", require_certificate, "0",
		"Persons come in with a certificate only. Browsers cannot, and are refused (EW-1140)."),
	SWITCH("ENABLE_OCSP", enable_ocsp, "0",
		"The issuer of a person's certificate is asked by OCSP whether it is still valid."),
	{"OCSP_FAILURE", CONF_STR, AT(ocsp_failure), "closed", 0, 0,
		"When no valid answer of OCSP or CRL is to be had: closed (refuse), grace (let in while the last good answer is younger than OCSP_GRACE_HOURS), open (let in, as the original did)."},
	{"OCSP_GRACE_HOURS", CONF_INT, AT(ocsp_grace_hours), "24", 1, 720,
		"How long a good answer lasts with OCSP_FAILURE grace."},
	SWITCH("OCSP_NONCE", ocsp_nonce, "1",
		"Answers of OCSP must have the question's nonce; 0 = one without any will do while it is valid. A wrong one never will."),
	{"REQUIRE_MINIMUM_CLIENT_BUILD", CONF_INT, AT(minimum_build), "0", 0, UINT32_MAX,
		"Older clients are refused. An office PC demands no more than its own build (policy.minimum_build in its log): a slip shuts nobody out."},
	{"AUTH_LOCKOUT_COUNT", CONF_INT, AT(lockout_count), "5", 1, 100,
		"Failures before logins are refused for a while."},
	{"AUTH_LOCKOUT_TIMEOUT", CONF_INT, AT(lockout_timeout_s), "60", 1, 86400,
		"Seconds of the first such while; it doubles each time."},
	{"IDLE_TIMEOUT", CONF_INT, AT(idle_timeout_s), "3600", 0, 86400,
		"Seconds without input after which a session ends; 0 = never."},
	{"MAX_SESSION", CONF_INT, AT(max_session_s), "43200", 0, 604800,
		"Seconds after which a session ends, whatever is done; 0 = never."},
	{"WORKING_HOURS", CONF_LIST, AT(working_hours), NULL, 0, 0,
		"When sessions are allowed, by the clock and the time zone of the office PC: mon-fri 08:30-17:15. Several lines add up; none = always."},
	{"WORKING_HOURS_HOLIDAY", CONF_LIST, AT(holidays), NULL, 0, 0,
		"A day without working hours, YYYY-MM-DD; several."},
#include "inspect/limits.def"
	{"INSPECTION_REPEAT_MINUTES", CONF_INT, AT(inspection_repeat_minutes), "10", 0, 1440,
		"Quarantine: minutes after which a session's home PC reports anew; 0 = at the login only."},
	{"INSPECTION_GRACE_MINUTES", CONF_INT, AT(inspection_grace_minutes), "10", 0, 1440,
		"Quarantine: minutes that the person has to put right what became bad in the session."},
	{"SERVER_MESSAGE", CONF_STR, AT(server_message), NULL, 0, 0,
		"Notice for the person at the office PC."},
	{"CLIENT_ALLOWED_MAC_LIST_URL", CONF_STR, AT(client_mac_list), NULL, 0, 0,
		"https:// address of a list of clients' MAC addresses, which counts where the office PC's own list has none of a client's."},
	SWITCH("NO_LOCAL_MAC_ADDRESS_LIST", no_local_mac_list, "0",
		"The office PC's own list, and what was recorded with devices, do not count; needs CLIENT_ALLOWED_MAC_LIST_URL."),
	{"SERVER_ALLOWED_MAC_LIST_URL", CONF_STR, AT(server_mac_list), NULL, 0, 0,
		"https:// address of a list of office PCs' MAC addresses: an office PC with none in it refuses every login."},
	SWITCH("SERVER_ALLOWED_MAC_LIST_FAIL_OPEN", server_mac_list_fail_open, "0",
		"A list of office PCs that cannot be had refuses nobody, as in the original system."),
	{"MAC_LIST_MAX_AGE", CONF_INT, AT(mac_list_max_age_s), "86400", 0, 2592000,
		"Seconds that the last good copy stands in for a list that cannot be had; 0 = never."},
	{"ENFORCE_LIMITED_FIREWALL_COMPUTERNAME_STARTWITH", CONF_STR, AT(firewall_exempt), NULL, 0,
		0,
		"Beginnings of computer names, between blanks, commas or semicolons: registered devices that had such a name when they were registered need not close their network."},
	NOTED("ENFORCE_OTP_ENDWITH_SECURITY", "No effect: the policy's signature takes its place."),
	NOTED("ENFORCE_PROCESS_WATCHER", "No effect yet."),
	NOTED("ENFORCE_PROCESS_WATCHER_ALWAYS", "No effect yet."),
	NOTED("SYSLOG_HOSTNAME", "No effect yet."), NOTED("SYSLOG_PORT", "No effect yet."),
	NOTED("DISABLE_SHARE", "Always so: there is nothing that could be shared."),
	CONF_OPTIONS_END};

int
policy_is_noted(const char *key)
{
	for (const struct conf_option *o = policy_options; o->key; o++)
		if (strcmp(o->key, key) == 0)
			return o->offset == AT(noted);
	return 0;
}

void
policy_init(struct policy *policy)
{
	struct conf_error error;
	memset(policy, 0, sizeof *policy);
	if (conf_defaults(policy_options, policy, &error) < 0)
		abort(); /* the table is ours */
}

/* conf_free would free the shared target of the noted keys once for each of them: it sets NULL, so
 * that is fine. */
void
policy_fini(struct policy *policy)
{
	conf_free(policy_options, policy);
}

enum {
	KEYS_MAX = 96
};
_Static_assert(sizeof policy_options / sizeof policy_options[0] < KEYS_MAX, "seen[] has room");

/* By enum policy_mail. */
static const char *const mail_names[] = {"off", "legacy", "recovery"};

/* By enum policy_ocsp. */
static const char *const ocsp_names[] = {"closed", "grace", "open"};

static int
by_name(const char *const names[3], const char *name)
{
	for (int i = 0; name && i < 3; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return -ERR_SETTING;
}

enum policy_mail
policy_mail(const struct policy *policy)
{
	int r = by_name(mail_names, policy->otp_mail);
	return r < 0 ? POLICY_MAIL_OFF : (enum policy_mail)r;
}

const char *
policy_mail_name(const struct policy *policy)
{
	return mail_names[policy_mail(policy)];
}

enum policy_ocsp
policy_ocsp(const struct policy *policy)
{
	int r = by_name(ocsp_names, policy->ocsp_failure);
	return r < 0 ? POLICY_OCSP_CLOSED : (enum policy_ocsp)r;
}

/* By enum record_padding, from RECORD_AGENT_128. */
static const char *const padding_names[] = {"128", "256", "512"};

enum record_padding
policy_padding(const struct policy *policy)
{
	int r = by_name(padding_names, policy->picture_padding);
	return r < 0 ? RECORD_AGENT_512 : (enum record_padding)(RECORD_AGENT_128 + r);
}

static const char *const webauthn_names[] = {"off", "on", "only"};

enum policy_webauthn
policy_webauthn(const struct policy *policy)
{
	int r = by_name(webauthn_names, policy->otp_webauthn);
	return r < 0 || !policy->webauthn_rp_id ? POLICY_WEBAUTHN_OFF : (enum policy_webauthn)r;
}

int
policy_rp_id_fit(const char *id)
{
	size_t len = strlen(id);
	return len && len < 128 && strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789.-") == len &&
	       id[0] != '.' && id[0] != '-' && id[len - 1] != '.' && !strstr(id, "..");
}

/* Why the value of a key of security keys is none; NULL. */
static const char *
webauthn_wrong(const char *key, const char *value)
{
	if (strcmp(key, "OTP_WEBAUTHN") == 0 && by_name(webauthn_names, value) < 0)
		return "OTP_WEBAUTHN: off, on or only";
	if (strcmp(key, "WEBAUTHN_RP_ID") == 0 && !policy_rp_id_fit(value))
		return "WEBAUTHN_RP_ID: a host name in lower case";
	/* it is compared with what stands in JSON */
	if (strcmp(key, "WEBAUTHN_ORIGIN") == 0 &&
		(strncmp(value, "https://", 8) != 0 || strpbrk(value + 8, "/\\\" ") || !value[8]))
		return "WEBAUTHN_ORIGIN: https://host[:port]";
	return NULL;
}

/* Demanded, and nobody could ever have one. */
static int
webauthn_incomplete(const struct policy *policy, struct conf_error *error)
{
	if (policy->webauthn_rp_id || by_name(webauthn_names, policy->otp_webauthn) <= 0)
		return 0;
	snprintf(error->text, sizeof error->text, "OTP_WEBAUTHN needs WEBAUTHN_RP_ID");
	return -ERR_SETTING;
}

struct pass {
	struct policy *policy;
	struct conf_error *error;
	uint8_t seen[KEYS_MAX];
};

static int
mail_fits(const char *value)
{
	return by_name(mail_names, value);
}

static int
ocsp_fits(const char *value)
{
	return by_name(ocsp_names, value);
}

static int
padding_fits(const char *value)
{
	return by_name(padding_names, value);
}

static int
os_until_fits(const char *value)
{
	uint64_t s;
	return limits_os_until(value, "", "", &s);
}

static int
day_fits(const char *value)
{
	uint64_t s;
	return wall_date_end(value, &s);
}

/* Values that are more than a number or a text. */
static const struct {
	const char *key;
	int (*fits)(const char *value); /* negative = no */
	const char *form;
} checks[] = {
	{"OTP_MAIL", mail_fits, "legacy, recovery or off"},
	{"PICTURE_PADDING", padding_fits, "128, 256 or 512"},
	{"OCSP_FAILURE", ocsp_fits, "closed, grace or open"},
	{"INSPECTION_WIFI", limits_wifi, "wpa3, wpa2, wpa or any"},
	{"INSPECTION_OS_UNTIL", os_until_fits, "system version YYYY-MM-DD"},
	{"WORKING_HOURS", hours_fits, "mon-fri 08:30-17:15"},
	{"WORKING_HOURS_HOLIDAY", day_fits, "YYYY-MM-DD"},
};

static int
on_line(void *user, const char *key, const char *value)
{
	struct pass *pass = user;
	for (size_t i = 0; policy_options[i].key; i++) {
		const struct conf_option *o = &policy_options[i];
		if (strcmp(o->key, key) != 0)
			continue;
		if (pass->seen[i]++ && o->type != CONF_LIST) {
			snprintf(pass->error->text, sizeof pass->error->text, "%s is set twice",
				key);
			return -ERR_SETTING;
		}
		if (o->type == CONF_INT && o->max == 1 && strcmp(value, "yes") == 0)
			value = "1";
		if (o->type == CONF_INT && o->max == 1 && strcmp(value, "no") == 0)
			value = "0";
	}
	for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
		if (strcmp(key, checks[i].key) == 0 && checks[i].fits(value) < 0) {
			snprintf(pass->error->text, sizeof pass->error->text, "%s: %s", key,
				checks[i].form);
			return -ERR_SETTING;
		}
	const char *wrong = webauthn_wrong(key, value);
	if (wrong) {
		snprintf(pass->error->text, sizeof pass->error->text, "%s", wrong);
		return -ERR_SETTING;
	}
	return conf_set(policy_options, pass->policy, key, value, pass->error);
}

static int
is_https(const char *url)
{
	return !url || (strncmp(url, "https://", 8) == 0 && url[8] && strlen(url) < 512);
}

/* Keys that need each other. */
static int
check_lists(const struct policy *policy, struct conf_error *error)
{
	const char *bad =
		!is_https(policy->client_mac_list)   ? "CLIENT_ALLOWED_MAC_LIST_URL: https://..."
		: !is_https(policy->server_mac_list) ? "SERVER_ALLOWED_MAC_LIST_URL: https://..."
		: policy->no_local_mac_list &&
				(!policy->client_mac_list || !policy_wants_maccheck(policy))
			? "NO_LOCAL_MAC_ADDRESS_LIST needs CLIENT_ALLOWED_MAC_LIST_URL and the MAC address check"
			: NULL;
	if (!bad)
		return 0;
	snprintf(error->text, sizeof error->text, "%s", bad);
	return -ERR_SETTING;
}

int
policy_read(struct policy *policy, const char *text, size_t len,
	const uint8_t key[static SIGN_POINT_BYTES], uint64_t now_s, struct conf_error *error)
{
	struct pass pass = {policy, error, {0}};
	error->text[0] = '\0';
	int r = policy_parse(text, len, key, now_s, on_line, &pass, error);
	if (r == 0)
		r = webauthn_incomplete(policy, error);
	if (r == 0)
		r = check_lists(policy, error);
	if (r == 0)
		r = policy_content(text, len, policy->content);
	if (r < 0) {
		policy_fini(policy);
		policy_init(policy);
	}
	return r;
}

int
policy_firewall_exempt(const struct policy *policy, const char *computer)
{
	static const char between[] = " ,;\t";
	const char *p = policy->firewall_exempt ? policy->firewall_exempt : "";
	for (p += strspn(p, between); *p; p += strspn(p, between)) {
		size_t len = strcspn(p, between);
		if (strncasecmp(p, computer, len) == 0)
			return 1;
		p += len;
	}
	return 0;
}

static int
holds(int64_t enforce, int64_t disable)
{
	return enforce || !disable;
}

int
policy_wants_otp(const struct policy *policy)
{
	return holds(policy->enforce_otp, policy->disable_otp);
}

int
policy_wants_inspection(const struct policy *policy)
{
	return holds(policy->enforce_inspection, policy->disable_inspection);
}

int
policy_wants_maccheck(const struct policy *policy)
{
	return holds(policy->enforce_maccheck, policy->disable_maccheck);
}

int
policy_wants_devicecheck(const struct policy *policy)
{
	return holds(policy->enforce_devicecheck, policy->disable_devicecheck);
}

int
policy_wants_limited_firewall(const struct policy *policy)
{
	return holds(policy->enforce_limited_firewall, policy->disable_limited_firewall);
}

int
policy_wants_watermark(const struct policy *policy)
{
	return holds(policy->enforce_watermark, policy->disable_watermark);
}
