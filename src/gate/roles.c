#include "gate/roles.h"

#include <errno.h>

#include "base/err.h"
#include "gate/blame.h"
#include "gate/browser.h"
#include "gate/door.h"
#include "gate/key.h"
#include "gate/order.h"
#include "gate/pipe.h"
#include "gate/proxied.h"
#include "gate/secure.h"
#include "gate/worker.h"

static const char *const state_names[] = {
	[LEG_HANDSHAKE] = "handshake",
	[LEG_HEAD] = "head",
	[LEG_DIALLING] = "dialling",
	[LEG_HELLO] = "hello",
	[LEG_READY] = "ready",
	[LEG_ASKING] = "asking",
	[LEG_KNOCKING] = "knocking",
	[LEG_MOVING] = "moving",
	[LEG_PIPE] = "pipe",
	[LEG_CLOSING] = "closing",
	[LEG_DEAD] = "dead",
};

static void
log_close(struct worker *w, const struct leg *l, enum leg_state was, int code, const char *text)
{
	char address[ADDRESS_TEXT_SIZE];
	uint32_t held;
	if (!log_limit_pass(&w->close_log, &held))
		return;
	address_text(&l->address, address);
	LOG(INFO, "connection.end", F_STR("state", state_names[was]), F_INT("role", l->role),
		F_STR("browser", l->kind == LEG_BROWSER ? "yes" : "no"), F_STR("address", address),
		F_ERR("code", code), F_STR("text", text),
		F_INT("ms", (uint64_t)(w->now - l->opened) * WHEEL_TICK_MS), F_INT("held", held));
}

static void
handshake(struct worker *w, struct leg *l)
{
	char text[128] = "";
	if (l->waits && !w->last_turn) {
		leg_run_last(w, l);
		return;
	}
	if (door_is_poor(w)) {
		leg_close(w, l, -ERR_TOO_MANY);
		return;
	}
	int r = l->wants_proxy ? proxied_take(w, l) : 0;
	if (r == 0)
		r = secure_handshake(l->secure, text, sizeof text);
	if (r == -EAGAIN) {
		l->can_read = 0;
		return;
	}
	if (r < 0) {
		if (r == -ERR_NO_SIGNATURE && key_was_refused())
			tally_add(&w->limits.mine->tally.bites[LIMIT_SIGNS], 1);
		log_close(w, l, LEG_HANDSHAKE, r, text);
		leg_close(w, l, r);
		return;
	}
	int native = secure_is_native(l->secure);
	tally_add(&w->limits.mine->tally.handshakes, 1);
	if (native && *text)
		l->share = (uint16_t)quota_row(w, text);
	l->kind = native ? LEG_NATIVE : LEG_BROWSER;
	l->state = native ? LEG_HELLO : LEG_HEAD;
	l->can_read = l->can_write = 1;
	leg_deadline(w, l, w->settings.hello_s);
	leg_run_later(w, l);
}

static int
takes_frames(const struct leg *l)
{
	return l->state >= LEG_HELLO && l->state <= LEG_KNOCKING;
}

static void
frames(struct worker *w, struct leg *l)
{
	size_t moved = 0;
	while (takes_frames(l) && moved < WORKER_TURN_BYTES) {
		uint8_t *data;
		size_t len;
		int r = leg_take(w, l, &data, &len);
		if (r == -EAGAIN)
			return;
		if (r == -ERR_PROTOCOL || r == -ERR_TOO_LONG || r == -ERR_CLOSED) {
			leg_end(w, l, r);
			return;
		}
		if (r < 0) {
			leg_close(w, l, r);
			return;
		}
		r = order_frames(w, l, data, len);
		if (r < 0) {
			leg_bye(w, l, r);
			return;
		}
		if (l->eof && takes_frames(l)) {
			leg_end(w, l, -ERR_CLOSED);
			return;
		}
		moved += len > 0 ? len : 1;
	}
	if (l->state < LEG_CLOSING)
		leg_run_later(w, l);
}

void
roles_run(struct worker *w, struct leg *l)
{
	switch ((enum leg_state)l->state) {
	case LEG_HANDSHAKE:
		handshake(w, l);
		break;
	case LEG_HEAD:
		browser_head(w, l);
		break;
	case LEG_HELLO:
	case LEG_READY:
	case LEG_ASKING:
	case LEG_KNOCKING:
		frames(w, l);
		break;
	case LEG_PIPE:
		pipe_run(w, l);
		break;
	case LEG_MOVING:
		move_run(w, l);
		return;
	case LEG_CLOSING:
		leg_closing(w, l);
		return;
	case LEG_DIALLING:
	case LEG_DEAD:
		break;
	}
	leg_flush(w, l);
	if (l->state == LEG_PIPE)
		pipe_drained(w, l);
	if (l->kind == LEG_LINK && l->state == LEG_READY)
		link_announce(w);
}

static void
closing_due(struct worker *w, struct leg *l)
{
	/* what is owed goes on as long as it moves, but not for ever */
	int moves = l->out.len > 0 && w->now - l->heard < wheel_ticks(LINGER_S);
	if (moves && w->now - l->pinged < wheel_ticks(w->settings.half_closed_s)) {
		leg_deadline(w, l, LINGER_S);
		return;
	}
	leg_close(w, l, -ERR_SLOW);
}

void
roles_due(struct worker *w, struct leg *l)
{
	switch ((enum leg_state)l->state) {
	case LEG_HANDSHAKE:
		leg_close(w, l, -ERR_SLOW);
		break;
	case LEG_HEAD:
		browser_refuse(w, l, 408, ERR_SLOW);
		break;
	case LEG_DIALLING:
		browser_refuse(w, l, 503, ERR_NO_CONTROLLER);
		break;
	case LEG_READY:
		if (l->role == engawa_Role_ROLE_AGENT)
			presence_due(w, l);
		else
			leg_bye(w, l, -ERR_SLOW);
		break;
	case LEG_HELLO:
		leg_bye(w, l, -ERR_SLOW);
		break;
	case LEG_ASKING:
	case LEG_KNOCKING:
		leg_bye(w, l, -ERR_TIMEOUT);
		break;
	case LEG_MOVING:
		break;
	case LEG_PIPE:
		pipe_due(w, l);
		break;
	case LEG_CLOSING:
		closing_due(w, l);
		break;
	case LEG_DEAD:
		break;
	}
}

void
roles_gone(struct worker *w, struct leg *l, enum leg_state was, int code)
{
	struct leg *peer = l->peer;
	if (was == LEG_MOVING)
		return; /* another worker has it */
	if (l->kind == LEG_NATIVE || l->kind == LEG_BROWSER)
		tally_code(w->limits.mine->tally.closes, code);
	if (was == LEG_HANDSHAKE) /* at its deadline, or because others wait, too */
		tally_add(&w->limits.mine->tally.handshakes_failed, 1);
	blame_close(w, l, was, code);
	if (was == LEG_DIALLING)
		limit_give(&w->limits, LIMIT_SPLICE);
	if (l->kind == LEG_LINK) {
		link_gone(w, l, code);
	} else if (l->role == engawa_Role_ROLE_AGENT) {
		presence_leave(w, l, code);
	} else if (l->session) {
		session_end(w, l->session, code);
	} else if (peer) {
		l->peer = peer->peer = NULL;
		leg_end(w, peer, code);
	} else if (was != LEG_PIPE && (was != LEG_HANDSHAKE || code == -ERR_SLOW)) {
		log_close(w, l, was, code, "");
	}
}
