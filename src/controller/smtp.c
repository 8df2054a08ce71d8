#include "controller/smtp.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	MAILS_MAX = 256,
	CONNECTIONS_MAX = 32, /* what a small mail server takes; the rest waits inside libcurl */
	CACHE_MAX = 4,
	TO_SIZE = 264,
};

struct mail {
	struct mail *next, **link;
	struct smtp *smtp;
	CURL *easy;
	struct curl_slist *to;
	char *message;
	size_t len, sent;
	char error[CURL_ERROR_SIZE];
	smtp_fn *fn;
	void *user;
};

struct smtp {
	struct loop *loop;
	struct smtp_server server;
	CURLM *multi;
	struct timer *timer;
	struct mail *mails;
	unsigned count;
};

/* One of libcurl's sockets on our loop. */
struct socket {
	struct smtp *smtp;
	struct watch *watch;
	curl_socket_t fd;
};

static void
mail_free(struct mail *mail)
{
	*mail->link = mail->next;
	if (mail->next)
		mail->next->link = mail->link;
	mail->smtp->count--;
	curl_multi_remove_handle(mail->smtp->multi, mail->easy);
	curl_easy_cleanup(mail->easy);
	curl_slist_free_all(mail->to);
	mem_wipe_free(mail->message, mail->len);
	free(mail);
}

/* A server that says 55x to RCPT means the address (RFC 5321 4.2.1), whatever else may pass. Which
 * command failed is in libcurl's words only. */
static int
outcome(const struct mail *mail, CURLcode result)
{
	if (result == CURLE_OK)
		return 0;
	return strncmp(mail->error, "RCPT failed: 55", 15) == 0 ? -ERR_MAIL_BOUNCED
								: -ERR_MAIL_FAILED;
}

static void
take_finished(struct smtp *smtp)
{
	CURLMsg *msg;
	int left;
	while ((msg = curl_multi_info_read(smtp->multi, &left))) {
		struct mail *mail;
		if (msg->msg != CURLMSG_DONE)
			continue;
		CURLcode result = msg->data.result;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &mail);
		const char *text = result == CURLE_OK ? ""
				   : mail->error[0]   ? mail->error
						      : curl_easy_strerror(result);
		mail->fn(mail->user, outcome(mail, result), text);
		mail_free(mail);
	}
}

static void
on_timer(void *user)
{
	struct smtp *smtp = user;
	int running;
	curl_multi_socket_action(smtp->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	take_finished(smtp);
}

static int
set_timer(CURLM *multi, long after_ms, void *user)
{
	struct smtp *smtp = user;
	(void)multi;
	if (after_ms < 0)
		timer_stop(smtp->timer);
	else
		timer_start(smtp->timer, (uint64_t)after_ms, 0);
	return 0;
}

static void
on_socket(void *user, int ready)
{
	struct socket *socket = user;
	struct smtp *smtp = socket->smtp;
	int running;
	int events = (ready & WATCH_READ ? CURL_CSELECT_IN : 0) |
		     (ready & WATCH_WRITE ? CURL_CSELECT_OUT : 0);
	curl_multi_socket_action(smtp->multi, socket->fd, events, &running);
	take_finished(smtp);
}

static int
set_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
	struct smtp *smtp = user;
	struct socket *socket = socket_user;
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (socket)
			watch_free(socket->watch);
		free(socket);
		curl_multi_assign(smtp->multi, fd, NULL);
		return 0;
	}
	if (!socket) {
		socket = mem_new(sizeof *socket);
		*socket = (struct socket){smtp, NULL, fd};
		socket->watch = watch_new(smtp->loop, fd, on_socket, socket);
		curl_multi_assign(smtp->multi, fd, socket);
	}
	watch_set(socket->watch,
		(what & CURL_POLL_IN ? WATCH_READ : 0) | (what & CURL_POLL_OUT ? WATCH_WRITE : 0));
	return 0;
}

struct smtp *
smtp_new(struct loop *loop, const struct smtp_server *server)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return NULL;
	struct smtp *smtp = mem_new(sizeof *smtp);
	smtp->loop = loop;
	smtp->server = *server;
	smtp->timer = timer_new(loop, on_timer, smtp);
	smtp->multi = curl_multi_init();
	if (!smtp->multi)
		abort();
	curl_multi_setopt(smtp->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(smtp->multi, CURLMOPT_SOCKETDATA, smtp);
	curl_multi_setopt(smtp->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(smtp->multi, CURLMOPT_TIMERDATA, smtp);
	curl_multi_setopt(smtp->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)CONNECTIONS_MAX);
	curl_multi_setopt(smtp->multi, CURLMOPT_MAXCONNECTS, (long)CACHE_MAX);
	return smtp;
}

void
smtp_free(struct smtp *smtp)
{
	if (!smtp)
		return;
	while (smtp->mails)
		mail_free(smtp->mails);
	curl_multi_cleanup(smtp->multi);
	timer_free(smtp->timer);
	curl_global_cleanup();
	free(smtp);
}

static size_t
on_read(char *out, size_t size, size_t count, void *user)
{
	struct mail *mail = user;
	size_t n = size * count;
	if (n > mail->len - mail->sent)
		n = mail->len - mail->sent;
	memcpy(out, mail->message + mail->sent, n);
	mail->sent += n;
	return n;
}

/* Everything that is asked of libcurl, or none of it. */
static int
set_up(struct mail *mail, const char *from)
{
	const struct smtp_server *s = &mail->smtp->server;
	CURL *easy = mail->easy;
	CURLcode r = curl_easy_setopt(easy, CURLOPT_URL, s->url);
#define SET(OPTION, VALUE) (r = r ? r : curl_easy_setopt(easy, CURLOPT_##OPTION, VALUE))
	SET(PROTOCOLS_STR, "smtp,smtps");
	SET(USE_SSL, (long)(s->starttls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
	SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2); /* a third party's server: see the
							   requirements on mail relays */
	SET(MAIL_FROM, from);
	SET(MAIL_RCPT, mail->to);
	SET(UPLOAD, 1L);
	SET(READFUNCTION, on_read);
	SET(READDATA, mail);
	SET(INFILESIZE_LARGE, (curl_off_t)mail->len);
	SET(TIMEOUT_MS, (long)s->deadline_s * 1000);
	SET(NOSIGNAL, 1L);
	SET(ERRORBUFFER, mail->error);
	SET(PRIVATE, mail);
	SET(PROXY, "");
	if (s->user) {
		SET(USERNAME, s->user);
		SET(PASSWORD, s->password);
	}
	if (s->ca_file)
		SET(CAINFO, s->ca_file);
#undef SET
	return r == CURLE_OK ? 0 : -ERR_MAIL_FAILED;
}

int
smtp_send(struct smtp *smtp, const char *from, const char *to, const void *message, size_t len,
	smtp_fn *fn, void *user)
{
	char path[TO_SIZE];
	if (smtp->count >= MAILS_MAX)
		return -ERR_LIMIT;
	if (str_print(path, sizeof path, "<%s>", to) < 0)
		return -ERR_MAIL_ADDRESS;
	struct mail *mail = mem_new(sizeof *mail);
	*mail = (struct mail){.smtp = smtp, .len = len, .fn = fn, .user = user};
	mail->message = mem_new(len);
	memcpy(mail->message, message, len);
	mail->to = curl_slist_append(NULL, path);
	mail->easy = curl_easy_init();
	mail->link = &smtp->mails;
	mail->next = smtp->mails;
	if (mail->next)
		mail->next->link = &mail->next;
	smtp->mails = mail;
	smtp->count++;
	int r = mail->easy && mail->to ? set_up(mail, from) : -ENOMEM;
	if (r == 0 && curl_multi_add_handle(smtp->multi, mail->easy) != CURLM_OK)
		r = -ERR_MAIL_FAILED;
	if (r < 0)
		mail_free(mail);
	return r;
}
