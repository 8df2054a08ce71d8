/*
 * The persons of an office PC that several use: name, how the password is checked, last day,
 * disabled. One small file, written as a whole. While the table has a row, disabled and expired
 * ones too, the single password of settings.h lets nobody in.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "agent/settings.h"

enum {
	USERS_MAX = 200,
	USER_NAME_SIZE = 129, /* as in struct facts */
	USER_DATE_SIZE = sizeof "2026-11-22",
	USER_KEY_BYTES = 32,
	USER_PIN_SIZE = sizeof "pin:" + 64
};

#define USER_EVERYBODY \
	"*" /* whoever pam, radius, ldap or the issuer of certificates knows and has no row */
#define USER_CERTIFICATE "certificate" /* any of the own CA with this name */
#define USER_PIN "pin:"                /* the one whose DER has this SHA-256, in hex */

struct user {
	char name[USER_NAME_SIZE];         /* folded: user_fold */
	char verifier[SETTINGS_HASH_SIZE]; /* a hash of password.h, "pam", "radius", "ldap",
					      USER_CERTIFICATE, or USER_PIN and a hash */
	char expires[USER_DATE_SIZE];      /* last day, local time; "" = never */
	int disabled;
};

struct users {
	size_t count;
	struct user list[USERS_MAX];
};

/* A missing file is an empty table. 0, -errno, -ERR_SETTING; error as in conf_load. */
int users_load(const char *path, struct users *ret_users, struct conf_error *error);
int users_save(const char *path, const struct users *users);
/* The file's text, both ways. 0 or -ERR_SETTING; on the heap, NULL without memory. */
int users_parse(const char *text, size_t len, struct users *ret_users);
char *users_text(const struct users *users);

/* One way to write a name: case, width and composition make no other person. 0, -ERR_PERSON_NAME
 * for one that is empty, too long or has spaces, control characters or anything that means
 * something to a directory ('*' alone apart). */
int user_fold(const char *name, char ret_name[static USER_NAME_SIZE]);
/* The row of a folded name, or the one of everybody; NULL. */
const struct user *users_find(const struct users *users, const char *name);
/* 1 when there is such a row and it is not disabled; users may be NULL. */
int users_admit(const struct users *users, const char *name);
/* That very row. */
struct user *users_row(struct users *users, const char *name);
/* A day that exists. */
int user_date_fit(const char *date);
int user_expired(const struct user *user, uint64_t now_s);
/* pam, radius or ldap. */
int user_method_fit(const char *method);
/* USER_CERTIFICATE or USER_PIN with a hash. */
int user_certificate_fit(const char *verifier);
int user_by_certificate(const struct user *user);
/* How many rows are; users may be NULL. */
size_t users_certificates(const struct users *users);
/* The row with this verifier, or NULL. */
const struct user *users_verifier(const struct users *users, const char *verifier);
/* Of a folded name, for its counter of failures. */
void user_key(const char *name, uint8_t ret_key[static USER_KEY_BYTES]);
