#include "controller/web.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "base/str.h"
#include "controller/connect.h"
#include "controller/peer.h"
#include "net/proxy.h"
#include "controller/server.h"
#include "controller/site.h"
#include "link.pb.h"
#include "net/frame.h"

enum {
	FD_CORE = 3,
	FD_LISTEN,
	CONNECTIONS_MAX = 2000,
	PER_ADDRESS_MAX = 512, /* a town hall's NAT: a browser opens six */
	READ_S = 10,
	WRITE_S = 120, /* the client's files over a slow line */
	HEADER_MS = 5000,
	ARRIVING_MAX = 256,
	WAITING_MAX = 4096,
	ANSWER_MS = 5000, /* of the core */
};

static const struct server_header always[] = {
	{"Content-Security-Policy",
		"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
		"connect-src 'self'; img-src 'self' data: blob:; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
		"form-action 'none'; frame-ancestors 'none'"},
	{"Strict-Transport-Security", "max-age=63072000"},
	{"X-Content-Type-Options", "nosniff"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Embedder-Policy", "require-corp"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{NULL, NULL},
};

/* A connection whose PROXY header is not complete yet. */
struct arriving {
	struct arriving *next, **link;
	struct web *web;
	struct watch *watch;
	struct timer *deadline;
	int fd;
	uint8_t header[PROXY_MAX_BYTES];
	size_t have, need;
};

/* A request that waits for the core. */
struct waiting {
	struct waiting *next;
	struct server_request *request;
	uint64_t number;
	struct mono since;
};

struct web {
	const struct settings *settings;
	struct loop *loop;
	struct peer *core;
	struct server *http;
	struct site *site;
	struct watch *listen;
	struct timer *overdue;
	struct arriving *arriving;
	unsigned arriving_count, waiting_count;
	struct waiting *waiting;
	uint64_t next_number;
	struct log_limit proxy_log;
};

static void
reply_grant(struct server_request *request, const engawa_Grant *grant)
{
	static const struct server_header no_store[] = {
		{"Cache-Control", "no-store"}, {NULL, NULL}};
	char ticket[sizeof grant->ticket.bytes * 4 / 3 + 8], text[sizeof ticket + 32];
	if (grant->ticket.size) {
		str_base64(ticket, grant->ticket.bytes, grant->ticket.size);
		str_print(text, sizeof text, "{\"ticket\": \"%s\"}", ticket);
	} else {
		str_print(text, sizeof text, "{\"code\": %u}", grant->code);
	}
	/* 200 for every decision of the relay: the code says what it was */
	server_reply(request, grant->code == ERR_LIMIT ? 429 : 200, "application/json", text,
		strlen(text), no_store);
}

static void
on_core(void *user, uint16_t type, const uint8_t *payload, size_t len, int fd)
{
	struct web *web = user;
	engawa_LinkGrant grant;
	(void)fd;
	if (type != PEER_GRANT || frame_decode(engawa_LinkGrant_fields, &grant, payload, len) < 0) {
		loop_stop(web->loop);
		return;
	}
	for (struct waiting **at = &web->waiting; *at; at = &(*at)->next) {
		struct waiting *w = *at;
		if (w->number != grant.request)
			continue;
		*at = w->next;
		web->waiting_count--;
		reply_grant(w->request, &grant.grant);
		free(w);
		return;
	}
}

static void
on_overdue(void *user)
{
	struct web *web = user;
	struct mono now = mono_now();
	if (web->arriving_count < ARRIVING_MAX)
		watch_set(web->listen, WATCH_READ);
	for (struct waiting **at = &web->waiting; *at;) {
		struct waiting *w = *at;
		if (mono_diff_ms(w->since, now) < ANSWER_MS) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		web->waiting_count--;
		server_reply_code(w->request, 503, ERR_NO_CONTROLLER);
		free(w);
	}
}

/* The request waits; its number goes into msg by *number, which the caller's message contains. */
static void
ask_core(struct web *web, struct server_request *request, enum peer_type type,
	const pb_msgdesc_t *fields, const void *msg, uint64_t *number)
{
	*number = ++web->next_number;
	if (web->waiting_count >= WAITING_MAX || peer_send(web->core, type, fields, msg) < 0) {
		server_reply_code(request, 503, ERR_TOO_MANY);
		return;
	}
	struct waiting *w = mem_new(sizeof *w);
	*w = (struct waiting){web->waiting, request, *number, mono_now()};
	web->waiting = w;
	web->waiting_count++;
}

/* Browsers say where a request comes from; another site's page must not ask in its visitor's name.
 */
static int
same_origin(const struct server_request *request)
{
	const char *origin = server_header(request, "Origin"),
		   *host = server_header(request, "Host");
	const char *site = server_header(request, "Sec-Fetch-Site");
	static const char scheme[] = "https://";
	if (site && strcmp(site, "same-origin") != 0)
		return 0;
	if (!origin)
		return 1;
	return host && strncmp(origin, scheme, sizeof scheme - 1) == 0 &&
	       strcasecmp(origin + sizeof scheme - 1, host) == 0;
}

static int
is_json(const struct server_request *request)
{
	const char *type = server_header(request, "Content-Type");
	static const char json[] = "application/json";
	size_t n = sizeof json - 1;
	return type && strncasecmp(type, json, n) == 0 &&
	       (!type[n] || type[n] == ';' || type[n] == ' ');
}

static void
on_connect(struct web *web, struct server_request *request)
{
	engawa_LinkAsk ask = {.has_ask = true};
	size_t len;
	const char *body = server_body(request, &len);
	if (strcmp(server_method(request), "POST") != 0) {
		static const struct server_header allow[] = {{"Allow", "POST"}, {NULL, NULL}};
		server_reply(request, 405, NULL, "", 0, allow);
		return;
	}
	if (!same_origin(request)) {
		server_reply_code(request, 403, ERR_DENIED);
		return;
	}
	int r = is_json(request) ? connect_parse(body, len, &ask.ask) : -ERR_PROTOCOL;
	if (r < 0) {
		server_reply_code(request, 400, r);
		return;
	}
	(void)str_copy(ask.address, sizeof ask.address, server_address(request));
	ask_core(web, request, PEER_ASK, engawa_LinkAsk_fields, &ask, &ask.request);
}

static void
on_file(struct web *web, struct server_request *request)
{
	const char *method = server_method(request),
		   *match = server_header(request, "If-None-Match");
	const struct site_file *file = site_find(web->site, server_path(request));
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		static const struct server_header allow[] = {{"Allow", "GET, HEAD"}, {NULL, NULL}};
		server_reply(request, 405, NULL, "", 0, allow);
		return;
	}
	if (!file) {
		server_reply_code(request, 404, ERR_NOT_FOUND);
		return;
	}
	const struct server_header extra[] = {{"ETag", file->etag},
		{"Cache-Control",
			file->immutable ? "public, max-age=31536000, immutable" : "no-cache"},
		{NULL, NULL}};
	if (match && strcmp(match, file->etag) == 0)
		server_reply(request, 304, NULL, "", 0, extra);
	else
		server_reply_static(request, 200, file->type, file->data, file->len, extra);
}

static void
on_request(void *user, struct server_request *request)
{
	struct web *web = user;
	const char *path = server_path(request);
	LOG(DEBUG, "http", F_STR("method", server_method(request)), F_STR("path", path),
		F_STR("from", server_address(request)));
	if (strcmp(path, "/v1/connect") == 0) {
		on_connect(web, request);
	} else if (strcmp(path, "/v1/status") == 0) {
		engawa_LinkGrant question = engawa_LinkGrant_init_zero;
		ask_core(web, request, PEER_STATUS, engawa_LinkGrant_fields, &question,
			&question.request);
	} else {
		on_file(web, request);
	}
}

static void
arriving_free(struct arriving *a)
{
	*a->link = a->next;
	if (a->next)
		a->next->link = a->link;
	if (a->web->arriving_count-- == ARRIVING_MAX)
		watch_set(a->web->listen, WATCH_READ);
	watch_free(a->watch);
	timer_free(a->deadline);
	if (a->fd >= 0)
		close(a->fd);
	free(a);
}

static void
on_late(void *user)
{
	arriving_free(user);
}

/* Exactly the header is read: what follows is the library's. */
static void
on_header(void *user, int ready)
{
	struct arriving *a = user;
	struct proxy proxy;
	(void)ready;
	ssize_t n = read(a->fd, a->header + a->have, a->need);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		a->have += (size_t)n;
	int r = n > 0 ? proxy_parse(a->header, a->have, &proxy, &a->need) : -ERR_CLOSED;
	if (r == 0)
		return;
	if (r < 0) {
		uint32_t held;
		if (log_limit_pass(&a->web->proxy_log, &held))
			LOG(WARN, "http.proxy", F_ERR("code", r), F_INT("held", held));
		arriving_free(a);
		return;
	}
	static const struct sockaddr gate_itself = {.sa_family = AF_UNIX};
	struct web *web = a->web;
	int fd = a->fd;
	a->fd = -1;
	arriving_free(a); /* its watch must be gone before the library polls the descriptor */
	if (proxy.source_len)
		server_add(web->http, fd, (const struct sockaddr *)&proxy.source, proxy.source_len);
	else
		server_add(web->http, fd, &gate_itself, sizeof gate_itself);
}

static void
on_listen(void *user, int ready)
{
	struct web *web = user;
	(void)ready;
	int fd = accept4(FD_LISTEN, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		/* out of descriptors: until the next look at what is overdue, instead of turning in
		 * circles */
		if (errno == EMFILE || errno == ENFILE)
			watch_set(web->listen, 0);
		return;
	}
	struct arriving *a = mem_new(sizeof *a);
	*a = (struct arriving){.web = web,
		.fd = fd,
		.need = PROXY_FIXED_BYTES,
		.next = web->arriving,
		.link = &web->arriving};
	if (a->next)
		a->next->link = &a->next;
	web->arriving = a;
	if (++web->arriving_count == ARRIVING_MAX)
		watch_set(web->listen, 0);
	a->deadline = timer_new(web->loop, on_late, a);
	timer_start(a->deadline, HEADER_MS, 0);
	a->watch = watch_new(web->loop, fd, on_header, a);
	watch_set(a->watch, WATCH_READ);
}

static void
on_signal(void *user, int number)
{
	(void)number;
	loop_stop(((struct web *)user)->loop);
}

static int
start(struct web *web)
{
	static const struct server_limits limits = {
		CONNECT_BODY_MAX_BYTES, CONNECTIONS_MAX, PER_ADDRESS_MAX, READ_S, WRITE_S};
	int r = site_load(web->settings->web_directory, &web->site);
	if (r < 0) /* the native clients' side works without it */
		LOG(WARN, "web.files", F_ERR("code", r),
			F_STR("directory", web->settings->web_directory));
	web->http = server_new(web->loop, &limits, always, on_request, web);
	if (!web->http)
		return -ERR_INTERNAL;
	web->core = peer_new(web->loop, FD_CORE, 0, on_core, web);
	fcntl(FD_LISTEN, F_SETFL, fcntl(FD_LISTEN, F_GETFL) | O_NONBLOCK);
	web->listen = watch_new(web->loop, FD_LISTEN, on_listen, web);
	web->overdue = timer_new(web->loop, on_overdue, web);
	timer_start(web->overdue, 1000, 1000);
	/* an answer to the process before this one must not fit a question of ours */
	if (RAND_bytes((unsigned char *)&web->next_number, sizeof web->next_number) != 1)
		return -ERR_CRYPTO;
	json_object_seed(0); /* reads /dev/urandom, now or never */
	r = sandbox_user(web->settings->user, NULL);
	if (r == 0)
		r = sandbox_no_files();
	if (r == 0)
		r = sandbox_calls(SANDBOX_IO);
	if (r < 0)
		LOG(ERROR, "sandbox", F_ERR("code", r));
	else
		watch_set(web->listen, WATCH_READ);
	return r;
}

static void
finish(struct web *web)
{
	while (web->arriving)
		arriving_free(web->arriving);
	server_free(web->http);
	for (struct waiting *w = web->waiting; w; w = web->waiting) {
		web->waiting = w->next; /* server_free has replied */
		free(w);
	}
	peer_free(web->core);
	watch_free(web->listen);
	timer_free(web->overdue);
	site_free(web->site);
}

int
web_main(const struct settings *settings)
{
	struct web web = {.settings = settings,
		.loop = loop_new(),
		.proxy_log = {.burst = 20, .window_ms = 10000}};
	struct signal_watch *term = signal_new(web.loop, SIGTERM, on_signal, &web);
	struct signal_watch *interrupt = signal_new(web.loop, SIGINT, on_signal, &web);
	int r = start(&web);
	if (r == 0) {
		LOG(INFO, "ready", F_STR("role", "web"), F_INT("files", site_count(web.site)));
		loop_run(web.loop);
	}
	finish(&web);
	signal_free(term);
	signal_free(interrupt);
	loop_free(web.loop);
	return r < 0 ? 1 : 0;
}
