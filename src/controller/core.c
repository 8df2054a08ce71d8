#include "controller/core.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "controller/admin.h"
#include "controller/ask.h"
#include "controller/divide.h"
#include "controller/link.h"
#include "controller/post.h"
#include "net/frame.h"

enum {
	FD_PARENT = 3,
	FD_LINK,
	FD_ADMIN,
	LIMIT_BUCKETS = 65536,
	MINUTE_MS = 60000,
	CLOCK_BACK_S = 300,
};

struct listener {
	struct core *core;
	struct watch *watch;
	int fd;
	void (*accept)(struct core *core, int fd);
};

static void
on_accept(void *user, int ready)
{
	struct listener *listener = user;
	(void)ready;
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		listener->accept(listener->core, fd);
}

static void
listener_start(
	struct listener *listener, struct core *core, int fd, void (*fn)(struct core *core, int fd))
{
	*listener = (struct listener){.core = core, .fd = fd, .accept = fn};
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	listener->watch = watch_new(core->loop, fd, on_accept, listener);
	watch_set(listener->watch, WATCH_READ);
}

void
core_grant(struct core *core, uint64_t origin, const engawa_LinkGrant *grant)
{
	if (origin == CORE_WEB)
		peer_send(core->web, PEER_GRANT, engawa_LinkGrant_fields, grant);
	else
		link_grant(core, origin, grant);
}

static void
on_status(struct core *core, const engawa_LinkGrant *question)
{
	engawa_LinkGrant reply = {.request = question->request, .has_grant = true};
	int r = authority_clock(core->authority, wall_s());
	reply.grant.code = (uint32_t) - (r < 0 ? r : store_check(core->store));
	peer_send(core->web, PEER_GRANT, engawa_LinkGrant_fields, &reply);
}

static void
on_web(void *user, uint16_t type, const uint8_t *payload, size_t len, int fd)
{
	struct core *core = user;
	engawa_LinkAsk ask;
	engawa_LinkGrant grant;
	(void)fd;
	if (type == PEER_ASK && frame_decode(engawa_LinkAsk_fields, &ask, payload, len) == 0) {
		ask_start(core, CORE_WEB, &ask);
	} else if (type == PEER_STATUS &&
		   frame_decode(engawa_LinkGrant_fields, &grant, payload, len) == 0) {
		on_status(core, &grant);
	} else {
		peer_free(core->web); /* the parent starts another */
		core->web = NULL;
	}
}

static void
on_mailer(void *user, uint16_t type, const uint8_t *payload, size_t len, int fd)
{
	struct core *core = user;
	(void)fd;
	if (type == PEER_MAILED || type == PEER_CAME_BACK) {
		(type == PEER_MAILED ? post_done : post_came_back)(core, payload, len);
		return;
	}
	peer_free(core->mailer);
	core->mailer = NULL;
	post_failed(core);
}

static void
on_parent(void *user, uint16_t type, const uint8_t *payload, size_t len, int fd)
{
	struct core *core = user;
	(void)payload;
	(void)len;
	if (type == PEER_WEB && fd >= 0) {
		peer_free(core->web);
		core->web = peer_new(core->loop, fd, 0, on_web, core);
	} else if (type == PEER_MAILER && fd >= 0) {
		peer_free(core->mailer);
		post_failed(core);
		core->mailer = peer_new(core->loop, fd, 0, on_mailer, core);
	} else {
		loop_stop(core->loop);
	}
}

static void
on_signal(void *user, int number)
{
	struct core *core = user;
	LOG(INFO, "stop", F_INT("signal", number));
	loop_stop(core->loop);
}

/* A database that cannot be opened now may be there in a minute: the role lives on and says
 * ERR_BUSY_DATABASE. One that is another program's or a newer version's never gets better. */
static int
open_store(struct core *core)
{
	uint64_t latest_s;
	int r = store_open(core->settings->database, &core->store);
	if (r < 0)
		LOG(ERROR, "store", F_ERR("code", r), F_STR("why", store_error(core->store)));
	if (r == 0 && store_latest(core->store, &latest_s) == 0 &&
		wall_s() + CLOCK_BACK_S < latest_s)
		LOG(WARN, "clock.behind", F_INT("by_s", latest_s - wall_s()));
	return r == -ERR_VERSION ? r : 0;
}

static int
start(struct core *core)
{
	const struct settings *s = core->settings;
	struct conf_error error = {""};
	int r = authority_load(s->ca_directory, &core->authority, &error);
	if (r < 0) {
		LOG(ERROR, "authority", F_ERR("code", r), F_STR("why", error.text));
		return r;
	}
	r = sandbox_user(s->user, NULL);
	if (r < 0) {
		LOG(ERROR, "user", F_ERR("code", r), F_STR("user", s->user));
		return r;
	}
	r = open_store(core);
	if (r < 0)
		return r;
	core->presence = presence_new();
	core->trail = trail_new(core->loop, core->store);
	core->divide = divide_new(core);
	core->asks = limit_new(
		LIMIT_BUCKETS, (unsigned)s->ask_burst, (unsigned)s->ask_per_minute, MINUTE_MS);
	core->enrolments = limit_new(
		LIMIT_BUCKETS, (unsigned)s->enrol_burst, (unsigned)s->enrol_per_minute, MINUTE_MS);
	core->returned = limit_new(LIMIT_BUCKETS, (unsigned)s->mail_burst, (unsigned)s->mail_burst,
		(uint64_t)s->mail_window_s * 1000);
	r = admin_start(core);
	if (r == 0)
		json_object_seed(0); /* reads /dev/urandom once */
	if (r == 0)
		r = sandbox_calls(SANDBOX_STORE);
	if (r < 0)
		LOG(ERROR, "sandbox", F_ERR("code", r));
	return r;
}

static void
finish(struct core *core)
{
	core->stopping = 1;
	admin_stop(core);
	ask_cancel_all(core);
	link_free_all(core);
	divide_free(core->divide);
	post_failed(core);
	peer_free(core->web);
	peer_free(core->mailer);
	peer_free(core->parent);
	trail_free(core->trail);
}

int
core_main(const struct settings *settings)
{
	struct core core = {.settings = settings,
		.loop = loop_new(),
		.ask_log = {.burst = 100, .window_ms = 10000},
		.enrol_log = {.burst = 100, .window_ms = 10000}};
	struct listener links, admins;
	int r = start(&core);
	if (r < 0)
		return 1;
	struct signal_watch *term = signal_new(core.loop, SIGTERM, on_signal, &core);
	struct signal_watch *interrupt = signal_new(core.loop, SIGINT, on_signal, &core);
	core.parent = peer_new(core.loop, FD_PARENT, 1, on_parent, &core);
	listener_start(&links, &core, FD_LINK, link_accept);
	listener_start(&admins, &core, FD_ADMIN, admin_accept);
	LOG(INFO, "ready", F_STR("role", "core"));
	loop_run(core.loop);
	watch_free(links.watch);
	watch_free(admins.watch);
	signal_free(term);
	signal_free(interrupt);
	finish(&core);
	loop_free(core.loop); /* waits for enrolments on their threads */
	store_close(core.store);
	presence_free(core.presence);
	limit_free(core.asks);
	limit_free(core.enrolments);
	limit_free(core.returned);
	authority_free(core.authority);
	return 0;
}
