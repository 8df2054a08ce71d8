#include "cli/connect_answer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/command.h"

enum {
	TEXT_SIZE = 512,     /* of Reply.text */
	COMMAND_MS = 300000, /* the life of a code */
	COMMAND_TRIES = 3,
};

/* What the loop holds of a running command; it may outlive the answer. */
struct command {
	struct answer *answer; /* NULL when that is gone */
	pid_t pid;
};

struct answer {
	struct loop *loop;
	struct answer_sources sources;
	answer_fn *fn;
	void *user;

	struct command *command;
	unsigned tries;
	int fd; /* the command's output, or the terminal; -1 */
	int echo_off;
	struct termios saved;
	struct watch *watch;
	struct timer *timer; /* limit of the command; 0 ms: the answer is there */
	int code;
	char text[TEXT_SIZE], name[128];
	size_t len;
};

static int
japanese(void)
{
	return command_language() == ERR_LANG_JA;
}

static void
close_source(struct answer *a)
{
	timer_stop(a->timer);
	watch_free(a->watch);
	a->watch = NULL;
	if (a->echo_off) {
		tcsetattr(a->fd, TCSANOW, &a->saved);
		fprintf(stderr, "\n");
	}
	a->echo_off = 0;
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

static void
report(struct answer *a)
{
	close_source(a);
	while (a->len > 0 && strchr("\r\n", a->text[a->len - 1]))
		a->len--;
	a->text[a->len] = '\0';
	a->fn(a->user, a->code < 0 ? NULL : a->text, a->code);
	mem_wipe(a->text, sizeof a->text);
	a->len = 0;
}

static void
kill_command(struct answer *a)
{
	/* all that the shell started; or only it, when setsid has not run yet */
	if (kill(-a->command->pid, SIGTERM) < 0)
		kill(a->command->pid, SIGTERM);
}

static void
on_timer(void *user)
{
	struct answer *a = user;
	if (a->command) {
		kill_command(a);
		a->command->answer = NULL;
		a->command = NULL;
		a->code = -ERR_TIMEOUT;
	}
	report(a);
}

/* From the loop, so that fn is never called inside of answer_start. */
static void
report_soon(struct answer *a, int code)
{
	a->code = code;
	timer_start(a->timer, 0, 0);
}

/* Takes what is there. 1 at the end of file, 0 when more may come, negative. */
static int
take(struct answer *a)
{
	for (;;) {
		size_t room = sizeof a->text - 1 - a->len;
		ssize_t n = read(a->fd, a->text + a->len, room);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n == 0)
			return room == 0 ? -ERR_TOO_LONG : 1;
		a->len += (size_t)n;
	}
}

static void
on_pipe(void *user, int ready)
{
	struct answer *a = user;
	(void)ready;
	if (take(a) != 0)
		watch_set(a->watch, 0); /* the command's end tells the rest */
}

static void
on_command(void *user, pid_t pid, int status)
{
	struct command *command = user;
	struct answer *a = command->answer;
	(void)pid;
	free(command);
	if (!a)
		return;
	a->command = NULL;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || take(a) < 0 || a->len == 0)
		a->code = -ERR_NO_ANSWER;
	report(a);
}

int
answer_is_key(const engawa_Prompt *prompt)
{
	return prompt->kind == engawa_PromptKind_PROMPT_WEBAUTHN ||
	       prompt->kind == engawa_PromptKind_PROMPT_WEBAUTHN_NEW;
}

static const char *
prompt_name(engawa_PromptKind kind)
{
	return kind == engawa_PromptKind_PROMPT_TOTP           ? "totp"
	       : kind == engawa_PromptKind_PROMPT_RECOVERY     ? "recovery"
	       : kind == engawa_PromptKind_PROMPT_WEBAUTHN     ? "key"
	       : kind == engawa_PromptKind_PROMPT_WEBAUTHN_NEW ? "new-key"
							       : "mail";
}

/* The environment of ours, and what the mail will say. Strings are borrowed except the first four.
 */
static char **
make_environment(const engawa_Prompt *prompt, const char *const words[2])
{
	extern char **environ;
	size_t count = 0, n = 0;
	while (environ[count])
		count++;
	char **env = mem_new((count + 5) * sizeof *env);
	char text[2 * sizeof prompt->words[0] + sizeof prompt->masked_address];
	snprintf(text, sizeof text, "ENGAWA_WORD1=%s", words[0]);
	env[n++] = mem_str(text);
	snprintf(text, sizeof text, "ENGAWA_WORD2=%s", words[1]);
	env[n++] = mem_str(text);
	snprintf(text, sizeof text, "ENGAWA_ADDRESS=%s", prompt->masked_address);
	env[n++] = mem_str(text);
	snprintf(text, sizeof text, "ENGAWA_PROMPT=%s", prompt_name(prompt->kind));
	env[n++] = mem_str(text);
	for (size_t i = 0; i < count; i++)
		if (strncmp(environ[i], "ENGAWA_WORD", 11) != 0 &&
			strncmp(environ[i], "ENGAWA_PROMPT=", 14) != 0 &&
			strncmp(environ[i], "ENGAWA_ADDRESS=", 15) != 0)
			env[n++] = environ[i];
	return env;
}

static int
run_command(struct answer *a, const engawa_Prompt *prompt, const char *const words[2])
{
	int pipes[2];
	char *script;
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	/* our own stdout has the result: the command's is the pipe */
	if (asprintf(&script, "exec >&3 3>&-\n%s", a->sources.code_command) < 0) {
		close(pipes[0]);
		close(pipes[1]);
		return -ENOMEM;
	}
	char *argv[] = {"/usr/bin/setsid", "/bin/sh", "-c", script, NULL};
	char **env = make_environment(prompt, words);
	struct command *command = mem_new(sizeof *command);
	command->answer = a;
	int r = child_start(a->loop, argv, env, &pipes[1], 1, on_command, command, &command->pid);
	for (int i = 0; i < 4; i++)
		free(env[i]);
	free(env);
	free(script);
	close(pipes[1]);
	if (r < 0) {
		close(pipes[0]);
		free(command);
		return r;
	}
	fcntl(pipes[0], F_SETFL, O_NONBLOCK);
	a->command = command;
	a->fd = pipes[0];
	a->watch = watch_new(a->loop, a->fd, on_pipe, a);
	watch_set(a->watch, WATCH_READ);
	timer_start(a->timer, prompt->expires_s ? prompt->expires_s * 1000u : COMMAND_MS, 0);
	return 0;
}

static int
read_password(struct answer *a)
{
	int r = conf_read_secret_line(a->sources.password_file, a->text, sizeof a->text);
	a->len = r == 0 ? strlen(a->text) : 0;
	return r;
}

/* Where nobody was told one, and none is needed, the answer is empty. */
static int
take_pairing(struct answer *a)
{
	const char *code = a->sources.pairing_code ? a->sources.pairing_code : "";
	int r = str_copy(a->text, sizeof a->text, code);
	a->len = strlen(a->text);
	return r < 0 ? -ERR_TOO_LONG : 0;
}

static void
on_tty(void *user, int ready)
{
	struct answer *a = user;
	(void)ready;
	int r = take(a);
	if (r == 0 && !memchr(a->text, '\n', a->len))
		return;
	if (r < 0 || a->len == 0)
		a->code = -ERR_NO_ANSWER;
	report(a);
}

/* How to answer with a security key: its PIN, or a hyphen for one that has none. */
static void
print_key_question(const engawa_Prompt *prompt, int ja)
{
	if (prompt->kind == engawa_PromptKind_PROMPT_WEBAUTHN_NEW)
		fprintf(stderr,
			ja ? "登録コードを確認しました。登録するセキュリティキーを差し込んでください。\n"
			   : "The registration code was right. Plug in the security key to register.\n");
	else
		fprintf(stderr, ja ? "登録済みのセキュリティキーを差し込んでください。\n"
				   : "Plug in your registered security key.\n");
	fprintf(stderr,
		ja ? "キーのPIN (PINがなければ「-」、手元になければ空のまま): "
		   : "PIN of the key (\"-\" for none, empty when the key is not at hand): ");
}

static void
print_mail_question(const engawa_Prompt *prompt, const char *const words[2], int ja)
{
	if (prompt->new_address)
		fprintf(stderr,
			ja ? "確認コードの送り先の変更が申し込まれています。心当たりがなければ空のままにして、管理者に連絡してください。\n"
			   : "Somebody asked for codes to go to another address. If that was not you, leave the code empty and tell the administrator.\n");
	fprintf(stderr,
		ja ? "%s にメールを送りました。メールの照合語が「%s・%s」であることを確かめてください。\n"
		   : "A mail was sent to %s. Check that its words are \"%s %s\".\n",
		prompt->masked_address, words[0], words[1]);
	if (!prompt->new_address)
		fprintf(stderr,
			ja ? "数分待っても届かないときは、迷惑メールも確認し、空のままEnterを押すと送り直します。\n"
			     "メールの確認コードは旧方式です。認証アプリやセキュリティキーのほうが安全です。登録については管理者にお尋ねください。\n"
			   : "It can take some minutes. If it does not come, look into the junk mail; an empty line sends it again.\n"
			     "Codes by mail are the old way. An authenticator app or a security key is safer: ask your administrator how to register one.\n");
	fprintf(stderr, ja ? "確認コード (%u桁): " : "Code (%u digits): ", prompt->digits);
}

static void
print_question(const engawa_Prompt *prompt, const char *const words[2])
{
	int ja = japanese();
	if (prompt->wrong)
		fprintf(stderr, "%s\n",
			err_text((int)prompt->wrong, ja ? ERR_LANG_JA : ERR_LANG_EN));
	if (prompt->kind == engawa_PromptKind_PROMPT_PASSWORD) {
		fprintf(stderr, ja ? "パスワード: " : "Password: ");
		return;
	}
	if (prompt->kind == engawa_PromptKind_PROMPT_PAIRING) {
		fprintf(stderr,
			ja ? "庁内PCに表示されたペアリングコード%s: "
			   : "Pairing code that the office PC shows%s: ",
			!prompt->optional ? ""
			: ja              ? " (登録せずに進むときは空のまま)"
					  : " (empty: go on without registering)");
		return;
	}
	if (prompt->kind == engawa_PromptKind_PROMPT_TOTP) {
		fprintf(stderr,
			ja ? "認証アプリの確認コード (%u桁、手元になければ空のまま): "
			   : "Code of your authenticator app (%u digits, empty when it is not at hand): ",
			prompt->digits);
		return;
	}
	if (prompt->kind == engawa_PromptKind_PROMPT_RECOVERY) {
		fprintf(stderr,
			ja ? "回復コード・緊急用コード・登録コード (ほかの方法は空のまま): "
			   : "Recovery, emergency or registration code (empty for another way): ");
		return;
	}
	if (answer_is_key(prompt))
		print_key_question(prompt, ja);
	else
		print_mail_question(prompt, words, ja);
}

static int
ask(struct answer *a, const engawa_Prompt *prompt, const char *const words[2])
{
	a->fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (a->fd < 0)
		return -ERR_NO_ANSWER;
	if ((prompt->kind == engawa_PromptKind_PROMPT_PASSWORD || answer_is_key(prompt)) &&
		tcgetattr(a->fd, &a->saved) == 0) {
		struct termios silent = a->saved;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		a->echo_off = tcsetattr(a->fd, TCSAFLUSH, &silent) == 0;
	}
	print_question(prompt, words); /* after that: who types at once is not echoed */
	a->watch = watch_new(a->loop, a->fd, on_tty, a);
	watch_set(a->watch, WATCH_READ);
	return 0;
}

/* A line with the name first, where the prompt asks who it is. A file has no name: --user has. */
static int
ask_name(struct answer *a)
{
	char line[sizeof a->name + 1] = "";
	FILE *tty = fopen("/dev/tty", "r+e");
	if (!tty)
		return -ERR_PERSON_NAME;
	fprintf(tty, japanese() ? "利用者名: " : "User name: ");
	fflush(tty);
	char *got = fgets(line, sizeof line, tty);
	fclose(tty);
	line[strcspn(line, "\r\n")] = '\0';
	return got && line[0] ? str_copy(a->name, sizeof a->name, line) : -ERR_PERSON_NAME;
}

const char *
answer_name(const struct answer *a)
{
	return a->name;
}

void
answer_start(struct answer *a, const engawa_Prompt *prompt, const char *const words[2])
{
	int is_pairing = prompt->kind == engawa_PromptKind_PROMPT_PAIRING;
	int is_code = !is_pairing && prompt->kind != engawa_PromptKind_PROMPT_PASSWORD;
	int automatic = is_pairing ? a->sources.pairing_code != NULL ||
					     (prompt->optional && a->sources.code_command)
			: is_code ? a->sources.code_command != NULL
				  : a->sources.password_file != NULL;
	int again = is_code && prompt->wrong == ERR_CODE_EXPIRED && ++a->tries < COMMAND_TRIES;
	int r;
	a->code = 0;
	a->len = 0;
	if (prompt->person && (automatic || ask_name(a) < 0)) {
		report_soon(a, -ERR_PERSON_NAME);
		return;
	}
	if (automatic && prompt->wrong && !again) {
		report_soon(a, -(int)prompt->wrong);
		return;
	}
	if (!automatic)
		r = ask(a, prompt, words);
	else if (is_code)
		r = run_command(a, prompt, words);
	else
		r = is_pairing ? take_pairing(a) : read_password(a);
	if (r < 0 || (automatic && !is_code))
		report_soon(a, r);
}

struct answer *
answer_new(struct loop *loop, const struct answer_sources *sources, answer_fn *fn, void *user)
{
	struct answer *a = mem_new(sizeof *a);
	a->loop = loop;
	a->sources = *sources;
	a->fn = fn;
	a->user = user;
	a->fd = -1;
	a->timer = timer_new(loop, on_timer, a);
	return a;
}

void
answer_free(struct answer *a)
{
	if (!a)
		return;
	if (a->command)
		kill_command(a);
	free(a->command); /* the loop, which holds it too, has run its last */
	close_source(a);
	timer_free(a->timer);
	mem_wipe_free(a, sizeof *a);
}
