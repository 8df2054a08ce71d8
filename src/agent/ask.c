#include "agent/ask.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/message.h"
#include "agent/places.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"

/* Passwords are said to it: it must be root's, our own, or of whom the directory belongs to where
 * its socket is, and that directory nobody else can have put it into. */
static int
is_agent(int fd, const char *path)
{
	struct ucred server;
	socklen_t len = sizeof server;
	char copy[PATH_MAX];
	struct stat st;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &server, &len) < 0 ||
		str_copy(copy, sizeof copy, path) < 0 || stat(dirname(copy), &st) < 0)
		return 0;
	return server.uid == 0 || server.uid == geteuid() ||
	       (server.uid == st.st_uid && !(st.st_mode & S_IWOTH));
}

static int
connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = ASK_MS / 1000};
	if (str_copy(address.sun_path, sizeof address.sun_path, path) < 0)
		return -ENAMETOOLONG;
	errno = 0;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
		connect(fd, (struct sockaddr *)&address, sizeof address) == 0 && is_agent(fd, path))
		return fd;
	int r = errno ? -errno : -ERR_DENIED;
	if (fd >= 0)
		close(fd);
	return r == -ENOENT || r == -ECONNREFUSED ? -ERR_NOT_RUNNING : r;
}

int
ask_open(const char *path, const char *state_directory)
{
	static const char *const usual[] = {
		"/run/engawa-agent/agent.sock", "/var/lib/engawa-agent/agent.sock"};
	char own[PATH_MAX];
	if (path)
		return connect_to(path);
	if (state_directory)
		return str_print(own, sizeof own, "%s/agent.sock", state_directory) < 0
			       ? -ENAMETOOLONG
			       : connect_to(own);
	int fd = -ERR_NOT_RUNNING;
	if (geteuid() != 0 && places_run(own, sizeof own) == 0 &&
		str_print(own + strlen(own), sizeof own - strlen(own), "/agent.sock") == 0)
		fd = connect_to(own);
	if (fd == -ERR_NOT_RUNNING)
		fd = connect_to(usual[0]);
	return fd == -ERR_NOT_RUNNING ? connect_to(usual[1]) : fd;
}

static int
take_answer(uint16_t type, const uint8_t *answer, size_t len, char *ret_text)
{
	struct rd rd = rd_init(answer, len);
	uint32_t code = rd_u32(&rd);
	if (rd.failed || type != MSG_RESULT || code > INT_MAX)
		return -ERR_PROTOCOL;
	rd_copy(&rd, ret_text, len - 4);
	ret_text[len - 4] = '\0';
	return -(int)code;
}

int
ask(int fd, uint16_t type, const char *text, char ret_text[static ASK_ANSWER_SIZE])
{
	uint8_t answer[ASK_ANSWER_SIZE];
	uint16_t answer_type;
	ret_text[0] = '\0';
	int r = ipc_send(fd, type, text, strlen(text), -1);
	int n = r < 0 ? r : ipc_recv(fd, &answer_type, answer, sizeof answer, NULL);
	if (n < 0)
		return n == -EAGAIN                      ? -ERR_TIMEOUT
		       : n == -EPIPE || n == -ECONNRESET ? -ERR_CLOSED
							 : n;
	r = take_answer(answer_type, answer, (size_t)n, ret_text);
	mem_wipe(answer, sizeof answer);
	return r;
}
