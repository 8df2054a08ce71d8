/*
 * The work process: has the session's work keys and two sockets, to the pump and to engawa-desktop,
 * and nothing else. It opens and checks the client's input, seals the desktop's pictures, and ends
 * the session when nothing comes (3 s) or nothing is done (policy's IDLE_TIMEOUT).
 *
 *     desktop ─DesktopReady─▶ ready ─MSG_BEGIN (the client has Start)─▶ running ─▶ ended
 */
#include "agent/work.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/role.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "inner.pb.h"

enum {
	STREAM = 4,
	DESKTOP = 5,
	TICK_MS = 500,
	PATH_DEAD_MS = 3000, /* the client pings every second (docs/protocol.md 8.3) */
	IDLE_WARN_S = 60,
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
	work->state = WORK_ENDED;
	work_desktop_close(work);
	timer_stop(work->tick);
	role_send(MSG_ENDED, out, code_put(code, out), -1);
	inner_finish(&work->inner);
}

static int
on_record(void *user, uint8_t type, const uint8_t *payload, size_t len)
{
	struct work *work = user;
	if (work->state != WORK_RUNNING)
		return -ERR_PROTOCOL;
	work->last_byte = mono_now();
	int r = work_input(work, type, payload, len);
	if (r == -ERR_PROTOCOL)
		work_end(work, ERR_PROTOCOL);
	return 0;
}

static void
on_closed(void *user, int code)
{
	struct work *work = user;
	uint8_t out[4];
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
notice(struct work *work, uint32_t code, uint32_t seconds)
{
	engawa_Notice message = {.code = code, .seconds = seconds};
	inner_send_message(
		&work->inner, engawa_InnerType_INNER_NOTICE, engawa_Notice_fields, &message);
}

static void
idle_tick(struct work *work, struct mono now)
{
	uint64_t idle_s = mono_diff_ms(work->last_input, now) / 1000;
	if (!work->idle_s)
		return;
	if (idle_s >= work->idle_s) {
		work_end(work, ERR_IDLE);
		return;
	}
	uint32_t left_s = (uint32_t)(work->idle_s - idle_s);
	if (left_s > IDLE_WARN_S || work->warned)
		return;
	work->warned = 1;
	notice(work, ERR_IDLE, left_s);
}

static void
on_tick(void *user)
{
	struct work *work = user;
	struct mono now = mono_now();
	if (mono_diff_ms(work->last_byte, now) >= PATH_DEAD_MS)
		work_end(work, ERR_TIMEOUT);
	else
		idle_tick(work, now);
}

static void
begin(struct work *work)
{
	work->state = WORK_RUNNING;
	work->last_byte = work->last_input = mono_now();
	timer_start(work->tick, TICK_MS, TICK_MS);
	inner_read(&work->inner);
	work_desktop_resume(work);
}

static void
on_monitor(void *user, int ready)
{
	struct work *work = user;
	uint8_t payload[MESSAGE_MAX_BYTES];
	uint16_t type;
	uint32_t code;
	(void)ready;
	int n = ipc_recv(ROLE_CHANNEL, &type, payload, sizeof payload, NULL);
	if (n < 0)
		_exit(0);
	if (type == MSG_BEGIN && work->state == WORK_READY)
		begin(work);
	else if (type == MSG_END && code_get(payload, (size_t)n, &code) == 0)
		work_end(work, code);
	else if (type == MSG_NOTICE && code_get(payload, (size_t)n, &code) == 0 &&
		 work->state == WORK_RUNNING)
		notice(work, code, 0);
	else if (work->state != WORK_ENDED)
		_exit(2);
}

int
work_main(const struct options *options)
{
	struct work work = {.loop = loop_new()};
	struct work_run run;
	uint8_t payload[sizeof run];
	EVP_CIPHER_free(EVP_CIPHER_fetch(
		NULL, "AES-256-GCM", NULL)); /* the library reads its files before the sandbox */
	size_t len = role_expect(MSG_RUN, payload, sizeof payload, NULL);
	if (work_run_get(payload, len, &run) < 0)
		return 2;
	role_sandbox(options, "work", SANDBOX_IO);
	work.idle_s = run.idle_s;
	work.tick = timer_new(work.loop, on_tick, &work);
	/* the client may be faster than the monitor's word that it has Start */
	work.inner = (struct inner){.held = 1,
		.on_record = on_record,
		.on_closed = on_closed,
		.on_drained = on_drained,
		.user = &work};
	int r = inner_open(&work.inner, work.loop, STREAM, RECORD_AGENT, run.client, run.agent);
	mem_wipe(&run, sizeof run);
	mem_wipe(payload, sizeof payload);
	if (r < 0)
		return 2;
	work_desktop_open(&work, DESKTOP);
	struct watch *watch = watch_new(work.loop, ROLE_CHANNEL, on_monitor, &work);
	watch_set(watch, WATCH_READ);
	loop_run(work.loop);
	return 0;
}
