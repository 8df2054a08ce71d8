#include "cli/dsn.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/str.h"

enum {
	FIELD_SIZE = 1024,  /* a header field with its continuations; what is longer is cut */
	BOUNDARY_SIZE = 71, /* RFC 2046 5.1.1 */
	STATUS_PART_MAX = 999,
};

struct text {
	const char *at, *end;
};

/* The next line without its end; 0 at the end of the text. */
static int
next_line(struct text *t, const char **ret_line, size_t *ret_len)
{
	if (t->at == t->end)
		return 0;
	const char *end = memchr(t->at, '\n', (size_t)(t->end - t->at));
	size_t len = (size_t)((end ? end : t->end) - t->at);
	*ret_line = t->at;
	t->at = end ? end + 1 : t->end;
	*ret_len = len > 0 && (*ret_line)[len - 1] == '\r' ? len - 1 : len;
	return 1;
}

static void
append(char out[static FIELD_SIZE], size_t *used, const char *line, size_t len)
{
	for (size_t i = 0; i < len && *used + 1 < FIELD_SIZE; i++)
		out[(*used)++] = line[i] == '\t' || line[i] == '\0' ? ' ' : line[i];
	out[*used] = '\0';
}

/* The next field of a header with its continuations in one line; 0 after its last one. */
static int
next_field(struct text *t, char out[static FIELD_SIZE])
{
	const char *line;
	size_t len, used = 0;
	if (!next_line(t, &line, &len) || len == 0)
		return 0;
	append(out, &used, line, len);
	while (t->at < t->end && (*t->at == ' ' || *t->at == '\t') && next_line(t, &line, &len))
		append(out, &used, line, len);
	return 1;
}

/* NULL when the field has another name. */
static const char *
value_of(const char *field, const char *name)
{
	size_t len = strlen(name);
	if (strncasecmp(field, name, len) != 0)
		return NULL;
	field += len + strspn(field + len, " ");
	return *field == ':' ? field + 1 + strspn(field + 1, " ") : NULL;
}

static int
starts_with(const char *value, const char *word)
{
	size_t len = strlen(word);
	return strncasecmp(value, word, len) == 0 && strchr(" ;(", value[len]); /* or its end */
}

/* name=value or name="value" after a semicolon. 1 when it is there and fits. */
static int
parameter(const char *value, const char *name, char *out, size_t size)
{
	size_t name_len = strlen(name);
	for (value = strchr(value, ';'); value; value = strchr(value, ';')) {
		value += strspn(value, "; ");
		if (strncasecmp(value, name, name_len) != 0 || value[name_len] != '=')
			continue;
		value += name_len + 1;
		int quoted = *value == '"';
		size_t len = strcspn(value + quoted, quoted ? "\"" : "; ");
		if (len == 0 || len >= size)
			return 0;
		memcpy(out, value + quoted, len);
		out[len] = '\0';
		return 1;
	}
	return 0;
}

/* The mail's own header: the boundary of its parts. */
static int
report_boundary(struct text *t, char boundary[static BOUNDARY_SIZE])
{
	char field[FIELD_SIZE], type[32];
	int found = 0;
	while (next_field(t, field)) {
		const char *value = value_of(field, "Content-Type");
		if (value && !found)
			found = starts_with(value, "multipart/report") &&
				parameter(value, "report-type", type, sizeof type) &&
				strcasecmp(type, "delivery-status") == 0 &&
				parameter(value, "boundary", boundary, BOUNDARY_SIZE);
	}
	return found;
}

/* To the start of the next part's header; 0 when there is none. */
static int
next_part(struct text *t, const char *boundary)
{
	const char *line;
	size_t len, boundary_len = strlen(boundary);
	while (next_line(t, &line, &len))
		if (len >= 2 + boundary_len && memcmp(line, "--", 2) == 0 &&
			memcmp(line + 2, boundary, boundary_len) == 0)
			return len < 4 + boundary_len ||
			       memcmp(line + 2 + boundary_len, "--", 2) != 0;
	return 0;
}

static int
is_status_part(struct text *t)
{
	char field[FIELD_SIZE];
	int found = 0;
	while (next_field(t, field)) {
		const char *value = value_of(field, "Content-Type");
		if (value)
			found = starts_with(value, "message/delivery-status") ||
				starts_with(value, "message/global-delivery-status");
	}
	return found;
}

/* class.subject.detail, and nothing but digits of it goes on. */
static void
take_status(const char *value, char out[static DSN_STATUS_SIZE])
{
	char text[DSN_STATUS_SIZE];
	unsigned parts = 0;
	size_t len = strspn(value, "0123456789.");
	if (len >= sizeof text || (value[len] && !strchr(" (", value[len])))
		return;
	memcpy(text, value, len);
	text[len] = '\0';
	const char *at = text;
	for (;; parts++) {
		size_t digits = strcspn(at, ".");
		if (digits == 0 || digits > 3)
			return;
		if (!at[digits])
			break;
		at += digits + 1;
	}
	if (parts == 2 && strchr("245", text[0]) && text[1] == '.')
		memcpy(out, text, len + 1);
}

/* One group of fields. Those that speak of a recipient have an Action. */
static void
take_group(struct text *t, struct dsn *dsn)
{
	char field[FIELD_SIZE], status[DSN_STATUS_SIZE] = "";
	enum dsn_action action = DSN_NONE;
	while (next_field(t, field)) {
		const char *value = value_of(field, "Action");
		if (value)
			action = starts_with(value, "failed")    ? DSN_FAILED
				 : starts_with(value, "delayed") ? DSN_DELAYED
								 : DSN_NONE;
		value = value_of(field, "Status");
		if (value)
			take_status(value, status);
	}
	if (action > dsn->action) {
		dsn->action = action;
		memcpy(dsn->status, status, sizeof status);
	}
}

int
dsn_read(const char *text, size_t len, struct dsn *ret_dsn)
{
	struct text t = {text, text + len};
	char boundary[BOUNDARY_SIZE];
	struct dsn dsn = {.action = DSN_NONE};
	if (!report_boundary(&t, boundary))
		return -ERR_NOT_FOUND;
	while (next_part(&t, boundary)) {
		if (!is_status_part(&t))
			continue;
		struct text part = t;
		/* up to the next boundary */
		const char *line;
		size_t line_len;
		while (next_line(&t, &line, &line_len))
			if (line_len >= 2 && memcmp(line, "--", 2) == 0)
				break;
		part.end = t.at;
		while (part.at < part.end)
			take_group(&part, &dsn);
		*ret_dsn = dsn;
		return 0;
	}
	return -ERR_NOT_FOUND;
}
