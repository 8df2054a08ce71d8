#include "cli/connect_script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/keys.h"
#include "client/monitors.h"

enum {
	ACTIONS_MAX = 256,
	LATENCY_MAX = 100000,
	STROKE_MS = 50, /* 20 keys a second: within what the office PC takes from a person */
	CLICK_MS = 40,
	CHORD_KEYS_MAX = 5,
	CHANGE_MS = 2000,
	CARET_PX = 3, /* a blinking text cursor is no answer to a key */
	/* between two measurements: long enough for the screen to come to rest, and of no one
	 * length, so that no other rhythm shows */
	REST_MS = 150,
	REST_VARIES_MS = 101,
	DURATION_MAX_MS = 24 * 3600 * 1000,
};

struct action {
	enum script_kind kind;
	const char *text;
	uint64_t number; /* WAIT: ms; LATENCY: presses; CLICK: button */
	uint32_t x, y;
};

struct script {
	struct loop *loop;
	struct timer *timer;
	struct session *session;
	script_fn *fn;
	void *user;

	struct action actions[ACTIONS_MAX];
	size_t count, current;
	size_t place; /* inside of the current action */

	struct mono pressed; /* LATENCY: waiting for the change since then; ns 0 = not waiting */
	double *latencies_ms;
	size_t latency_count, latency_lost, latency_cap;
};

int
script_duration(const char *text, uint64_t unit_ms, uint64_t *ret_ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}};
	char digits[16];
	int64_t number;
	size_t len = strspn(text, "0123456789");
	uint64_t unit = text[len] ? 0 : unit_ms;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(text + len, units[i].name) == 0)
			unit = units[i].ms;
	if (unit == 0 || str_print(digits, sizeof digits, "%.*s", (int)len, text) < 0 ||
		str_int(digits, 0, (int64_t)(DURATION_MAX_MS / unit), &number) < 0)
		return -EINVAL;
	*ret_ms = (uint64_t)number * unit;
	return 0;
}

/* "Control+Shift+t": keys in the order of pressing. Returns their number or -EINVAL. */
static int
parse_chord(const char *text, struct key keys[CHORD_KEYS_MAX])
{
	int count = 0;
	for (;;) {
		char name[32];
		size_t len = strcspn(text + 1, "+") + 1; /* a plus sign can be a key itself */
		if (!*text || count == CHORD_KEYS_MAX ||
			str_print(name, sizeof name, "%.*s", (int)len, text) < 0 ||
			key_named(name, &keys[count]) < 0)
			return -EINVAL;
		count++;
		if (!text[len])
			return count;
		text += len + 1;
	}
}

static int
parse_click(const char *text, struct action *action)
{
	char part[3][8];
	int64_t number[3] = {0, 0, 1};
	int n = 0;
	for (;;) {
		size_t len = strcspn(text, ",");
		if (n == 3 || str_print(part[n], sizeof part[n], "%.*s", (int)len, text) < 0 ||
			str_int(part[n], n == 2, n == 2 ? 9 : UINT16_MAX, &number[n]) < 0)
			return -EINVAL;
		n++;
		if (!text[len])
			break;
		text += len + 1;
	}
	action->x = (uint32_t)number[0];
	action->y = (uint32_t)number[1];
	action->number = (uint64_t)number[2];
	return n >= 2 ? 0 : -EINVAL;
}

static int
can_type(const char *text)
{
	struct key key;
	for (const char *p = text; *p; p++)
		if (!(*p & 0x80) && key_character(*p, &key) < 0)
			return 0;
	return str_utf8(text, strlen(text));
}

int
script_add(struct script *s, enum script_kind kind, const char *text)
{
	struct action action = {.kind = kind, .text = text};
	struct key keys[CHORD_KEYS_MAX];
	engawa_Monitor monitors[MONITORS_MAX];
	size_t count;
	int64_t number;
	int r = 0;
	if (s->count == ACTIONS_MAX)
		return -ENOBUFS;
	switch (kind) {
	case SCRIPT_TYPE:
		r = can_type(text) ? 0 : -EINVAL;
		break;
	case SCRIPT_KEY:
		r = parse_chord(text, keys);
		break;
	case SCRIPT_CLICK:
		r = parse_click(text, &action);
		break;
	case SCRIPT_WAIT:
		r = script_duration(text, 1, &action.number);
		break;
	case SCRIPT_LAYOUT:
		r = monitors_parse(text, monitors, &count);
		break;
	case SCRIPT_LATENCY:
		r = str_int(text, 1, LATENCY_MAX, &number);
		action.number = (uint64_t)number;
		break;
	}
	if (r < 0)
		return -EINVAL;
	s->actions[s->count++] = action;
	return 0;
}

/* Press in order, release in reverse order. */
static int
stroke(struct session *session, const struct key *keys, int count)
{
	int r = 0;
	for (int i = 0; i < count && r == 0; i++)
		r = session_key(session, keys[i].usage, keys[i].keysym, 1);
	for (int i = count - 1; i >= 0 && r == 0; i--)
		r = session_key(session, keys[i].usage, keys[i].keysym, 0);
	return r;
}

/* One character by its key, or a run of others as text. Returns ms until the next, 0 at the end, or
 * negative. */
static int
step_type(struct script *s, const struct action *a)
{
	const char *text = a->text + s->place;
	struct key keys[2] = {key_shift};
	if (!*text)
		return 0;
	if (key_character(*text, &keys[1]) == 0) {
		s->place++;
		int r = stroke(s->session, keys[1].shift ? keys : keys + 1, keys[1].shift ? 2 : 1);
		return r < 0 ? r : STROKE_MS;
	}
	char run[SESSION_TEXT_MAX_BYTES + 1];
	size_t len = 0, characters = 0;
	while ((text[len] & 0x80) && len < SESSION_TEXT_MAX_BYTES) {
		size_t n = 1;
		while ((text[len + n] & 0xc0) == 0x80)
			n++;
		if (len + n > SESSION_TEXT_MAX_BYTES)
			break;
		len += n;
		characters++;
	}
	memcpy(run, text, len);
	run[len] = '\0';
	s->place += len;
	int r = session_text(s->session, run);
	return r < 0 ? r : (int)characters * STROKE_MS;
}

static int
step_key(struct script *s, const struct action *a)
{
	struct key keys[CHORD_KEYS_MAX];
	if (s->place++)
		return 0;
	int count = parse_chord(a->text, keys);
	int r = stroke(s->session, keys, count);
	return r < 0 ? r : STROKE_MS * count;
}

/* There, press, release. */
static int
step_click(struct script *s, const struct action *a)
{
	if (s->place == 3)
		return 0;
	uint32_t buttons = s->place == 1 ? 1u << (a->number - 1) : 0;
	int r = session_pointer(s->session, a->x, a->y, buttons);
	s->place++;
	return r < 0 ? r : CLICK_MS;
}

static int
step_wait(struct script *s, const struct action *a)
{
	return s->place++ ? 0 : (int)a->number;
}

static int
step_layout(struct script *s, const struct action *a)
{
	engawa_Monitor monitors[MONITORS_MAX];
	size_t count;
	if (s->place++)
		return 0;
	int r = monitors_parse(a->text, monitors, &count);
	if (r == 0)
		r = session_layout(s->session, monitors, count);
	return r < 0 ? r : CHANGE_MS / 4; /* until programs have moved */
}

static int
step_latency(struct script *s, const struct action *a)
{
	struct key key;
	if (s->pressed.ns)
		s->latency_lost++; /* the timer came before the change */
	s->pressed.ns = 0;
	if (s->place == a->number)
		return 0;
	/* a letter, and away again: every press changes something, and the line never ends */
	if (s->place % 2)
		key_named("BackSpace", &key);
	else
		key_character((char)('a' + s->place / 2 % 26), &key);
	s->place++;
	int r = stroke(s->session, &key, 1);
	s->pressed = mono_now();
	return r < 0 ? r : CHANGE_MS;
}

static int
step(struct script *s, const struct action *a)
{
	switch (a->kind) {
	case SCRIPT_TYPE:
		return step_type(s, a);
	case SCRIPT_KEY:
		return step_key(s, a);
	case SCRIPT_CLICK:
		return step_click(s, a);
	case SCRIPT_WAIT:
		return step_wait(s, a);
	case SCRIPT_LAYOUT:
		return step_layout(s, a);
	case SCRIPT_LATENCY:
		return step_latency(s, a);
	}
	return -EINVAL;
}

static void
on_timer(void *user)
{
	struct script *s = user;
	while (s->current < s->count) {
		size_t place = s->place;
		int r = step(s, &s->actions[s->current]);
		if (r == -ERR_CLOSED && session_is_lost(s->session)) {
			/* once more, when there is somebody to do it for */
			s->place = place;
			timer_start(s->timer, STROKE_MS, 0);
			return;
		}
		if (r > 0) {
			timer_start(s->timer, (uint64_t)r, 0);
			return;
		}
		if (r < 0) {
			s->fn(s->user, r);
			return;
		}
		s->current++;
		s->place = 0;
	}
	s->fn(s->user, 0);
}

void
script_start(struct script *s, struct session *session, script_fn *fn, void *user)
{
	size_t presses = 1;
	for (size_t i = 0; i < s->count; i++)
		presses += s->actions[i].kind == SCRIPT_LATENCY ? s->actions[i].number : 0;
	s->latencies_ms = mem_new(presses * sizeof *s->latencies_ms);
	s->session = session;
	s->fn = fn;
	s->user = user;
	timer_start(s->timer, 0, 0);
}

void
script_picture(struct script *s)
{
	size_t count;
	if (!s->pressed.ns)
		return;
	uint64_t took_ns = mono_now().ns - s->pressed.ns;
	const struct rect *rects = session_rects(s->session, &count);
	int wide = 0;
	for (size_t i = 0; i < count; i++)
		wide |= rects[i].w > CARET_PX;
	if (!wide)
		return;
	s->pressed.ns = 0;
	s->latencies_ms[s->latency_count++] = (double)took_ns / 1e6;
	timer_start(s->timer, REST_MS + (uint64_t)rand() % REST_VARIES_MS, 0);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

void
script_latency(struct script *s, struct script_latency *ret_latency)
{
	*ret_latency = (struct script_latency){.count = s->latency_count, .lost = s->latency_lost};
	if (s->latency_count == 0)
		return;
	qsort(s->latencies_ms, s->latency_count, sizeof *s->latencies_ms, compare);
	ret_latency->median_ms = s->latencies_ms[s->latency_count / 2];
	ret_latency->p99_ms =
		s->latencies_ms[(s->latency_count * 99 + 99) / 100 - 1]; /* nearest rank */
}

struct script *
script_new(struct loop *loop)
{
	struct script *s = mem_new(sizeof *s);
	s->loop = loop;
	s->timer = timer_new(loop, on_timer, s);
	return s;
}

void
script_free(struct script *s)
{
	if (!s)
		return;
	timer_free(s->timer);
	free(s->latencies_ms);
	free(s);
}
