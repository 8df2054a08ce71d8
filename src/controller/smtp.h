/* Sends mails by SMTP, many at once: libcurl's multi interface on our loop. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"

struct smtp;

struct smtp_server {
	const char *url;             /* smtp://host:port or smtps:// */
	const char *user, *password; /* NULL = no login */
	const char *ca_file;         /* NULL = the system's */
	int starttls;                /* smtp:// without it is refused */
	unsigned deadline_s;
};

/* code: 0, -ERR_MAIL_BOUNCED (the address takes no mail) or -ERR_MAIL_FAILED; text: libcurl's words
 * for the log, "" when all went well. */
typedef void smtp_fn(void *user, int code, const char *text);

/* server's strings must stay. NULL when libcurl fails. */
struct smtp *smtp_new(struct loop *loop, const struct smtp_server *server);
void smtp_free(struct smtp *smtp); /* fn of unfinished mails is not called */

/* from: the envelope's. message is copied and wiped afterwards. 0, then fn is called later, once;
 * -ERR_LIMIT when too many are under way. */
int smtp_send(struct smtp *smtp, const char *from, const char *to, const void *message, size_t len,
	smtp_fn *fn, void *user);
