/*
 * Every message between the gate's processes (base/ipc.h). The parent starts the others with one
 * channel each at descriptor 3; keeper and worker talk over a channel of their own.
 *
 *   parent  -> keeper   SETTINGS, CHANNEL..., READY        keeper -> parent   READY
 *   parent  -> worker   SETTINGS, LISTENER..., CHANNEL, CERTIFICATE, ISSUER..., PAGE, APPLY,
 * [WELCOME, DENY...], READY worker  -> parent   READY, WANT_LINK, WANT_HTTP, WELCOME, DENY, ALLOW
 *   parent  -> worker   LINK, HTTP, later again CHANNEL ... APPLY (SIGHUP), DRAIN
 *   worker  -> keeper   SIGN                               keeper -> worker   SIGNED
 */
#pragma once
#include <stdint.h>

enum tell {
	TELL_NONE,
	TELL_SETTINGS,    /* text */
	TELL_LISTENER,    /* descriptor */
	TELL_CHANNEL,     /* descriptor: between one worker and the keeper */
	TELL_CERTIFICATE, /* DER */
	TELL_ISSUER,      /* DER */
	TELL_PAGE,        /* PEM chain */
	TELL_APPLY,       /* use the certificates that came since the last APPLY */
	TELL_READY,       /* to a child: all said, give up your rights; from it: done */
	TELL_WANT_LINK,
	TELL_LINK,      /* descriptor, or none when the controller cannot be reached */
	TELL_WANT_HTTP, /* struct tell_http */
	TELL_HTTP,      /* struct tell_http, descriptor or none */
	TELL_WELCOME,   /* LinkWelcome as it came: kept by the parent for a worker that starts while
			   the controller is down */
	TELL_DENY,      /* struct tell_deny: kept likewise */
	TELL_ALLOW,
	TELL_DRAIN,  /* no new ones; the worker exits when nothing is left */
	TELL_SIGN,   /* struct tell_sign */
	TELL_SIGNED, /* struct tell_signed */
};

/* Which connection asked: descriptor and serial number, so that an answer never meets a later
 * connection. */
struct tell_http {
	int32_t fd;
	uint32_t serial;
};

struct tell_deny {
	uint8_t agent_id[16];
	uint32_t code;
};

enum tell_key {
	TELL_KEY_NATIVE,
	TELL_KEY_PAGE,
	TELL_KEY_COUNT
};
enum {
	TELL_DIGEST_MAX_BYTES = 64,
	TELL_SIGNATURE_MAX_BYTES = 144
}; /* DER of P-521 at the most */

struct tell_sign {
	uint32_t request;
	uint8_t key, len;
	uint8_t digest[TELL_DIGEST_MAX_BYTES];
};

struct tell_signed {
	uint32_t request;
	uint8_t len; /* 0 = refused */
	uint8_t signature[TELL_SIGNATURE_MAX_BYTES];
};
