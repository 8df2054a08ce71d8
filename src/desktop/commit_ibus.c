#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "desktop/commit.h"

enum {
	CALL_US = 10 * 1000 * 1000,
	CHOOSE_MS = 4000,  /* until our engine is the chosen one: longer is not waited for */
	SENT_MS = 5000,    /* until a text has gone through */
	REFUSED_MS = 1000, /* nobody was there to take it: ask again after that */
	FRESH_MS = 100,    /* who is in front may be believed for so long */
	WAIT_MS = 50,
	NAME_SIZE = 128, /* of engines */
	ROUND_MAX = 64,  /* messages in one go */
};

#define IBUS "org.freedesktop.IBus"
#define IBUS_PATH "/org/freedesktop/IBus"
#define ENGINES "/org/freedesktop/IBus/Engine/Engawa"
#define ENGINE "engawa"
#define PATH_SIZE (sizeof ENGINES + 16)
/* The context that IBus has for itself, the first that it makes: nobody is behind it. */
#define NOBODY "/org/freedesktop/IBus/InputContext_1"

enum state {
	WAITING,
	READY,
	ASKING,
	CHOOSING,
	CHOSEN,
	RETURNING,
	GONE,
};

struct commit {
	sd_bus *bus;
	enum state state;
	struct mono since;         /* the state, or the question in it */
	struct mono text, pressed; /* the last of both */
	struct mono refused;       /* until then nobody takes it */
	struct mono known;         /* when focused was true */
	char before[NAME_SIZE];    /* the engine that was chosen, "" = none */
	unsigned made, engine;     /* engines so far; the living one, 0 = none */
	int focused;               /* somebody is behind the context in front */
	int sent, arrived;         /* the text under way; IBus has dealt with it */
	struct mono given;         /* the last one */
	sd_bus_slot *question;     /* the call that is waited for */
};

static void
enter(struct commit *c, enum state state, struct mono now)
{
	c->state = state;
	c->since = now;
}

/* For good: the bus of a session that ends, or an IBus that is none. */
static void
give_up(struct commit *c, const char *why, int r)
{
	if (c->state == GONE)
		return;
	LOG(WARN, "desktop.ibus_gone", F_STR("why", why), F_ERR("code", r));
	c->state = GONE; /* closed by commit_run, outside of the bus's own callbacks */
	c->sent = c->arrived = 0;
}

static int
refuse(struct commit *c, struct mono now)
{
	c->refused = mono_add_ms(now, REFUSED_MS);
	c->sent = c->arrived = 0;
	return -ERR_NOT_FOUND;
}

/* ---- questions: one at a time ---- */

/* Takes the message. */
static void
ask(struct commit *c, sd_bus_message *m, int r, sd_bus_message_handler_t on_answer)
{
	c->question = sd_bus_slot_unref(c->question);
	if (r >= 0)
		r = sd_bus_call_async(c->bus, &c->question, m, on_answer, c, CALL_US);
	sd_bus_message_unref(m);
	if (r < 0)
		give_up(c, "call", r);
}

/* NULL: no memory, or no bus any more. */
static sd_bus_message *
call(struct commit *c, const char *interface, const char *member)
{
	sd_bus_message *m = NULL;
	sd_bus_message_new_method_call(c->bus, &m, IBUS, IBUS_PATH, interface, member);
	return m;
}

static void
ask_property(struct commit *c, const char *name, sd_bus_message_handler_t on_answer)
{
	sd_bus_message *m = call(c, "org.freedesktop.DBus.Properties", "Get");
	ask(c, m, m ? sd_bus_message_append(m, "ss", IBUS, name) : -1, on_answer);
}

static void
choose(struct commit *c, const char *engine, sd_bus_message_handler_t on_answer)
{
	sd_bus_message *m = call(c, IBUS, "SetGlobalEngine");
	ask(c, m, m ? sd_bus_message_append(m, "s", engine) : -1, on_answer);
}

static int
on_registered(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct commit *c = user;
	(void)error;
	c->question = sd_bus_slot_unref(c->question);
	if (sd_bus_message_is_method_error(m, NULL)) {
		give_up(c, "not registered", 0);
		return 0;
	}
	LOG(INFO, "desktop.ibus");
	enter(c, READY, mono_now());
	return 0;
}

/* IBusComponent with one IBusEngineDesc, as ibus_serializable_serialize writes them. The layout
 * "default" leaves the keyboard as it is. */
static int
put_component(sd_bus_message *m)
{
	int r = sd_bus_message_open_container(m, 'v', "(sa{sv}ssssssssavav)");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'r', "sa{sv}ssssssssavav");
	if (r >= 0)
		r = sd_bus_message_append(m, "sa{sv}ssssssssav", "IBusComponent", 0,
			"org.freedesktop.IBus.Engawa", "Engawa", ENGAWA_VERSION, "Apache-2.0",
			"Engawa", "", "", "engawa", 0);
	if (r >= 0)
		r = sd_bus_message_append(m, "av", 1, "(sa{sv}ssssssssussssssss)", "IBusEngineDesc",
			0, ENGINE, "Engawa", "Text composed at home", "other", "Apache-2.0",
			"Engawa", "", "default", 0, "", "", "", "", "", ENGAWA_VERSION, "engawa",
			"");
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int
on_hello(sd_bus_message *answer, void *user, sd_bus_error *error)
{
	struct commit *c = user;
	(void)error;
	c->question = sd_bus_slot_unref(c->question);
	if (sd_bus_message_is_method_error(answer, NULL)) {
		give_up(c, "no hello", 0);
		return 0;
	}
	sd_bus_message *m = call(c, IBUS, "RegisterComponent");
	ask(c, m, m ? put_component(m) : -1, on_registered);
	return 0;
}

/* IBus calls without a destination, which the library does not take from a bus: for it this is a
 * peer, and the bus's greeting is our own. */
static void
greet(struct commit *c)
{
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(c->bus, &m, "org.freedesktop.DBus",
		"/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello");
	ask(c, m, r, on_hello);
}

/* Whose is the keyboard now? The answer also means that everything sent before has been dealt
 * with. */
static int
on_context(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct commit *c = user;
	const char *path = "";
	(void)error;
	c->question = sd_bus_slot_unref(c->question);
	int answered = !sd_bus_message_is_method_error(m, NULL);
	if (!answered || sd_bus_message_read(m, "v", "o", &path) < 0)
		path = "";
	c->focused = *path && strcmp(path, NOBODY) != 0;
	c->known = mono_now();
	/* "nobody in front" is an answer, too; a bus that went away gives none */
	c->arrived =
		c->sent && (answered || !sd_bus_message_is_method_error(m, SD_BUS_ERROR_NO_REPLY));
	return 0;
}

static void
ask_context(struct commit *c, struct mono now)
{
	c->since = now;
	ask_property(c, "CurrentInputContext", on_context);
}

static int
on_chosen(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct commit *c = user;
	struct mono now = mono_now();
	(void)error;
	c->question = sd_bus_slot_unref(c->question);
	if (sd_bus_message_is_method_error(m, NULL)) {
		LOG(DEBUG, "desktop.ibus_refuses",
			F_STR("why", sd_bus_message_get_error(m)->message));
		refuse(c, now);
		enter(c, READY, now);
	} else {
		enter(c, CHOSEN, now);
		ask_context(c, now);
	}
	return 0;
}

/* The name in an IBusEngineDesc, however many variants it is wrapped into. */
static int
engine_name(sd_bus_message *m, char *out, size_t size)
{
	const char *contents, *name;
	char type;
	int r;
	while ((r = sd_bus_message_peek_type(m, &type, &contents)) > 0 && type == 'v')
		if ((r = sd_bus_message_enter_container(m, 'v', contents)) < 0)
			return r;
	if (r <= 0 || type != 'r' || (r = sd_bus_message_enter_container(m, 'r', contents)) < 0)
		return r < 0 ? r : -ERR_NOT_FOUND;
	r = sd_bus_message_skip(m, "sa{sv}");
	if (r >= 0)
		r = sd_bus_message_read(m, "s", &name);
	return r < 0 ? r : str_copy(out, size, name);
}

static int
on_before(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct commit *c = user;
	(void)error;
	c->question = sd_bus_slot_unref(c->question);
	c->before[0] = '\0';
	if (!sd_bus_message_is_method_error(m, NULL) &&
		engine_name(m, c->before, sizeof c->before) < 0)
		c->before[0] = '\0';
	enter(c, CHOOSING, mono_now());
	choose(c, ENGINE, on_chosen);
	return 0;
}

static int
on_returned(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct commit *c = user;
	(void)error;
	c->question = sd_bus_slot_unref(c->question);
	if (sd_bus_message_is_method_error(m, NULL))
		LOG(WARN, "desktop.ibus_engine_kept", F_STR("engine", c->before));
	enter(c, READY, mono_now());
	return 0;
}

/* ---- what IBus asks of an engine ---- */

static void
engine_path(const struct commit *c, char out[static PATH_SIZE])
{
	snprintf(out, PATH_SIZE, ENGINES "/%u", c->engine);
}

static int
on_factory(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct commit *c = user;
	char path[PATH_SIZE];
	(void)error;
	if (!sd_bus_message_is_method_call(m, IBUS ".Factory", "CreateEngine"))
		return 0;
	c->engine = ++c->made;
	engine_path(c, path);
	return sd_bus_reply_method_return(m, "o", path);
}

static int
on_engine(sd_bus_message *m, void *user, sd_bus_error *error)
{
	struct commit *c = user;
	char path[PATH_SIZE];
	(void)error;
	engine_path(c, path);
	/* every key is the program's */
	if (sd_bus_message_is_method_call(m, IBUS ".Engine", "ProcessKeyEvent"))
		return sd_bus_reply_method_return(m, "b", 0);
	/* another engine was chosen, by us or by the person */
	if (sd_bus_message_is_method_call(m, IBUS ".Service", "Destroy") &&
		strcmp(sd_bus_message_get_path(m), path) == 0)
		c->engine = 0;
	if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "GetAll"))
		return sd_bus_reply_method_return(m, "a{sv}", 0);
	if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "Get"))
		return 0; /* there is none: an error */
	return sd_bus_reply_method_return(m, "");
}

/* ---- life ---- */

struct commit *
commit_new(int fd)
{
	if (fd < 0)
		return NULL;
	struct commit *c = mem_new(sizeof *c);
	int r = sd_bus_new(&c->bus);
	if (r >= 0)
		r = sd_bus_set_fd(c->bus, fd, fd);
	if (r < 0)
		close(fd);
	if (r >= 0)
		r = sd_bus_add_object(c->bus, NULL, IBUS_PATH "/Factory", on_factory, c);
	if (r >= 0)
		r = sd_bus_add_fallback(c->bus, NULL, ENGINES, on_engine, c);
	if (r >= 0)
		r = sd_bus_start(c->bus);
	enter(c, WAITING, mono_now());
	if (r >= 0)
		greet(c);
	else
		give_up(c, "start", r);
	return c;
}

static void
let_go(struct commit *c, struct mono now)
{
	c->sent = c->arrived = 0;
	if (!c->engine || !c->before[0] || strcmp(c->before, ENGINE) == 0) {
		enter(c, READY, now); /* ours takes no keys: it may stay */
		return;
	}
	enter(c, RETURNING, now);
	choose(c, c->before, on_returned);
}

void
commit_free(struct commit *c)
{
	if (!c)
		return;
	if (c->state == CHOSEN)
		let_go(c, mono_now());
	sd_bus_slot_unref(c->question);
	/* what was sent is in the socket already; an IBus that hangs must not make us wait */
	sd_bus_close_unref(c->bus);
	mem_wipe_free(c, sizeof *c);
}

int
commit_poll(struct commit *c, short *ret_events)
{
	if (!c || c->state == GONE)
		return -1;
	int events = sd_bus_get_events(c->bus);
	if (events < 0)
		return -1;
	*ret_events = (short)events;
	return sd_bus_get_fd(c->bus);
}

/* Milliseconds until the bus wants to be looked at, -1 = when something comes. */
static int
bus_wait(struct commit *c, struct mono now)
{
	uint64_t at_us;
	if (sd_bus_get_timeout(c->bus, &at_us) < 0 || at_us == UINT64_MAX)
		return -1;
	return at_us <= now.ns / 1000 ? 0 : (int)((at_us - now.ns / 1000) / 1000) + 1;
}

int
commit_run(struct commit *c, struct mono now)
{
	if (!c || !c->bus)
		return -1;
	int r = 1;
	for (int i = 0; r > 0 && i < ROUND_MAX && c->state != GONE; i++)
		r = sd_bus_process(c->bus, NULL);
	if (r < 0)
		give_up(c, "closed", r);
	if (c->state == GONE) {
		c->question = sd_bus_slot_unref(c->question);
		c->bus = sd_bus_close_unref(c->bus);
		return -1;
	}
	uint64_t quiet_ms = mono_diff_ms(c->text, now);
	if (c->state == CHOSEN && !c->sent && quiet_ms >= COMMIT_HOLD_MS)
		let_go(c, now);
	int wait = bus_wait(c, now);
	if (c->state != CHOSEN || c->sent)
		return wait;
	int hold = (int)(COMMIT_HOLD_MS - quiet_ms) + 1;
	return wait < 0 || hold < wait ? hold : wait;
}

/* ---- text ---- */

static int
send_text(struct commit *c, const char *text)
{
	char path[PATH_SIZE];
	sd_bus_message *m = NULL;
	engine_path(c, path);
	int r = sd_bus_message_new_signal(c->bus, &m, path, IBUS ".Engine", "CommitText");
	if (r >= 0)
		r = sd_bus_message_append(m, "v", "(sa{sv}sv)", "IBusText", 0, text, "(sa{sv}av)",
			"IBusAttrList", 0, 0);
	if (r >= 0)
		r = sd_bus_send(c->bus, m, NULL);
	sd_bus_message_unref(m);
	return r;
}

/* Our engine is the chosen one: see who is in front, give, see that it has gone through. */
static int
give(struct commit *c, const char *text, struct mono now)
{
	if (c->arrived) {
		c->sent = c->arrived = 0;
		return 0;
	}
	if (c->question)
		return mono_diff_ms(c->since, now) >= SENT_MS ? refuse(c, now) : WAIT_MS;
	if (!c->engine) { /* the person has chosen another one meanwhile */
		enter(c, READY, now);
		return WAIT_MS;
	}
	if (mono_diff_ms(c->known, now) > FRESH_MS) {
		ask_context(c, now);
		return WAIT_MS;
	}
	if (!c->focused)
		return refuse(c, now);
	uint64_t gap_ms = mono_diff_ms(c->given, now);
	if (c->given.ns && gap_ms < COMMIT_GAP_MS)
		return (int)(COMMIT_GAP_MS - gap_ms);
	int r = send_text(c, text);
	if (r < 0) {
		give_up(c, "send", r);
		return -ERR_NOT_FOUND;
	}
	c->sent = 1;
	c->given = now;
	ask_context(c, now);
	return WAIT_MS;
}

int
commit_possible(const struct commit *c)
{
	return c && c->state != GONE;
}

int
commit_text(struct commit *c, const char *text, struct mono now)
{
	if (!commit_possible(c) || mono_before(now, c->refused))
		return -ERR_NOT_FOUND;
	uint64_t key_ms = mono_diff_ms(c->pressed, now);
	if (c->pressed.ns && key_ms < COMMIT_KEY_MS)
		return (int)(COMMIT_KEY_MS - key_ms);
	c->text = now;
	int r = WAIT_MS;
	if (c->state == READY) {
		enter(c, ASKING, now);
		ask_property(c, "GlobalEngine", on_before);
	} else if (c->state == CHOSEN) {
		r = give(c, text, now);
	} else if (mono_diff_ms(c->since, now) >= CHOOSE_MS) {
		r = refuse(c, now);
	}
	return c->state == GONE ? -ERR_NOT_FOUND : r;
}

int
commit_key(struct commit *c, struct mono now)
{
	if (!c)
		return 0;
	if (c->state == CHOSEN)
		let_go(c, now);
	return c->state == RETURNING && mono_diff_ms(c->since, now) < CHOOSE_MS ? WAIT_MS : 0;
}

void
commit_pressed(struct commit *c, struct mono now)
{
	if (c)
		c->pressed = now;
}

void
commit_drop(struct commit *c)
{
	if (c)
		c->sent = c->arrived = 0;
}
