#include "controller/presence.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

enum {
	SESSIONS_MAX = 200000,
	ISSUED_MAX = 65536,
	ISSUED_LIFE_S = 1800,
};

struct place {
	struct link *link;
	uint8_t instance[PRESENCE_ID_BYTES];
};

/* Everything in a tree begins with its 16-byte id. */
struct waiting {
	uint8_t id[PRESENCE_ID_BYTES];
	size_t count;
	struct place places[PRESENCE_GATES_MAX];
};

/* One at each office PC. */
struct kept {
	uint8_t agent[PRESENCE_ID_BYTES];
	struct presence_session session;
};

struct issued {
	uint8_t id[PRESENCE_ID_BYTES], agent[PRESENCE_ID_BYTES];
	uint64_t time_s;
};

struct presence {
	void *waiting, *sessions, *kept, *issued; /* tsearch trees */
	size_t session_count, kept_count;
	struct issued *ring; /* storage of the issued tree, oldest overwritten */
	size_t ring_next;
};

static int
by_id(const void *a, const void *b)
{
	return memcmp(a, b, PRESENCE_ID_BYTES);
}

static void *
find(void *const *tree, const uint8_t *id)
{
	void *node = tfind(id, tree, by_id);
	return node ? *(void **)node : NULL;
}

static void
insert(void **tree, void *object)
{
	if (!tsearch(object, tree, by_id))
		abort(); /* out of memory for a tree node */
}

struct presence *
presence_new(void)
{
	struct presence *presence = mem_new(sizeof *presence);
	presence->ring = mem_new(ISSUED_MAX * sizeof *presence->ring);
	return presence;
}

static void
keep(void *node)
{
	(void)node;
}

void
presence_free(struct presence *presence)
{
	if (!presence)
		return;
	tdestroy(presence->waiting, free);
	tdestroy(presence->sessions, free);
	tdestroy(presence->kept, free);
	tdestroy(presence->issued, keep);
	free(presence->ring);
	free(presence);
}

int
presence_up(
	struct presence *presence, const uint8_t *agent, const uint8_t *instance, struct link *link)
{
	struct waiting *w = find(&presence->waiting, agent);
	int other = 0;
	if (!w) {
		w = mem_new(sizeof *w);
		memcpy(w->id, agent, sizeof w->id);
		insert(&presence->waiting, w);
	}
	for (size_t i = 0; i < w->count; i++) {
		int same = memcmp(w->places[i].instance, instance, PRESENCE_ID_BYTES) == 0;
		if (same && w->places[i].link == link)
			return 0;
		other |= !same;
	}
	if (w->count == PRESENCE_GATES_MAX)
		return -ERR_LIMIT;
	struct place *place = &w->places[w->count++];
	place->link = link;
	memcpy(place->instance, instance, sizeof place->instance);
	return other;
}

static void
remove_places(struct waiting *w, const uint8_t *instance, const struct link *link)
{
	size_t kept = 0;
	for (size_t i = 0; i < w->count; i++) {
		const struct place *p = &w->places[i];
		if (p->link != link ||
			(instance && memcmp(p->instance, instance, PRESENCE_ID_BYTES) != 0))
			w->places[kept++] = *p;
	}
	w->count = kept;
}

static void
drop_if_empty(struct presence *presence, struct waiting *w)
{
	if (w->count > 0)
		return;
	tdelete(w, &presence->waiting, by_id);
	free(w);
}

void
presence_down(struct presence *presence, const uint8_t *agent, const uint8_t *instance,
	const struct link *link)
{
	struct waiting *w = find(&presence->waiting, agent);
	if (!w)
		return;
	remove_places(w, instance, link);
	drop_if_empty(presence, w);
}

size_t
presence_links(const struct presence *presence, const uint8_t *agent,
	struct link *ret_links[static PRESENCE_GATES_MAX])
{
	const struct waiting *w = find(&presence->waiting, agent);
	for (size_t i = 0; w && i < w->count; i++)
		ret_links[i] = w->places[i].link;
	return w ? w->count : 0;
}

/* A walk must not change its tree: what it finds is collected first. */
struct collection {
	const struct link *link;
	void **objects;
	size_t count, cap;
};

static void
collect(struct collection *c, void *object)
{
	if (c->count == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 64;
		void **objects = mem_resize(c->objects, c->cap, sizeof *objects);
		if (!objects)
			abort();
		c->objects = objects;
	}
	c->objects[c->count++] = object;
}

static void
on_waiting(const void *node, VISIT visit, void *user)
{
	struct collection *c = user;
	struct waiting *w = *(struct waiting *const *)node;
	if (visit != preorder && visit != leaf)
		return;
	for (size_t i = 0; i < w->count; i++) {
		if (w->places[i].link == c->link) {
			collect(c, w);
			return;
		}
	}
}

static void
on_session(const void *node, VISIT visit, void *user)
{
	struct collection *c = user;
	struct presence_session *s = *(struct presence_session *const *)node;
	if ((visit == preorder || visit == leaf) && (!c->link || s->link == c->link))
		collect(c, s);
}

static void
on_kept(const void *node, VISIT visit, void *user)
{
	if (visit == preorder || visit == leaf)
		collect(user, *(void *const *)node);
}

size_t
presence_agents(const struct presence *presence, const struct link *link)
{
	struct collection c = {.link = link};
	twalk_r(presence->waiting, on_waiting, &c);
	free(c.objects);
	return c.count;
}

int
presence_session_up(struct presence *presence, const struct presence_session *session)
{
	struct presence_session *known = find(&presence->sessions, session->id);
	if (known) {
		/* it has gone over to another worker, whose word counts from now on */
		if (memcmp(known->agent, session->agent, sizeof known->agent) == 0)
			known->link = session->link;
		return -ERR_EXISTS;
	}
	if (presence->session_count >= SESSIONS_MAX)
		return -ERR_LIMIT;
	struct presence_session *copy = mem_new(sizeof *copy);
	*copy = *session;
	insert(&presence->sessions, copy);
	presence->session_count++;
	return 0;
}

void
presence_session_waits(
	struct presence *presence, const uint8_t *agent, const struct presence_session *session)
{
	struct kept *kept = find(&presence->kept, agent);
	if (!session) {
		if (!kept)
			return;
		tdelete(kept, &presence->kept, by_id);
		free(kept);
		presence->kept_count--;
		return;
	}
	if (!kept) {
		if (presence->kept_count >= SESSIONS_MAX)
			return; /* it can still be ended with all others of its office PC */
		kept = mem_new(sizeof *kept);
		memcpy(kept->agent, agent, sizeof kept->agent);
		insert(&presence->kept, kept);
		presence->kept_count++;
	}
	kept->session = *session;
	memcpy(kept->session.agent, agent, sizeof kept->session.agent);
	kept->session.link = NULL;
}

const struct presence_session *
presence_session(const struct presence *presence, const uint8_t *id, uint64_t now_s)
{
	struct collection c = {0};
	const struct presence_session *found = find(&presence->sessions, id);
	if (found)
		return found;
	twalk_r(presence->kept, on_kept, &c);
	for (size_t i = 0; i < c.count && !found; i++) {
		const struct kept *kept = c.objects[i];
		if (by_id(kept->session.id, id) == 0 && now_s < kept->session.until_s)
			found = &kept->session;
	}
	free(c.objects);
	return found;
}

void
presence_session_down(struct presence *presence, const uint8_t *id)
{
	struct presence_session *s = find(&presence->sessions, id);
	if (!s)
		return;
	tdelete(s, &presence->sessions, by_id);
	free(s);
	presence->session_count--;
}

void
presence_sessions(
	const struct presence *presence, uint64_t now_s, presence_session_fn *fn, void *user)
{
	struct collection c = {0}, waiting = {0};
	twalk_r(presence->sessions, on_session, &c);
	for (size_t i = 0; i < c.count; i++)
		fn(user, c.objects[i]);
	free(c.objects);
	twalk_r(presence->kept, on_kept, &waiting);
	for (size_t i = 0; i < waiting.count; i++) {
		const struct kept *kept = waiting.objects[i];
		/* the office PC may have heard of the end of a path sooner than its gate */
		if (now_s < kept->session.until_s && !find(&presence->sessions, kept->session.id))
			fn(user, &kept->session);
	}
	free(waiting.objects);
}

void
presence_link_gone(
	struct presence *presence, const struct link *link, presence_session_fn *fn, void *user)
{
	struct collection agents = {.link = link}, sessions = {.link = link};
	twalk_r(presence->waiting, on_waiting, &agents);
	for (size_t i = 0; i < agents.count; i++) {
		remove_places(agents.objects[i], NULL, link);
		drop_if_empty(presence, agents.objects[i]);
	}
	twalk_r(presence->sessions, on_session, &sessions);
	for (size_t i = 0; i < sessions.count; i++) {
		struct presence_session *s = sessions.objects[i];
		fn(user, s);
		presence_session_down(presence, s->id);
	}
	free(agents.objects);
	free(sessions.objects);
}

void
presence_issued(
	struct presence *presence, const uint8_t *session, const uint8_t *agent, uint64_t now_s)
{
	struct issued *slot = &presence->ring[presence->ring_next];
	presence->ring_next = (presence->ring_next + 1) % ISSUED_MAX;
	if (slot->time_s)
		tdelete(slot, &presence->issued, by_id);
	memcpy(slot->id, session, sizeof slot->id);
	memcpy(slot->agent, agent, sizeof slot->agent);
	slot->time_s = now_s;
	insert(&presence->issued, slot);
}

int
presence_is_session_of(const struct presence *presence, const uint8_t *session,
	const uint8_t *agent, uint64_t now_s)
{
	const struct presence_session *running = find(&presence->sessions, session);
	if (running)
		return memcmp(running->agent, agent, PRESENCE_ID_BYTES) == 0;
	const struct issued *issued = find(&presence->issued, session);
	return issued && memcmp(issued->agent, agent, PRESENCE_ID_BYTES) == 0 &&
	       now_s - issued->time_s < ISSUED_LIFE_S;
}
