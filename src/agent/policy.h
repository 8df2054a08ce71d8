/*
 * What the organisation demands (docs/man/engawa-policy.5.scd, docs/policy.md): the original
 * system's key names, read from a signed file. Without a file every default holds, and every
 * default is the closed one. A file that cannot be read, is not signed by the organisation, has
 * expired, is older than one seen before, or has a key or value this program does not know, closes
 * the office PC: a rule that is not understood might have been a prohibition.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "crypto/record.h"
#include "crypto/sign.h"
#include "inspect/limits.h"

enum {
	POLICY_CONTENT_BYTES = 32
};

struct policy {
	int64_t revision; /* 0 = no file */
	int64_t enforce_otp, disable_otp;
	int64_t otp_mail_strangers;
	int64_t enforce_inspection, disable_inspection;
	int64_t enforce_maccheck, disable_maccheck;
	int64_t enforce_devicecheck, disable_devicecheck;
	int64_t enforce_limited_firewall, disable_limited_firewall;
	int64_t enforce_watermark, disable_watermark;
	int64_t enforce_screen_guard, disable_no_standby;
	int64_t deny_clients_app, deny_clients_html5;
	int64_t html5_without_inspection, html5_without_maccheck, html5_without_limited_firewall;
	int64_t enforce_password_complexity;
	int64_t require_certificate, enable_ocsp, ocsp_nonce, ocsp_grace_hours;
	char *ocsp_failure;
	struct conf_list password_waiver;
	int64_t minimum_build, lockout_count, lockout_timeout_s, idle_timeout_s, max_session_s;
	char *otp_webauthn, *webauthn_rp_id;
	struct conf_list webauthn_origin;
	int64_t webauthn_without_pin;
	struct limits limits; /* of the quarantine check */
	int64_t inspection_repeat_minutes, inspection_grace_minutes;
	struct conf_list working_hours, holidays;
	int64_t no_local_mac_list, server_mac_list_fail_open, mac_list_max_age_s;
	char *client_mac_list, *firewall_exempt;
	char *otp_mail, *otp_endwith, *watermark_message, *picture_padding, *server_message,
		*server_mac_list;
	char *noted; /* where the keys go that are known and have no effect in this version */
	char *not_after;
	uint8_t content[POLICY_CONTENT_BYTES]; /* SHA-256 of what is signed */
};

/* One table for this program, `engawa org policy` and the man page. */
extern const struct conf_option policy_options[];
/* 1 when the key is one that is accepted and has no effect yet. */
int policy_is_noted(const char *key);

/* Defaults. */
void policy_init(struct policy *policy);
void policy_fini(struct policy *policy);

/* Text of a signed policy file. 0; -ERR_SIGNATURE, -ERR_POLICY or -ERR_SETTING with words in error,
 * and policy holds the defaults. */
int policy_read(struct policy *policy, const char *text, size_t len,
	const uint8_t key[static SIGN_POINT_BYTES], uint64_t now_s, struct conf_error *error);

/* When one-time codes are mailed. */
enum policy_mail {
	POLICY_MAIL_OFF,      /* never */
	POLICY_MAIL_LEGACY,   /* while no authenticator app is enrolled at the office PC */
	POLICY_MAIL_RECOVERY, /* when the enrolled app is not at hand */
};
enum policy_mail policy_mail(const struct policy *policy);
/* As the key has it: off, legacy, recovery. */
const char *policy_mail_name(const struct policy *policy);

/* When nobody can say whether a certificate has been revoked. */
enum policy_ocsp {
	POLICY_OCSP_CLOSED, /* refused */
	POLICY_OCSP_GRACE,  /* let in while the last good answer is younger than ocsp_grace_hours */
	POLICY_OCSP_OPEN,   /* let in, as the original did */
};
enum policy_ocsp policy_ocsp(const struct policy *policy);
/* Whether security keys are one-time codes. */
enum policy_webauthn {
	POLICY_WEBAUTHN_OFF,
	POLICY_WEBAUTHN_ON,   /* beside app and mail */
	POLICY_WEBAUTHN_ONLY, /* nothing else is, but codes on paper */
};
enum policy_webauthn policy_webauthn(const struct policy *policy);
/* Lengths of what the office PC sends at work. */
enum record_padding policy_padding(const struct policy *policy);
/* 1 for a host name in lower case, at most 127 bytes. */
int policy_rp_id_fit(const char *id);

/* What holds in the end: ENFORCE_x wins over DISABLE_x, neither means yes. */
int policy_wants_otp(const struct policy *policy);
int policy_wants_inspection(const struct policy *policy);
int policy_wants_devicecheck(const struct policy *policy);
int policy_wants_maccheck(const struct policy *policy);
int policy_wants_limited_firewall(const struct policy *policy);
int policy_wants_watermark(const struct policy *policy);
/* 1 when the name begins with one of those that need not close their network; case does not count.
 */
int policy_firewall_exempt(const struct policy *policy, const char *computer);
