#include "client/token_ask.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"

struct token_ask {
	struct loop *loop;
	pid_t pid;
	int channel, exited, freed;
	struct watch *watch;
	struct timer *timer;
	token_ask_fn *fn;
	void *user;
};

/* The loop still holds it until the helper has been reaped. */
static void
close_it(struct token_ask *ask)
{
	watch_free(ask->watch);
	timer_free(ask->timer);
	if (ask->channel >= 0)
		close(ask->channel);
	ask->watch = NULL;
	ask->timer = NULL;
	ask->channel = -1;
	if (!ask->exited)
		kill(ask->pid, SIGKILL);
}

static void
tell(struct token_ask *ask, int code, const struct token_answer *answer)
{
	token_ask_fn *fn = ask->fn;
	close_it(ask);
	ask->fn = NULL;
	if (fn)
		fn(ask->user, code, answer);
}

static void
on_answer(void *user, int ready)
{
	struct token_ask *ask = user;
	static uint8_t in[TOKEN_ANSWER_MAX_BYTES];
	static struct token_answer answer;
	uint16_t type;
	int code;
	(void)ready;
	int n = ipc_recv(ask->channel, &type, in, sizeof in, NULL);
	if (n == -EAGAIN)
		return;
	if (n < 0 || type != TOKEN_MESSAGE || token_answer_get(in, (size_t)n, &code, &answer) < 0)
		code = -ERR_TOKEN_FAILED;
	tell(ask, code, &answer);
}

static void
on_late(void *user)
{
	tell(user, -ERR_TOKEN_FAILED, NULL);
}

static void
on_exited(void *user, pid_t pid, int status)
{
	struct token_ask *ask = user;
	(void)pid, (void)status;
	ask->exited = 1;
	if (ask->freed)
		free(ask);
	/* else its answer, or the end of its channel, is read first */
}

static int
start(struct token_ask *ask, int theirs)
{
	char *argv[] = {"/proc/self/exe", TOKEN_HELPER, NULL};
	extern char **environ; /* modules find their settings there: SOFTHSM2_CONF, HOME */
	return child_start(ask->loop, argv, environ, &theirs, 1, on_exited, ask, &ask->pid);
}

struct token_ask *
token_ask_new(struct loop *loop, const struct token_question *question, uint64_t deadline_ms,
	token_ask_fn *fn, void *user)
{
	uint8_t out[TOKEN_QUESTION_MAX_BYTES];
	int pair[2];
	if (ipc_pair(pair) < 0)
		return NULL;
	struct token_ask *ask = mem_new(sizeof *ask);
	*ask = (struct token_ask){.loop = loop, .channel = pair[0], .fn = fn, .user = user};
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	int r = start(ask, pair[1]);
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		free(ask);
		return NULL;
	}
	ask->watch = watch_new(loop, pair[0], on_answer, ask);
	ask->timer = timer_new(loop, on_late, ask);
	watch_set(ask->watch, WATCH_READ);
	timer_start(ask->timer, deadline_ms, 0);
	/* when it fails the helper is gone, and on_answer finds that out */
	ipc_send(pair[0], TOKEN_MESSAGE, out, token_question_put(question, out), -1);
	mem_wipe(out, sizeof out);
	return ask;
}

void
token_ask_free(struct token_ask *ask)
{
	if (!ask)
		return;
	close_it(ask);
	ask->fn = NULL;
	ask->freed = 1;
	if (ask->exited)
		free(ask);
}
