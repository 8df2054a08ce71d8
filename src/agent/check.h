/*
 * One password check by a service (PAM, RADIUS, LDAP) in a process of its own: `engawa-agent role
 * check-…` gets one question over its channel, answers one code and ends. What the service's
 * libraries do, or do not do in time, stays in there. Without rights where the service needs none.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* The question, as texts in this order; a method reads the ones it has. */
enum check_field {
	CHECK_USER,
	CHECK_PASSWORD,    /* secret */
	CHECK_SERVICE,     /* pam: service; radius: servers, "tls://" for RadSec; ldap: URL */
	CHECK_PLACE,       /* pam: directory of the service file or ""; ldap: base */
	CHECK_SECRET,      /* radius: shared secret */
	CHECK_CA,          /* ldap, RadSec: file */
	CHECK_BIND,        /* ldap: template of the name that binds */
	CHECK_FILTER,      /* ldap: template of the filter that finds the person */
	CHECK_ALLOW,       /* ldap: DN of the group, "" = everybody */
	CHECK_DENY,        /* ldap: DN, "" = nobody */
	CHECK_NESTED,      /* ldap: "1" = groups in groups, by the server (Active Directory) */
	CHECK_CERTIFICATE, /* RadSec: our own, file; "" = none */
	CHECK_KEY, /* RadSec: its key, base64 DER; secret: only the monitor reads its file */
	CHECK_FIELDS
};

enum {
	CHECK_FIELD_SIZE = 4096, /* an RSA key fits */
	CHECK_MAX_BYTES = CHECK_FIELDS * (2 + CHECK_FIELD_SIZE)
};

struct check_question {
	char field[CHECK_FIELDS][CHECK_FIELD_SIZE];
};

/* The payload's length. */
size_t check_put(const struct check_question *question, uint8_t out[static CHECK_MAX_BYTES]);
/* 0 or -ERR_PROTOCOL. */
int check_get(const uint8_t *p, size_t len, struct check_question *ret_question);

/* 0; -ERR_PASSWORD_WRONG; -ERR_PERSON_EXPIRED (the password was right); -ERR_PERSON_DENIED (right,
 * but not for this); -ERR_PERSON_SERVICE: nobody could be asked. They block. */
int check_pam(const struct check_question *question);
int check_radius(const struct check_question *question);
int check_ldap(const struct check_question *question);
