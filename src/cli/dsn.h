/*
 * Reads a delivery status notification (RFC 3464, 6533) that a mail server wrote, or anybody: what
 * became of the mail that it speaks of. It says nothing about whose mail that was. Pure.
 */
#pragma once
#include <stddef.h>

enum {
	DSN_STATUS_SIZE = 12, /* "5.999.999", RFC 3463 2 */
	DSN_MAX_BYTES = 262144,
};

enum dsn_action {
	DSN_NONE,    /* delivered, relayed, or no news */
	DSN_DELAYED, /* the mail server goes on trying */
	DSN_FAILED,
};

struct dsn {
	enum dsn_action action;       /* the worst of all recipients' */
	char status[DSN_STATUS_SIZE]; /* digits and dots; "" = it does not say */
};

/* 0, or -ERR_NOT_FOUND: no such notification; a person's answer, an absence notice. */
int dsn_read(const char *text, size_t len, struct dsn *ret_dsn);
