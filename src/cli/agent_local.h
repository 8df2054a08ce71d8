/* engawa agent enrol | password | settings-password | mail | status | unlock | addresses | totp |
 * recovery | emergency | key: at the office PC itself, through the agent's own socket. */
#pragma once
#include <limits.h>
#include <stdint.h>

#include "agent/ask.h"
#include "cli/args.h"

enum {
	TEXT_SIZE = 512,
	ANSWER_MAX_BYTES = ASK_ANSWER_SIZE
};

struct agent_settings {
	char *socket, *state_directory, *settings_password_file;
	char *certificate;      /* user */
	char *method, *expires; /* user */
	char *person;           /* key */
	int64_t remove, reset, cancel;
};

/* 1 when argv[1] of `engawa agent` is one of these. */
int agent_is_local(const char *action);
/* argv[0] is the action. Returns the exit status. */
int agent_local(int argc, char **argv);

/* agent_login.c: what concerns logins. -1 when the action is none of these, else the exit status.
 */
int agent_login(const char *action, const struct agent_settings *s, const struct args *args);

/* agent_user.c: persons. The exit status. */
/* -1 = not one of its actions. */
int agent_device(const char *action, const struct agent_settings *s, const struct args *args);
int agent_user(const struct agent_settings *s, const struct args *args);

/* agent_key.c: security keys. The exit status. */
int agent_key(const struct agent_settings *s, const struct args *args);

/* agent_setup.c: user mode. The exit status. */
int agent_setup(const struct agent_settings *s, const struct args *args);
/* The engawa-agent that belongs to this program. 0 or -errno. */
int agent_program(char ret_path[static PATH_MAX]);

/* agent_mail.c: the address for codes. The exit status. */
int agent_mail(const struct agent_settings *s, const struct args *args);

/* 1 when people at this terminal read Japanese. */
int agent_japanese(void);
/* One question, one answer: ret_text is what follows its code, terminated, and may be secret. The
 * agent's code, or why it could not be asked. */
int agent_ask(const struct agent_settings *s, uint16_t type, const char *text,
	char ret_text[static ANSWER_MAX_BYTES]);
/* The present password of this person ("": the single one), asked for where the agent wants it said
 * before it is changed; "" where it does not. 0 or negative. */
int agent_present(
	const struct agent_settings *s, const char *name, char ret_text[static TEXT_SIZE]);
/* agent_ask with it. */
int agent_ask_proved(const struct agent_settings *s, const char *name, const char *present,
	uint16_t type, const char *text, char ret_text[static ANSWER_MAX_BYTES]);
/* What it lists, in pages, for there may be more than fits an answer: each line to print (without
 * its end; it may be written in), NULL: as it is. The exit status. */
int agent_list(const struct agent_settings *s, uint16_t type, void (*print)(char *line));
/* The words with a space between. 0 or -ENAMETOOLONG. */
int agent_words(const struct args *args, char *out, size_t size);
/* A new secret: twice from a terminal, once from a pipe. 0, -ERR_PASSWORD_WRONG (not the same), or
 * as agent_read_line. */
int agent_read_new(const char *prompt, char ret_text[static TEXT_SIZE]);
/* A line from the terminal without echo, whatever the input is. 0, -ERR_SETTINGS_LOCKED: there is
 * no terminal. */
int agent_read_tty(const char *prompt, char ret_text[static TEXT_SIZE]);
/* A line from the terminal without echo, or from a pipe. 0 or -ERR_PASSWORD_WEAK (none, or too
 * long). */
int agent_read_line(const char *prompt, char ret_text[static TEXT_SIZE]);
