/*
 * engawa-agent with a login or pump process in an attacker's hands: the monitor and all else are
 * the real ones. Beside the program lies PROGRAM.forged, read by each login and pump process when
 * it starts, with lines "ROLE WHEN N TIMES TYPE PAYLOAD": when that process is about to send its
 * N-th message to the monitor (WHEN = send), or has received its N-th (recv), it sends one of TYPE
 * first. PAYLOAD: "-" = empty, "again" = as the last one it sent, "*N" = N bytes 0xff,
 * "reply:KIND:TEXT" = an answer of the person. ROLE sign is the pump, on its socket for signatures.
 *
 * Each forged message, and each start of a process that could make a picture, is a line in the log.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/message.h"
#include "agent/role.h"
#include "base/ipc.h"
#include "base/log.h"

enum {
	FORGED_MAX = 64
};

struct forged {
	char role[8], when[8], payload[128];
	unsigned at, times, type;
};

static struct forged list[FORGED_MAX];
static size_t count;
static const char *own_role; /* NULL: not one of ours */
static unsigned sent, received;
static uint8_t last[IPC_PAYLOAD_MAX];
static size_t last_len;

int __real_login_main(const struct options *options);
int __real_pump_main(const struct options *options);
int __real_work_main(const struct options *options);
int __real_desktop_main(const struct options *options);
void __real_role_send(uint16_t type, const void *payload, size_t len, int fd);
int __real_ipc_recv(int sock, uint16_t *ret_type, void *payload, size_t cap, int *ret_fd);
int __wrap_login_main(const struct options *options);
int __wrap_pump_main(const struct options *options);
int __wrap_work_main(const struct options *options);
int __wrap_desktop_main(const struct options *options);
void __wrap_role_send(uint16_t type, const void *payload, size_t len, int fd);
int __wrap_ipc_recv(int sock, uint16_t *ret_type, void *payload, size_t cap, int *ret_fd);

/* Before the sandbox, while files may be opened. */
static void
take_over(const char *role)
{
	char path[4096 + 8] = "";
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 8);
	if (n > 0)
		memcpy(path + n, ".forged", sizeof ".forged");
	FILE *file = fopen(path, "r");
	own_role = role;
	for (struct forged *f = list; file && count < FORGED_MAX; f++, count++)
		if (fscanf(file, "%7s %7s %u %u %u %127s", f->role, f->when, &f->at, &f->times,
			    &f->type, f->payload) != 6)
			break;
	if (file)
		fclose(file);
}

static size_t
make(const char *text, uint8_t *out)
{
	struct reply reply = {0};
	unsigned kind;
	if (strcmp(text, "again") == 0) {
		memcpy(out, last, last_len);
		return last_len;
	}
	if (text[0] == '*') {
		size_t len = (size_t)atoi(text + 1) % IPC_PAYLOAD_MAX;
		memset(out, 0xff, len);
		return len;
	}
	if (sscanf(text, "reply:%u:%127s", &kind, reply.text) < 1)
		return 0;
	reply.kind = (uint8_t)kind;
	return reply_put(&reply, out);
}

static void
forge(const char *when, unsigned at)
{
	static uint8_t out[IPC_PAYLOAD_MAX];
	for (size_t i = 0; own_role && i < count; i++) {
		const struct forged *f = &list[i];
		int is_sign = strcmp(f->role, "sign") == 0 && strcmp(own_role, "pump") == 0;
		if ((!is_sign && strcmp(f->role, own_role) != 0) || strcmp(f->when, when) != 0 ||
			f->at != at)
			continue;
		size_t len = make(f->payload, out);
		LOG(WARN, "test.forged", F_STR("role", own_role), F_INT("type", f->type));
		for (unsigned k = 0; k < f->times; k++) /* with a descriptor, too */
			if (ipc_send(is_sign ? ROLE_SIGN : ROLE_CHANNEL, (uint16_t)f->type, out,
				    len, k ? -1 : STDERR_FILENO) < 0)
				return;
	}
}

int
__wrap_login_main(const struct options *options)
{
	take_over("login");
	return __real_login_main(options);
}

int
__wrap_pump_main(const struct options *options)
{
	take_over("pump");
	return __real_pump_main(options);
}

int
__wrap_work_main(const struct options *options)
{
	LOG(WARN, "test.started", F_STR("role", "work"));
	return __real_work_main(options);
}

int
__wrap_desktop_main(const struct options *options)
{
	LOG(WARN, "test.started", F_STR("role", "desktop"));
	return __real_desktop_main(options);
}

void
__wrap_role_send(uint16_t type, const void *payload, size_t len, int fd)
{
	forge("send", ++sent);
	if (len && len <= sizeof last)
		memcpy(last, payload, len);
	last_len = len <= sizeof last ? len : 0;
	__real_role_send(type, payload, len, fd);
}

int
__wrap_ipc_recv(int sock, uint16_t *ret_type, void *payload, size_t cap, int *ret_fd)
{
	int n = __real_ipc_recv(sock, ret_type, payload, cap, ret_fd);
	if (own_role && n >= 0 && sock == ROLE_CHANNEL)
		forge("recv", ++received);
	return n;
}
