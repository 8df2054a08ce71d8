/*
 * The work process: has the session's work keys and two sockets, to the pump and to engawa-desktop,
 * and nothing else. It opens and checks the client's input, seals the desktop's pictures, and ends
 * the session when nothing is done (policy's IDLE_TIMEOUT). When nothing comes (3 s) or the path
 * breaks, it keeps the desktop until the monitor brings a new path with new keys.
 *
 *     desktop ─DesktopReady─▶ ready ─MSG_BEGIN (the client has Start)─▶ running ─▶ ended
 *        ▲                      └──────────────┬───────────────────────────┘        ▲
 *        └──────── MSG_RUN ─────────────────  lost  ────────── idle, MSG_END ───────┘
 */
#include "agent/work.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/role.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "desktop.pb.h"
#include "inner.pb.h"

enum {
	STREAM = 4,
	DESKTOP = 5,
	TICK_MS = 500,
};

void
work_end(struct work *work, uint32_t code)
{
	uint8_t out[4];
	if (work->state == WORK_ENDED)
		return;
	engawa_End end = {.code = code};
	/* before Start the client does not have these keys yet */
	if (code && work->state == WORK_RUNNING)
		inner_send_message(
			&work->inner, engawa_InnerType_INNER_END, engawa_End_fields, &end);
	int alone = work->state == WORK_LOST;
	work->state = WORK_ENDED;
	work_desktop_close(work);
	timer_stop(work->tick);
	work->tell(MSG_ENDED, out, code_put(code, out));
	if (alone)
		_exit(0);
	inner_finish(&work->inner);
}

static void
tell_monitor(const struct work *work, uint16_t type, int code)
{
	uint8_t out[8];
	const struct lost lost = {work->epoch, (uint32_t)(code <= -200 ? -code : ERR_CLOSED)};
	work->tell(type, out, lost_put(&lost, out));
}

static void
leave_path(struct work *work)
{
	inner_close(&work->inner);
	work->state = WORK_LOST;
	work->warned = 0; /* who comes back is warned again */
	/* when it does not take even this, it does not read its input at all: then it ends */
	if (work_desktop_send(work, engawa_DesktopType_DESKTOP_RELEASE, engawa_Continue_fields,
		    &(engawa_Continue){0}) < 0)
		work_end(work, ERR_DESKTOP_FAILED);
}

void
work_lose(struct work *work, int code)
{
	if (work->state == WORK_LOST || work->state == WORK_ENDED)
		return;
	tell_monitor(work, MSG_LOST, code);
	leave_path(work);
}

static int
on_record(void *user, uint8_t type, const uint8_t *payload, size_t len)
{
	struct work *work = user;
	if (work->state != WORK_RUNNING)
		return -ERR_PROTOCOL;
	work->now = work->last_byte = mono_now();
	if (!work->heard)
		tell_monitor(work, MSG_HEARD, 0);
	work->heard = 1;
	int r = work_input(work, type, payload, len);
	if (r == -ERR_PROTOCOL || r == -ERR_INPUT_BURST)
		work_end(work, (uint32_t)-r);
	return 0;
}

static void
on_closed(void *user, int code)
{
	struct work *work = user;
	uint8_t out[4];
	/* whoever breaks the rules inside the channel is the client; what does not open is the
	 * way's doing */
	int may_come_back = code != -ERR_PROTOCOL && code != -ERR_TOO_LONG;
	if (work->keep && work->state != WORK_ENDED && work->begun && may_come_back) {
		work_lose(work, code);
		return;
	}
	if (work->state != WORK_ENDED)
		role_send(MSG_ENDED, out, code_put(code > -200 ? ERR_CLOSED : (uint32_t)-code, out),
			-1);
	_exit(0);
}

static void
on_drained(void *user)
{
	work_desktop_resume(user);
}

static void
on_tick(void *user)
{
	struct work *work = user;
	work->now = mono_now();
	work_tick(work);
}

static void
begin(struct work *work)
{
	work->state = WORK_RUNNING;
	work->now = work->last_byte = mono_now();
	if (!work->begun) {
		work->last_input = work->now;
		rates_init(&work->rates, work->now); /* a new path is no new hand */
	}
	work->begun = 1;
	work->ticked = work->now;
	work->late = 0;
	timer_start(work->tick, TICK_MS, TICK_MS);
	inner_read(&work->inner);
	work_desktop_resume(work);
}

/* The client's side of a new path. */
static int
open_path(struct work *work, int fd, const struct work_run *run)
{
	work->idle_s = run->idle_s;
	work->epoch = run->epoch;
	work->keep = run->keep;
	work->heard = 0;
	/* the client may be faster than the monitor's word that it has Start */
	work->inner = (struct inner){.held = 1,
		.on_record = on_record,
		.on_closed = on_closed,
		.on_drained = on_drained,
		.user = work};
	return inner_open(&work->inner, work->loop, fd, (enum record_padding)run->padding,
		run->client, run->agent);
}

static int
run_again(struct work *work, const uint8_t *payload, size_t len, int fd)
{
	struct work_run run;
	if (fd < 0 || !work->begun || work_run_get(payload, len, &run) < 0)
		return -ERR_PROTOCOL;
	/* the monitor knows sooner than we do that the old path is gone */
	if (work->state != WORK_LOST)
		leave_path(work);
	int r = open_path(work, fd, &run);
	if (r == 0)
		r = work_desktop_again(work, run.stream, run.received);
	mem_wipe(&run, sizeof run);
	if (r == -ENOBUFS)
		work_end(work, ERR_DESKTOP_FAILED);
	return r == -ENOBUFS ? 0 : r;
}

static void
on_notice(struct work *work, const struct notice *notice)
{
	if (work->state == WORK_RUNNING)
		inner_send_notice(&work->inner, notice);
}

static void
on_monitor(void *user, int ready)
{
	struct work *work = user;
	uint8_t payload[MESSAGE_MAX_BYTES];
	uint16_t type;
	uint32_t code;
	struct notice notice;
	int fd = -1, r = 0;
	(void)ready;
	int n = ipc_recv(ROLE_CHANNEL, &type, payload, sizeof payload, &fd);
	if (n < 0)
		_exit(0);
	if (type == MSG_BEGIN && work->state == WORK_READY)
		begin(work);
	else if (type == MSG_BEGIN && work->state == WORK_LOST)
		return; /* the path broke before its beginning */
	else if (type == MSG_END && code_get(payload, (size_t)n, &code) == 0)
		work_end(work, code);
	else if (type == MSG_NOTICE && notice_get(payload, (size_t)n, &notice) == 0)
		on_notice(work, &notice);
	else if (type == MSG_RUN && work->state != WORK_ENDED)
		r = run_again(work, payload, (size_t)n, fd);
	else if (type == MSG_LOSE)
		work_lose(work, -ERR_CLOSED);
	else if (type == MSG_MOVE && code_get(payload, (size_t)n, &code) == 0)
		on_notice(work, &(struct notice){.code = ERR_DRAIN, .seconds = code});
	else if (work->state != WORK_ENDED)
		r = -ERR_PROTOCOL;
	mem_wipe(payload, sizeof payload);
	if (r < 0)
		_exit(2);
}

static void
tell(uint16_t type, const void *payload, size_t len)
{
	role_send(type, payload, len, -1);
}

int
work_main(const struct options *options)
{
	struct work work = {.loop = loop_new(), .tell = tell};
	struct work_run run;
	uint8_t payload[sizeof run];
	EVP_CIPHER_free(EVP_CIPHER_fetch(
		NULL, "AES-256-GCM", NULL)); /* the library reads its files before the sandbox */
	size_t len = role_expect(MSG_RUN, payload, sizeof payload, NULL);
	if (work_run_get(payload, len, &run) < 0)
		return 2;
	role_sandbox(options, "work", SANDBOX_IO);
	work.tick = timer_new(work.loop, on_tick, &work);
	int r = open_path(&work, STREAM, &run);
	mem_wipe(&run, sizeof run);
	mem_wipe(payload, sizeof payload);
	if (r < 0)
		return 2;
	replay_init(&work.replay);
	work_desktop_open(&work, DESKTOP);
	struct watch *watch = watch_new(work.loop, ROLE_CHANNEL, on_monitor, &work);
	watch_set(watch, WATCH_READ);
	loop_run(work.loop);
	return 0;
}
