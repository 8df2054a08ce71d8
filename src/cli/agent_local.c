#include "cli/agent_local.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "agent/message.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"
#include "cli/args.h"
#include "cli/command.h"

#define AT(field) offsetof(struct agent_settings, field)
static const struct conf_option options[] = {
	{"SOCKET", CONF_STR, AT(socket), NULL, 0, 0, "the agent's agent.sock"},
	{"STATE_DIRECTORY", CONF_STR, AT(state_directory), NULL, 0, 0,
		"the agent's directory, when agent.sock is there"},
	{"METHOD", CONF_STR, AT(method), NULL, 0, 0, "user add: password, pam, radius or ldap"},
	{"EXPIRES", CONF_STR, AT(expires), NULL, 0, 0, "user: last day, YYYY-MM-DD"},
	{"REMOVE", CONF_BOOL, AT(remove), "no", 0, 0, "forget the password or the address"},
	CONF_OPTIONS_END,
};

static int
usage(void)
{
	fprintf(stderr,
		"engawa agent enrol --org FILE --code CODE [--org-fingerprint HEX] [--state-directory DIR]\n"
		"engawa agent organisation --org FILE [--org-fingerprint HEX] [--state-directory DIR]\n"
		"engawa agent password [--remove]        (asks for it, or reads one line)\n"
		"engawa agent mail ADDRESS | --remove\n"
		"engawa agent status\n"
		"engawa agent unlock\n"
		"engawa agent user list | add NAME [--method METHOD] [--expires DAY]\n"
		"engawa agent user remove NAME | expire NAME [--expires DAY] | disable NAME | enable NAME | password NAME\n"
		"engawa agent totp [--remove]            (shows a QR code, asks for a code of the app)\n"
		"engawa agent recovery | emergency [--remove]\n"
		"engawa agent addresses list | allow NETWORK [N] | deny NETWORK [N] | remove N\n");
	return 2;
}

static int
connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (str_copy(address.sun_path, sizeof address.sun_path, path) < 0)
		return -ENAMETOOLONG;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	int r = -errno;
	if (fd >= 0)
		close(fd);
	return r == -ENOENT || r == -ECONNREFUSED ? -ERR_NOT_RUNNING : r;
}

static int
connect_agent(const struct agent_settings *s)
{
	static const char *const usual[] = {
		"/run/engawa-agent/agent.sock", "/var/lib/engawa-agent/agent.sock"};
	char path[PATH_MAX];
	if (s->socket)
		return connect_to(s->socket);
	if (s->state_directory)
		return str_print(path, sizeof path, "%s/agent.sock", s->state_directory) < 0
			       ? -ENAMETOOLONG
			       : connect_to(path);
	int fd = connect_to(usual[0]);
	return fd == -ERR_NOT_RUNNING ? connect_to(usual[1]) : fd;
}

int
agent_ask(const struct agent_settings *s, uint16_t type, const char *text,
	char ret_text[static ANSWER_MAX_BYTES])
{
	uint8_t answer[ANSWER_MAX_BYTES];
	uint16_t answer_type;
	int fd = connect_agent(s);
	if (fd < 0)
		return fd;
	int r = ipc_send(fd, type, text, strlen(text), -1);
	int n = r < 0 ? r : ipc_recv(fd, &answer_type, answer, sizeof answer, NULL);
	close(fd);
	if (n < 0)
		return n;
	struct rd rd = rd_init(answer, (size_t)n);
	uint32_t code = rd_u32(&rd);
	if (rd.failed || answer_type != MSG_RESULT || code > INT_MAX)
		return -ERR_PROTOCOL;
	rd_copy(&rd, ret_text, (size_t)n - 4);
	ret_text[n - 4] = '\0';
	return -(int)code;
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

static int
password(const struct agent_settings *s, char *answer)
{
	char text[TEXT_SIZE] = "", again[TEXT_SIZE] = "";
	int r = s->remove ? 0 : agent_read_line("新しいパスワード / New password", text);
	if (r == 0 && !s->remove && isatty(STDIN_FILENO)) {
		r = agent_read_line("もう一度 / Again", again);
		if (r == 0 && strcmp(text, again) != 0)
			r = -ERR_PASSWORD_WRONG;
	}
	if (r == 0)
		r = agent_ask(s, MSG_PASSWORD, text, answer);
	mem_wipe(text, sizeof text);
	mem_wipe(again, sizeof again);
	return r;
}

static int
run(const char *action, const struct agent_settings *s, const struct args *args)
{
	int status =
		strcmp(action, "user") == 0 ? agent_user(s, args) : agent_login(action, s, args);
	if (status >= 0)
		return status == 2 ? usage() : status;
	char answer[ANSWER_MAX_BYTES] = "";
	int r;
	int is_mail = strcmp(action, "mail") == 0;
	if (args->count != (is_mail && !s->remove ? 1 : 0))
		return usage();
	if (is_mail)
		r = agent_ask(s, MSG_MAIL, s->remove ? "" : args->words[0], answer);
	else if (strcmp(action, "password") == 0)
		r = password(s, answer);
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

/* By engawa-agent itself: the one beside this program, in sbin, or in the build tree. */
static int
run_agent(int argc, char **argv)
{
	static const char *const places[] = {"", "/../sbin", "/../agent"};
	char self[PATH_MAX], path[PATH_MAX];
	char **args = mem_array((size_t)argc + 2, sizeof *args);
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n < 0 || !args)
		return command_fail(ERR_INTERNAL, NULL);
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	for (int i = 0; i < argc; i++)
		args[i + 1] = argv[i];
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		if (str_print(path, sizeof path, "%s%s/engawa-agent", self, places[i]) < 0)
			continue;
		args[0] = path;
		execv(path, args);
	}
	free(args);
	return command_fail(-errno, "engawa-agent");
}

int
agent_is_local(const char *action)
{
	static const char *const actions[] = {"enrol", "organisation", "password", "mail", "status",
		"unlock", "user", "addresses", "totp", "recovery", "emergency"};
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
	if (strcmp(argv[0], "enrol") == 0 || strcmp(argv[0], "organisation") == 0)
		return run_agent(argc, argv);
	int r = args_take(options, &settings, "engawa agent", argc, argv, &args);
	int status = r < 0 ? 2 : r > 0 ? 0 : run(argv[0], &settings, &args);
	conf_free(options, &settings);
	return status;
}
