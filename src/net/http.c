#include "net/http.h"

#include <string.h>
#include <strings.h>

#include "base/err.h"

/* Headers that are looked at. Each may come once: a second one is how two readers are made to
 * disagree. */
static const struct {
	const char *name;
	size_t offset;
} known[] = {
	{"host", offsetof(struct http_head, host)},
	{"origin", offsetof(struct http_head, origin)},
	{"upgrade", offsetof(struct http_head, upgrade)},
	{"connection", offsetof(struct http_head, connection)},
	{"content-length", offsetof(struct http_head, length)},
	{"transfer-encoding", offsetof(struct http_head, coding)},
	{"sec-websocket-key", offsetof(struct http_head, ws_key)},
	{"sec-websocket-version", offsetof(struct http_head, ws_version)},
	{"sec-websocket-protocol", offsetof(struct http_head, ws_protocols)},
};

/* RFC 9110 5.6.2 */
static int
is_token(struct http_span s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		int alnum =
			(c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
		if (!alnum && !(c && strchr(others, c)))
			return 0;
	}
	return s.len > 0;
}

static int
is_visible(struct http_span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] == 0x7f)
			return 0; /* char may be signed: bytes from 0x80 are refused too */
	return s.len > 0;
}

static int
is_value(struct http_span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return 0;
	}
	return 1;
}

static struct http_span
trim(struct http_span s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* The part before the first c, taken off *rest with the c; 0 when there is none. */
static int
cut(struct http_span *rest, char c, struct http_span *ret)
{
	const char *at = rest->len ? memchr(rest->p, c, rest->len) : NULL;
	if (!at)
		return 0;
	*ret = (struct http_span){rest->p, (size_t)(at - rest->p)};
	rest->len -= ret->len + 1;
	rest->p = at + 1;
	return 1;
}

/* One line without its CRLF. 1, 0 when it is not whole yet, negative for a lone CR or LF. */
static int
take_line(struct http_span *rest, struct http_span *ret)
{
	struct http_span after = *rest, line;
	if (!cut(&after, '\n', &line))
		return 0;
	if (line.len == 0 || line.p[line.len - 1] != '\r')
		return -ERR_PROTOCOL;
	line.len--;
	if (line.len > 0 && memchr(line.p, '\r', line.len))
		return -ERR_PROTOCOL;
	*rest = after;
	*ret = line;
	return 1;
}

static int
take_request(struct http_span line, struct http_head *h)
{
	if (!cut(&line, ' ', &h->method) || !cut(&line, ' ', &h->target))
		return -ERR_PROTOCOL;
	if (!is_token(h->method) || !is_visible(h->target))
		return -ERR_PROTOCOL;
	if (line.len != 8 || memcmp(line.p, "HTTP/1.", 7) != 0 ||
		(line.p[7] != '0' && line.p[7] != '1'))
		return -ERR_PROTOCOL;
	h->minor = line.p[7] - '0';
	return 0;
}

static int
take_header(struct http_span line, struct http_head *h)
{
	struct http_span name;
	if (!cut(&line, ':', &name) || !is_token(name) || !is_value(line))
		return -ERR_PROTOCOL;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (!http_is(name, known[i].name))
			continue;
		struct http_span *field = (struct http_span *)(void *)((char *)h + known[i].offset);
		if (field->p)
			return -ERR_PROTOCOL;
		*field = trim(line);
	}
	return 0;
}

static int
check(const struct http_head *h)
{
	if (h->minor == 1 && !h->host.p)
		return -ERR_PROTOCOL;
	if (h->host.p && h->host.len > 0 && !is_visible(h->host))
		return -ERR_PROTOCOL;
	/* RFC 9112 6.3: the pair that request smuggling lives on */
	if (h->length.p && h->coding.p)
		return -ERR_PROTOCOL;
	for (size_t i = 0; i < h->length.len; i++)
		if (h->length.p[i] < '0' || h->length.p[i] > '9')
			return -ERR_PROTOCOL;
	if (h->length.p && h->length.len == 0)
		return -ERR_PROTOCOL;
	if (h->coding.p && (h->minor == 0 || !http_is(h->coding, "chunked")))
		return -ERR_PROTOCOL;
	return 0;
}

int
http_head_parse(const void *data, size_t len, struct http_head *ret_head)
{
	struct http_head h = {0};
	size_t whole = len > HTTP_HEAD_MAX_BYTES ? HTTP_HEAD_MAX_BYTES : len;
	struct http_span rest = {data, whole}, line;
	int lines = 0;
	for (;; lines++) {
		int r = take_line(&rest, &line);
		if (r < 0)
			return r;
		if (r == 0)
			return whole < len || len == HTTP_HEAD_MAX_BYTES ? -ERR_TOO_LONG : 0;
		if (line.len == 0)
			break;
		if (lines > HTTP_HEADERS_MAX)
			return -ERR_TOO_LONG;
		r = lines == 0 ? take_request(line, &h) : take_header(line, &h);
		if (r < 0)
			return r;
	}
	int r = lines == 0 ? -ERR_PROTOCOL : check(&h);
	if (r < 0)
		return r;
	*ret_head = h;
	return (int)(whole - rest.len);
}

int
http_is(struct http_span span, const char *text)
{
	return span.p && strlen(text) == span.len && strncasecmp(span.p, text, span.len) == 0;
}

int
http_list_has(struct http_span list, const char *text)
{
	struct http_span item;
	while (cut(&list, ',', &item))
		if (http_is(trim(item), text))
			return 1;
	return http_is(trim(list), text);
}
