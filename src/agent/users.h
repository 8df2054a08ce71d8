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
	USER_KEY_BYTES = 32
};

#define USER_EVERYBODY "*" /* whoever pam, radius or ldap knows and has no row */

struct user {
	char name[USER_NAME_SIZE];         /* folded: user_fold */
	char verifier[SETTINGS_HASH_SIZE]; /* a hash of password.h, or "pam", "radius", "ldap" */
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

/* One way to write a name: case, width and composition make no other person. 0, -ERR_PERSON_NAME
 * for one that is empty, too long or has spaces, control characters or anything that means
 * something to a directory ('*' alone apart). */
int user_fold(const char *name, char ret_name[static USER_NAME_SIZE]);
/* The row of a folded name, or the one of everybody; NULL. */
const struct user *users_find(const struct users *users, const char *name);
/* That very row. */
struct user *users_row(struct users *users, const char *name);
/* A day that exists. */
int user_date_fit(const char *date);
int user_expired(const struct user *user, uint64_t now_s);
/* pam, radius or ldap. */
int user_method_fit(const char *method);
/* Of a folded name, for its counter of failures. */
void user_key(const char *name, uint8_t ret_key[static USER_KEY_BYTES]);
