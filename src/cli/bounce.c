/*
 * engawa bounce TOKEN < MAIL: a mail that could not be delivered, from the mail server (a pipe of
 * postfix, docs/operations.md 8). Whose it was says the token, what became of it the mail; nothing
 * else of it goes on. It is read without any rights, behind a descriptor that is open already.
 *
 * Exit status: 0 done, or nothing to be done; 75 (EX_TEMPFAIL): the mail server shall try again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "base/str.h"
#include "base/wire.h"
#include "cli/args.h"
#include "cli/command.h"
#include "cli/dsn.h"
#include "controller/bounce.h"

enum {
	ANSWER_S = 30,
	QUESTION_BYTES = 1 + 2 + BOUNCE_TOKEN_CHARS + 2 + BOUNCE_STATUS_SIZE,
};

struct bounce_settings {
	char *socket;
};

static const struct conf_option table[] = {
	{"SOCKET", CONF_STR, offsetof(struct bounce_settings, socket), "/run/engawa/bounce.sock", 0,
		0, "the controller's"},
	CONF_OPTIONS_END,
};

static int
dial(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const struct timeval wait = {.tv_sec = ANSWER_S};
	int r = str_copy(sa.sun_path, sizeof sa.sun_path, path);
	if (r < 0)
		return r;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0 ||
		connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

/* The beginning of the mail; the rest is read away, so that the mail server is not cut off. */
static size_t
read_mail(char *mail)
{
	char rest[4096];
	size_t len = fread(mail, 1, DSN_MAX_BYTES, stdin);
	while (fread(rest, 1, sizeof rest, stdin) > 0)
		;
	return len;
}

static int
ask(int fd, const char *token, const struct dsn *dsn)
{
	uint8_t question[QUESTION_BYTES], answer[16];
	struct wr w = wr_init(question, sizeof question);
	uint16_t type;
	wr_u8(&w, dsn->action == DSN_DELAYED);
	wr_text(&w, token);
	wr_text(&w, dsn->status);
	int r = ipc_send(fd, BOUNCE_REPORT, question, w.len, -1);
	if (r == 0)
		r = ipc_recv(fd, &type, answer, sizeof answer, NULL);
	if (r < 0)
		return -ERR_CLOSED; /* the system's own words are in files, which the sandbox closes
				     */
	struct rd rd = rd_init(answer, (size_t)r);
	uint32_t code = rd_u32(&rd);
	return type == BOUNCE_ANSWER && rd_done(&rd) && code < 100000 ? -(int)code : -ERR_PROTOCOL;
}

/* A token of nobody's is no reason to send anything back: that goes to people who have nothing to
 * do with it. */
static int
status_of(int r)
{
	if (r == 0)
		return EX_OK;
	command_fail(command_error(r), NULL);
	return r == -ERR_NOT_FOUND ? EX_OK : EX_TEMPFAIL;
}

/* Anybody can write to the address, with anything in the token's place. */
static int
is_token(const char *text)
{
	return strlen(text) == BOUNCE_TOKEN_CHARS &&
	       !text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz234567")];
}

int
command_bounce(int argc, char **argv)
{
	struct bounce_settings s = {0};
	struct args args;
	struct dsn dsn;
	int r = args_take(table, &s, "bounce", argc, argv, &args);
	if (r != 0 || args.count != 1) {
		if (r == 0)
			fprintf(stderr, "engawa bounce TOKEN < MAIL\n");
		conf_free(table, &s);
		return r > 0 ? 0 : 2;
	}
	int fd = is_token(args.words[0]) ? dial(s.socket) : -ERR_NOT_FOUND;
	conf_free(table, &s);
	if (fd < 0)
		return status_of(fd);
	char *mail = mem_new(DSN_MAX_BYTES);
	r = sandbox_no_files();
	if (r == 0)
		r = sandbox_calls(SANDBOX_IO);
	if (r == 0)
		r = dsn_read(mail, read_mail(mail), &dsn);
	if (r == 0 && dsn.action != DSN_NONE)
		r = ask(fd, args.words[0], &dsn);
	close(fd);
	free(mail);
	return status_of(r);
}
