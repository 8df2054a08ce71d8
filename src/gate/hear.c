/* Messages of the parent. */
#include "gate/hear.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/ipc.h"
#include "gate/browser.h"
#include "gate/draft.h"
#include "gate/tell.h"
#include "gate/worker.h"

static int
apply(struct worker *w)
{
	struct secure_context *context = draft_apply(w->draft);
	if (!context)
		return -ERR_CRYPTO;
	secure_context_free(w->secure); /* connections that have begun keep theirs */
	w->secure = context;
	LOG(INFO, "worker.certificates");
	return 0;
}

static int
add_listener(struct worker *w, int fd)
{
	if (fd < 0 || w->listeners.count == WORKER_LISTENERS_MAX)
		return -ERR_PROTOCOL;
	w->listeners.fds[w->listeners.count++] = fd;
	return 0;
}

static int
take_settings(struct worker *w, const char *text, size_t len)
{
	enum log_level level;
	int r = settings_unpack(text, len, &w->settings);
	if (r == 0 && log_level_parse(w->settings.log_level, &level) == 0)
		log_open("engawa-gate", level, -1);
	return r;
}

/* fd: of the common numbers. */
static int
take_seat(struct worker *w, const uint8_t *payload, size_t len, int fd)
{
	if (len != sizeof w->seat || fd < 0)
		return -ERR_PROTOCOL;
	memcpy(&w->seat, payload, sizeof w->seat);
	int r = limits_share(&w->limits, fd, w->seat.seat, w->seat.seats);
	w->fair.table = w->limits.fair;
	close(fd);
	return r;
}

static int
on_refuse(struct worker *w, const uint8_t *payload, size_t len)
{
	struct tell_refuse refuse;
	if (len != sizeof refuse)
		return -ERR_PROTOCOL;
	memcpy(&refuse, payload, sizeof refuse);
	if (!err_find((int)refuse.code))
		return -ERR_PROTOCOL;
	session_refused(w, &refuse);
	return 0;
}

static int
on_taken(struct worker *w, const uint8_t *payload, size_t len)
{
	struct tell_place place;
	if (len != sizeof place)
		return -ERR_PROTOCOL;
	memcpy(&place, payload, sizeof place);
	if (place.kind == TELL_AGENT)
		presence_taken(w, &place);
	else
		session_taken(w, &place);
	return 0;
}

static int
on_deny(struct worker *w, enum tell type, const uint8_t *payload, size_t len)
{
	struct tell_deny deny;
	if (len != sizeof deny)
		return -ERR_PROTOCOL;
	memcpy(&deny, payload, sizeof deny);
	if (type == TELL_DENY)
		presence_deny(w, &deny);
	else
		presence_allow(w, deny.agent_id);
	return 0;
}

static int
on_http(struct worker *w, const uint8_t *payload, size_t len, int fd)
{
	struct tell_http http;
	if (len != sizeof http)
		return -ERR_PROTOCOL;
	memcpy(&http, payload, sizeof http);
	struct leg *l = leg_find(w, http.fd, http.serial);
	if (l && l->state == LEG_DIALLING)
		browser_connected(w, l, fd);
	else if (fd >= 0)
		close(fd);
	return 0;
}

/* A message of the parent; fd -1 = none. 0, 1 after READY, negative for one that makes no sense. */
static int
on_told(struct worker *w, uint16_t type, const uint8_t *payload, size_t len, int fd)
{
	switch ((enum tell)type) {
	case TELL_SETTINGS:
		return take_settings(w, (const char *)payload, len);
	case TELL_LISTENER:
		return add_listener(w, fd);
	case TELL_CHANNEL:
	case TELL_CERTIFICATE:
	case TELL_ISSUER:
	case TELL_PAGE:
		return draft_add(w->draft, type, payload, len, fd);
	case TELL_APPLY:
		return apply(w);
	case TELL_WELCOME:
		return link_welcome(w, payload, len);
	case TELL_LINK:
		link_connected(w, fd);
		return 0;
	case TELL_HTTP:
		return on_http(w, payload, len, fd);
	case TELL_DENY:
	case TELL_ALLOW:
		return on_deny(w, (enum tell)type, payload, len);
	case TELL_SEAT:
		return take_seat(w, payload, len, fd);
	case TELL_TAKEN:
		return on_taken(w, payload, len);
	case TELL_REFUSE:
		return on_refuse(w, payload, len);
	case TELL_HAND:
		return move_on_hand(w, payload, len, fd);
	case TELL_HANDED:
	case TELL_ACK:
	case TELL_COMMIT:
	case TELL_BACK:
	case TELL_GONE:
		return move_on_step(w, (enum tell)type, payload, len);
	case TELL_WAIT:
		w->arrive.waiting = 1;
		return 0;
	case TELL_ARRIVE:
		return arrive_channel(w, fd);
	case TELL_HERE:
		return worker_tell(w, TELL_HERE, NULL, 0);
	case TELL_GO:
		arrive_go(w);
		return 0;
	case TELL_LEAVE:
		return leave_on_phase(w, payload, len, fd);
	case TELL_DRAIN:
		worker_drain(w);
		return 0;
	case TELL_READY:
		return 1;
	default:
		return -ERR_PROTOCOL;
	}
}

/* 0, 1 after READY, -EAGAIN, negative when the parent is gone. */
int
hear(struct worker *w)
{
	static uint8_t payload[IPC_PAYLOAD_MAX];
	uint16_t type;
	int fd = -1;
	int n = ipc_recv(w->parent, &type, payload, sizeof payload, &fd);
	if (n < 0)
		return n == -EWOULDBLOCK ? -EAGAIN : n;
	int r = on_told(w, type, payload, (size_t)n, fd);
	if (r < 0)
		LOG(ERROR, "worker.told", F_INT("type", type), F_ERR("code", r));
	return r;
}
