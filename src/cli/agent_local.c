#include "cli/agent_local.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "agent/ask.h"
#include "agent/message.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/args.h"
#include "cli/command.h"

#define AT(field) offsetof(struct agent_settings, field)
static const struct conf_option options[] = {
	{"SOCKET", CONF_STR, AT(socket), NULL, 0, 0, "the agent's agent.sock"},
	{"STATE_DIRECTORY", CONF_STR, AT(state_directory), NULL, 0, 0,
		"the agent's directory, when agent.sock is there"},
	{"SETTINGS_PASSWORD_FILE", CONF_STR, AT(settings_password_file), NULL, 0, 0,
		"where settings have a password: a file with it, of its owner only; default: the terminal asks"},
	{"METHOD", CONF_STR, AT(method), NULL, 0, 0,
		"user add: password, pam, radius, ldap or certificate"},
	{"CERTIFICATE", CONF_STR, AT(certificate), NULL, 0, 0,
		"user add --method certificate: the one certificate that lets in, PEM"},
	{"EXPIRES", CONF_STR, AT(expires), NULL, 0, 0, "user: last day, YYYY-MM-DD"},
	{"PERSON", CONF_STR, AT(person), NULL, 0, 0,
		"key add: whose key, where there are several persons"},
	{"RESET", CONF_BOOL, AT(reset), "no", 0, 0, "mail: the administrator's way, at once"},
	{"CANCEL", CONF_BOOL, AT(cancel), "no", 0, 0, "mail: no change after all"},
	{"REMOVE", CONF_BOOL, AT(remove), "no", 0, 0,
		"forget the password or the address, end the pairing, start no more with the desktop"},
	CONF_OPTIONS_END,
};

static int
usage(void)
{
	fprintf(stderr,
		"engawa agent enrol --org FILE --code CODE [--org-fingerprint HEX] [--state-directory DIR]\n"
		"engawa agent organisation --org FILE [--org-fingerprint HEX] [--state-directory DIR]\n"
		"engawa agent backup FILE [--with-identity yes] [--passphrase-file FILE] [--state-directory DIR]\n"
		"engawa agent restore FILE [--other-terminal yes] [--passphrase-file FILE] [--state-directory DIR]\n"
		"engawa agent setup [--remove]           (user mode: an agent of one's own, without root)\n"
		"engawa agent password [--remove]        (asks for it, or reads one line)\n"
		"engawa agent settings-password [--remove]\n"
		"engawa agent mail ADDRESS [--reset] | --remove | --cancel\n"
		"engawa agent status\n"
		"engawa agent unlock\n"
		"engawa agent user list | add NAME [--method METHOD [--certificate FILE]] [--expires DAY]\n"
		"engawa agent user remove NAME | expire NAME [--expires DAY] | disable NAME | enable NAME | password NAME\n"
		"engawa agent pair [--remove]            (shows a pairing code)\n"
		"engawa agent device list | approve NUMBER [NAME] | reject DEVICE | remove DEVICE | name DEVICE NAME\n"
		"engawa agent mac list | add MAC [COMMENT] | remove MAC\n"
		"engawa agent totp [--remove]            (shows a QR code, asks for a code of the app)\n"
		"engawa agent recovery | emergency [--remove]\n"
		"engawa agent key list | add LABEL [--person NAME] | remove N | cancel\n"
		"engawa agent addresses list | allow NETWORK [N] | deny NETWORK [N] | remove N\n");
	return 2;
}

/* From the file, or from the terminal whatever the input is. */
static int
read_lock(const struct agent_settings *s, char text[static TEXT_SIZE])
{
	if (!s->settings_password_file)
		return agent_read_tty("設定用パスワード / Settings password", text);
	return conf_read_secret_line(s->settings_password_file, text, TEXT_SIZE);
}

/* The settings password first, on the same connection; a person may take longer over it than the
 * agent waits for a question. */
static int
ask_unlocked(const struct agent_settings *s, uint16_t type, const char *text, char *answer)
{
	char lock[TEXT_SIZE] = "";
	int r = read_lock(s, lock);
	int fd = r < 0 ? r : ask_open(s->socket, s->state_directory);
	if (fd >= 0)
		r = ask(fd, MSG_LOCK_OPEN, lock, answer);
	mem_wipe(lock, sizeof lock);
	if (fd < 0)
		return fd;
	if (r == 0)
		r = ask(fd, type, text, answer);
	close(fd);
	return r;
}

int
agent_ask(const struct agent_settings *s, uint16_t type, const char *text,
	char ret_text[static ANSWER_MAX_BYTES])
{
	int fd = ask_open(s->socket, s->state_directory);
	if (fd < 0)
		return fd;
	int r = ask(fd, type, text, ret_text);
	close(fd);
	return r == -ERR_SETTINGS_LOCKED ? ask_unlocked(s, type, text, ret_text) : r;
}

int
agent_present(const struct agent_settings *s, const char *name, char ret_text[static TEXT_SIZE])
{
	char answer[ANSWER_MAX_BYTES];
	int r = agent_ask(s, MSG_PROVE, name, answer);
	ret_text[0] = '\0';
	return r == -ERR_PASSWORD_PROTECTED
		       ? agent_read_line("いまのパスワード / Present password", ret_text)
		       : r;
}

/* On one connection: the proof is good for the next question of it. */
int
agent_ask_proved(const struct agent_settings *s, const char *name, const char *present,
	uint16_t type, const char *text, char ret_text[static ANSWER_MAX_BYTES])
{
	char proof[2 * TEXT_SIZE];
	if (!present[0])
		return agent_ask(s, type, text, ret_text);
	int fd = ask_open(s->socket, s->state_directory);
	int r = fd < 0 ? fd : str_print(proof, sizeof proof, "%s %s", name, present);
	if (r == 0)
		r = ask(fd, MSG_PROVE, proof, ret_text);
	mem_wipe(proof, sizeof proof);
	if (r == 0)
		r = ask(fd, type, text, ret_text);
	if (fd >= 0)
		close(fd);
	return r;
}

int
agent_read_tty(const char *prompt, char ret_text[static TEXT_SIZE])
{
	struct termios old, silent;
	FILE *tty = fopen("/dev/tty", "r+e");
	if (!tty || tcgetattr(fileno(tty), &old) < 0) {
		if (tty)
			fclose(tty);
		return -ERR_SETTINGS_LOCKED;
	}
	silent = old;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(fileno(tty), TCSAFLUSH, &silent);
	fprintf(tty, "%s: ", prompt);
	fflush(tty);
	setbuf(tty, NULL); /* no copy on the heap */
	char *line = fgets(ret_text, TEXT_SIZE, tty);
	tcsetattr(fileno(tty), TCSAFLUSH, &old);
	fprintf(tty, "\n");
	fclose(tty);
	if (!line)
		return -ERR_SETTINGS_LOCKED;
	ret_text[strcspn(ret_text, "\r\n")] = '\0';
	return 0;
}

int
agent_read_line(const char *prompt, char ret_text[static TEXT_SIZE])
{
	struct termios old, silent;
	int is_terminal = tcgetattr(STDIN_FILENO, &old) == 0;
	if (is_terminal) {
		silent = old;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
		fprintf(stderr, "%s: ", prompt);
	}
	char *line = fgets(ret_text, TEXT_SIZE, stdin);
	if (is_terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
		fprintf(stderr, "\n");
	}
	if (!line || strlen(ret_text) == TEXT_SIZE - 1)
		return -ERR_PASSWORD_WEAK;
	ret_text[strcspn(ret_text, "\r\n")] = '\0';
	return ret_text[0] ? 0 : -ERR_PASSWORD_WEAK;
}

int
agent_read_new(const char *prompt, char ret_text[static TEXT_SIZE])
{
	char again[TEXT_SIZE] = "";
	int r = agent_read_line(prompt, ret_text);
	if (r == 0 && isatty(STDIN_FILENO)) {
		r = agent_read_line("もう一度 / Again", again);
		if (r == 0 && strcmp(ret_text, again) != 0)
			r = -ERR_PASSWORD_WRONG;
	}
	mem_wipe(again, sizeof again);
	return r;
}

/* How many lines there were. */
static unsigned long
print_page(char *page, void (*print)(char *line))
{
	unsigned long count = 0;
	for (char *line = page, *end; (end = strchr(line, '\n')); line = end + 1, count++) {
		*end = '\0';
		if (print)
			print(line);
		else
			printf("%s\n", line);
	}
	return count;
}

int
agent_list(const struct agent_settings *s, uint16_t type, void (*print)(char *line))
{
	char question[32], answer[ANSWER_MAX_BYTES];
	unsigned long next = 1, count;
	do {
		snprintf(question, sizeof question, "list %lu", next);
		int r = agent_ask(s, type, question, answer);
		if (r == -ERR_NOT_FOUND) /* beyond the largest number that an entry can have */
			return 0;
		if (r < 0)
			return command_fail(r, NULL);
		count = print_page(answer, print);
		next += count;
	} while (count > 0);
	return 0;
}

int
agent_words(const struct args *args, char *out, size_t size)
{
	size_t len = 0;
	out[0] = '\0';
	for (int i = 0; i < args->count; i++) {
		int r = str_print(out + len, size - len, "%s%s", i ? " " : "", args->words[i]);
		if (r < 0)
			return r;
		len += strlen(out + len);
	}
	return 0;
}

static int
password(const struct agent_settings *s, uint16_t type, const char *prompt, char *answer)
{
	char text[TEXT_SIZE] = "", present[TEXT_SIZE];
	int r = agent_present(s, "", present);
	if (r == 0 && !s->remove)
		r = agent_read_new(prompt, text);
	if (r == 0)
		r = agent_ask_proved(s, "", present, type, text, answer);
	mem_wipe(text, sizeof text);
	mem_wipe(present, sizeof present);
	return r;
}

static int
run(const char *action, const struct agent_settings *s, const struct args *args)
{
	int status = strcmp(action, "user") == 0    ? agent_user(s, args)
		     : strcmp(action, "setup") == 0 ? agent_setup(s, args)
		     : strcmp(action, "key") == 0   ? agent_key(s, args)
		     : strcmp(action, "mail") == 0  ? agent_mail(s, args)
						    : agent_login(action, s, args);
	if (status == -1)
		status = agent_device(action, s, args);
	if (status >= 0)
		return status == 2 ? usage() : status;
	char answer[ANSWER_MAX_BYTES] = "";
	int r;
	if (args->count != 0)
		return usage();
	if (strcmp(action, "password") == 0)
		r = password(s, MSG_PASSWORD, "新しいパスワード / New password", answer);
	else if (strcmp(action, "settings-password") == 0)
		r = password(s, MSG_LOCK, "新しい設定用パスワード / New settings password", answer);
	else if (strcmp(action, "unlock") == 0)
		r = agent_ask(s, MSG_UNLOCK, "", answer);
	else
		r = agent_ask(s, MSG_STATUS, "", answer);
	if (r < 0)
		return command_fail(r, NULL);
	if (answer[0])
		printf("%s\n", answer);
	return 0;
}

/* The one beside this program, in sbin, or in the build tree. */
int
agent_program(char ret_path[static PATH_MAX])
{
	static const char *const places[] = {"", "/../sbin", "/../agent"};
	char self[PATH_MAX], path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n < 0)
		return -errno;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		if (str_print(path, sizeof path, "%s%s/engawa-agent", self, places[i]) == 0 &&
			access(path, X_OK) == 0 && realpath(path, ret_path))
			return 0;
	return -ENOENT;
}

/* By engawa-agent itself. */
static int
run_agent(int argc, char **argv)
{
	char path[PATH_MAX];
	char **args = mem_array((size_t)argc + 2, sizeof *args);
	int r = args ? agent_program(path) : -ENOMEM;
	if (r == 0) {
		args[0] = path;
		for (int i = 0; i < argc; i++)
			args[i + 1] = argv[i];
		execv(path, args);
		r = -errno;
	}
	free(args);
	return command_fail(r, "engawa-agent");
}

int
agent_is_local(const char *action)
{
	static const char *const actions[] = {"enrol", "organisation", "backup", "restore", "setup",
		"password", "mail", "status", "unlock", "settings-password", "user", "pair",
		"device", "mac", "addresses", "totp", "recovery", "emergency", "key"};
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
		if (strcmp(actions[i], action) == 0)
			return 1;
	return 0;
}

int
agent_local(int argc, char **argv)
{
	struct agent_settings settings = {0};
	struct args args;
	if (argc < 1 || !agent_is_local(argv[0]))
		return usage();
	if (strcmp(argv[0], "enrol") == 0 || strcmp(argv[0], "organisation") == 0 ||
		strcmp(argv[0], "backup") == 0 || strcmp(argv[0], "restore") == 0)
		return run_agent(argc, argv);
	int r = args_take(options, &settings, "engawa agent", argc, argv, &args);
	int status = r < 0 ? 2 : r > 0 ? 0 : run(argv[0], &settings, &args);
	conf_free(options, &settings);
	return status;
}
