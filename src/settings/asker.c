#include "settings/asker.h"

#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "agent/ask.h"
#include "base/err.h"
#include "base/mem.h"

struct asker {
	char *socket, *state_directory;
	GThreadPool *pool; /* of one thread, which alone has fd */
	int fd;
	gint dead; /* atomic */
};

struct question {
	struct asker *asker;
	uint16_t type;
	char *text;
	answer_fn *fn;
	void *user;
	int code;
	char answer[ASK_ANSWER_SIZE];
};

static void
question_free(struct question *q)
{
	mem_wipe_free(q->text, strlen(q->text));
	mem_wipe_free(q, sizeof *q);
}

static gboolean
on_answer(gpointer user)
{
	struct question *q = user;
	if (!g_atomic_int_get(&q->asker->dead))
		q->fn(q->user, q->code, q->answer);
	question_free(q);
	return G_SOURCE_REMOVE;
}

static int
connected(struct asker *asker)
{
	if (asker->fd < 0)
		asker->fd = ask_open(asker->socket, asker->state_directory);
	return asker->fd;
}

/* A connection on which nothing was asked for a while has been closed: once more on a new one. What
 * did reach the agent was answered, so nothing is done twice. */
static int
ask_again(struct question *q)
{
	int code = -ERR_CLOSED;
	for (int i = 0; i < 2 && code == -ERR_CLOSED; i++) {
		int fd = connected(q->asker);
		if (fd < 0)
			return fd;
		code = ask(fd, q->type, q->text, q->answer);
		if (code == -ERR_CLOSED || code == -ERR_TIMEOUT || code == -ERR_PROTOCOL) {
			close(fd);
			q->asker->fd = -1;
		}
	}
	return code;
}

static void
run(gpointer data, gpointer user)
{
	struct question *q = data;
	(void)user;
	q->code = g_atomic_int_get(&q->asker->dead) ? -ERR_CLOSED : ask_again(q);
	g_idle_add(on_answer, q);
}

struct asker *
asker_new(const char *socket, const char *state_directory)
{
	struct asker *asker = mem_new(sizeof *asker);
	asker->socket = mem_str(socket);
	asker->state_directory = mem_str(state_directory);
	asker->fd = -1;
	asker->pool = g_thread_pool_new(run, NULL, 1, TRUE, NULL);
	return asker;
}

void
asker_free(struct asker *asker)
{
	if (!asker)
		return;
	g_atomic_int_set(&asker->dead, 1);
	g_thread_pool_free(asker->pool, FALSE, TRUE);
	while (g_main_context_iteration(NULL, FALSE))
		; /* answers that nobody hears any more */
	if (asker->fd >= 0)
		close(asker->fd);
	g_free(asker->socket);
	g_free(asker->state_directory);
	g_free(asker);
}

void
asker_ask(struct asker *asker, uint16_t type, const char *text, answer_fn *fn, void *user)
{
	struct question *q = mem_new(sizeof *q);
	q->asker = asker;
	q->type = type;
	q->text = mem_str(text);
	q->fn = fn;
	q->user = user;
	g_thread_pool_push(asker->pool, q, NULL);
}
