#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

enum {
	LINE_MAX_BYTES = 2048,
	VALUE_MAX_BYTES = 256, /* so that a long value cannot push the later ones out of the line */
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* The log is the one thing a process has exactly one of. */
static struct {
	const char *program;
	enum log_level lowest;
	int fd;
} sink = {"engawa", LOG_INFO, STDERR_FILENO};

struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
};

void
log_open(const char *program, enum log_level lowest, int fd)
{
	sink.program = program;
	sink.lowest = lowest;
	sink.fd = fd < 0 ? STDERR_FILENO : fd;
}

int
log_level_parse(const char *name, enum log_level *ret_level)
{
	for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

static void
add(struct line *l, char c)
{
	if (l->len < sizeof l->text - 1)
		l->text[l->len++] = c;
}

static void
add_text(struct line *l, const char *s)
{
	while (*s)
		add(l, *s++);
}

static void
add_hex(struct line *l, const uint8_t *p, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < len; i++) {
		add(l, digits[p[i] >> 4]);
		add(l, digits[p[i] & 15]);
	}
}

static int
is_plain(const char *s)
{
	if (!*s)
		return 0;
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == '"' || *s == '\\' || *s == '=' ||
			(unsigned char)*s >= 0x7f)
			return 0;
	return 1;
}

/* Bytes of the next character. *ret_bad: a terminal or viewer might obey it (controls, line ends,
 * changes of direction), or it is no UTF-8: then it is one byte. */
static size_t
next_char(const unsigned char *p, int *ret_bad)
{
	size_t len = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
	int whole = strnlen((const char *)p, len) == len && str_utf8((const char *)p, len);
	int control = *p < ' ' || *p == 0x7f || (p[0] == 0xc2 && p[1] <= 0x9f);
	int direction = whole && p[0] == 0xe2 &&
			((p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) ||
				(p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
	*ret_bad = !whole || control || direction;
	return whole ? len : 1;
}

static void
add_value(struct line *l, const char *s)
{
	size_t end = l->len + VALUE_MAX_BYTES, len;
	if (is_plain(s) && strlen(s) <= VALUE_MAX_BYTES) {
		add_text(l, s);
		return;
	}
	add(l, '"');
	for (const unsigned char *p = (const unsigned char *)s; *p; p += len) {
		int bad;
		len = next_char(p, &bad);
		if (l->len >= end) {
			add_text(l, "\\...");
			break;
		}
		if (*p == '"' || *p == '\\')
			add(l, '\\');
		for (size_t i = 0; i < len; i++) {
			if (bad) {
				add_text(l, "\\x");
				add_hex(l, p + i, 1);
			} else {
				add(l, (char)p[i]);
			}
		}
	}
	add(l, '"');
}

static void
add_field(struct line *l, const struct log_field *f)
{
	char number[24];
	add(l, ' ');
	add_text(l, f->key);
	add(l, '=');
	switch (f->kind) {
	case LOG_STR:
		add_value(l, f->data ? f->data : "-");
		break;
	case LOG_INT:
		snprintf(number, sizeof number, "%lld", (long long)f->number);
		add_text(l, number);
		break;
	case LOG_HEX:
		add_hex(l, f->data, f->len);
		break;
	case LOG_END:
		break;
	}
}

void
log_event(enum log_level level, const char *event, const struct log_field *fields)
{
	if (level < sink.lowest)
		return;
	struct line l = {.len = 0};
	char now[WALL_TEXT_SIZE];
	wall_text(now);
	add_text(&l, now);
	add(&l, ' ');
	add_text(&l, sink.program);
	add(&l, ' ');
	add_text(&l, level_names[level]);
	add(&l, ' ');
	add_text(&l, event);
	for (; fields->kind != LOG_END; fields++)
		add_field(&l, fields);
	l.text[l.len++] = '\n'; /* add() leaves the last byte free */
	ssize_t n = write(sink.fd, l.text, l.len);
	(void)n; /* there is nowhere to report it */
}

int
log_limit_pass(struct log_limit *limit, uint32_t *ret_held)
{
	struct mono now = mono_now();
	struct mono start = {limit->start_ns};
	if (limit->start_ns == 0 || mono_diff_ms(start, now) >= limit->window_ms) {
		limit->start_ns = now.ns;
		limit->count = 0;
	}
	if (limit->count >= limit->burst) {
		limit->held++;
		return 0;
	}
	limit->count++;
	*ret_held = limit->held;
	limit->held = 0;
	return 1;
}
