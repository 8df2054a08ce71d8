/* Asking the helper without a loop. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "crypto/token.h"

/* Only theirs goes along: close-on-exec is made true for the rest, whatever a library forgot. */
static int
start(int theirs, pid_t *ret_pid)
{
	char *argv[] = {"/proc/self/exe", TOKEN_HELPER, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	sigemptyset(&none); /* threads of a pool have them all blocked */
	close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	int r = posix_spawn_file_actions_init(&actions);
	if (r)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r == 0) {
		r = posix_spawn_file_actions_addopen(
			&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
		if (r == 0)
			r = posix_spawn_file_actions_adddup2(&actions, theirs, TOKEN_CHANNEL);
		if (r == 0)
			r = posix_spawnattr_setsigmask(&attributes, &none);
		if (r == 0)
			r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
		/* modules find their settings in the environment: SOFTHSM2_CONF, HOME */
		if (r == 0)
			r = posix_spawn(ret_pid, argv[0], &actions, &attributes, argv, environ);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int
hear(int channel, uint64_t deadline_ms, struct token_answer *ret_answer)
{
	uint8_t in[TOKEN_ANSWER_MAX_BYTES];
	struct mono begun = mono_now();
	uint16_t type;
	int code, ready = 0;
	for (uint64_t gone = 0; ready <= 0; gone = mono_diff_ms(begun, mono_now())) {
		struct pollfd one = {.fd = channel, .events = POLLIN};
		if (gone >= deadline_ms)
			return -ERR_TOKEN_FAILED;
		uint64_t left = deadline_ms - gone;
		ready = poll(&one, 1, left < INT_MAX ? (int)left : INT_MAX);
		if (ready < 0 && errno != EINTR)
			return -errno;
	}
	int n = ipc_recv(channel, &type, in, sizeof in, NULL);
	if (n < 0 || type != TOKEN_MESSAGE ||
		token_answer_get(in, (size_t)n, &code, ret_answer) < 0)
		code = -ERR_TOKEN_FAILED;
	mem_wipe(in, sizeof in);
	return code;
}

int
token_call(const struct token_question *question, uint64_t deadline_ms,
	struct token_answer *ret_answer)
{
	uint8_t out[TOKEN_QUESTION_MAX_BYTES];
	int pair[2];
	pid_t pid;
	int r = ipc_pair(pair);
	if (r < 0)
		return r;
	r = start(pair[1], &pid);
	close(pair[1]);
	if (r == 0) {
		/* when it fails the helper is gone, and hear finds that out */
		ipc_send(pair[0], TOKEN_MESSAGE, out, token_question_put(question, out), -1);
		mem_wipe(out, sizeof out);
		r = hear(pair[0], deadline_ms, ret_answer);
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close(pair[0]);
	return r;
}
