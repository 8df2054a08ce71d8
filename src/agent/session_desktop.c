/* The desktop of a session: engawa-desktop as the person, with the watermark's text, and the work
 * process in front of it. */
#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/session.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "desktop.pb.h"
#include "mark/code.h"
#include "net/frame.h"

/* The relay knows the id and can compute the same name; nobody can go back from it. */
void
session_code_make(
	const uint8_t session_id[static SESSION_ID_BYTES], char ret_code[static SESSION_CODE_SIZE])
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	uint8_t hash[SHA256_DIGEST_LENGTH];
	SHA256(session_id, SESSION_ID_BYTES, hash);
	for (int i = 0, at = 0; i < 8; i++) {
		if (i == 4)
			ret_code[at++] = '-';
		ret_code[at++] = digits[hash[i] & 31];
	}
	ret_code[SESSION_CODE_SIZE - 1] = '\0';
}

static void
local_time(uint64_t now_s, char *out, size_t size)
{
	time_t now = (time_t)now_s;
	struct tm tm;
	localtime_r(&now, &tm);
	strftime(out, size, "%Y-%m-%d %H:%M:%S %Z", &tm);
}

/* Who looks at what, from where, since when. Cut rather than left out when somebody calls their
 * computer a novel. */
static void
watermark(const struct session *s, uint64_t now_s, engawa_DesktopStart *start)
{
	const struct policy *policy = &s->policy;
	const struct facts *facts = &s->flow.facts;
	char id[TERMINAL_ID_TEXT_SIZE], time[64];
	enum {
		LINE = sizeof start->watermark[0]
	};
	if (!policy_wants_watermark(policy))
		return;
	terminal_id_format(s->agent->keys.terminal_id, id);
	local_time(now_s, time, sizeof time);
	if (policy->watermark_message)
		snprintf(start->watermark[start->watermark_count++], LINE, "%.120s",
			policy->watermark_message);
	snprintf(start->watermark[start->watermark_count++], LINE, "%s  %s", id, s->code);
	snprintf(start->watermark[start->watermark_count++], LINE, "%.60s %.60s  %s",
		facts->computer_name, facts->user, s->ticket.client_address);
	snprintf(start->watermark[start->watermark_count++], LINE, "%s", time);
	/* a cut may have split a character */
	for (size_t i = 0; i < start->watermark_count; i++)
		for (size_t n = strlen(start->watermark[i]);
			n > 0 && !str_utf8(start->watermark[i], n); n--)
			start->watermark[i][n - 1] = '\0';
}

/* The coded part, of a session that is marked: whom it names only the organisation can read, and
 * only this office PC can write. */
static int
watermark_code(const struct session *s, uint64_t now_s, engawa_DesktopStart *start)
{
	static const uint8_t none[MARK_KEY_BYTES];
	const struct keys *keys = &s->agent->keys;
	uint8_t key[MARK_KEY_BYTES];
	struct mark mark = {.started_s = now_s};
	if (start->watermark_count == 0)
		return 0;
	if (memcmp(keys->org.watermark_key, none, sizeof none) == 0) {
		LOG(WARN, "session.uncoded_watermark", F_STR("session", s->code));
		return 0;
	}
	memcpy(mark.session, s->code, sizeof mark.session);
	int r = mark_key_agent(keys->agent.secret, keys->org.watermark_key, key);
	if (r == 0)
		r = mark_encode(key, &mark, start->watermark_code.bytes);
	if (r == 0)
		start->watermark_code.size = WATERMARK_CODE_BYTES;
	mem_wipe(key, sizeof key);
	return r;
}

int
session_desktop_start(struct session *s)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	s->desktop = session_start_process(s, ROLE_DESKTOP, pair[0], -1);
	close(pair[0]);
	s->desktop_socket = pair[1];
	return s->desktop ? 0 : -ERR_DESKTOP_FAILED;
}

static int
send_start(struct session *s, const struct display_auth *auth)
{
	const struct facts *facts = &s->flow.facts;
	engawa_DesktopStart start = {.window_mib = facts->window_mib};
	uint8_t out[FRAME_HEADER_BYTES + engawa_DesktopStart_size];
	uint64_t now_s = wall_s();
	watermark(s, now_s, &start);
	int r = watermark_code(s, now_s, &start);
	if (r < 0) {
		LOG(ERROR, "session.watermark_failed", F_STR("session", s->code), F_ERR("why", r));
		return -ERR_DESKTOP_FAILED;
	}
	start.film = facts->film != 0;
	start.own_display = s->agent->options.display_virtual != 0;
	for (size_t i = 0; i < facts->screen_count; i++) {
		const struct screen *m = &facts->screens[i];
		start.monitors[start.monitors_count++] = (engawa_Monitor){
			m->x_px, m->y_px, m->width_px, m->height_px, m->scale_percent};
	}
	snprintf(start.locale, sizeof start.locale, "%s", facts->locale);
	snprintf(start.auth_name, sizeof start.auth_name, "%s", auth->name);
	start.auth_data.size = (pb_size_t)auth->data_len;
	memcpy(start.auth_data.bytes, auth->data, auth->data_len);
	int n = frame_encode(engawa_DesktopType_DESKTOP_START, engawa_DesktopStart_fields, &start,
		out, sizeof out);
	mem_wipe(&start, sizeof start);
	/* the socket is new and empty: it takes this whole or not at all */
	r = n < 0 ? n
	    : send(s->desktop_socket, out, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) == n
		    ? 0
		    : -ERR_DESKTOP_FAILED;
	mem_wipe(out, sizeof out);
	return r;
}

int
session_work_start(struct session *s)
{
	uint8_t out[MESSAGE_MAX_BYTES];
	struct work_run run = {.idle_s = (uint32_t)s->policy.idle_timeout_s,
		.epoch = s->epoch,
		.stream = s->flow.facts.stream,
		.received = s->flow.facts.received,
		.keep = s->agent->options.resume_s > 0,
		.padding = (uint8_t)policy_padding(&s->policy)};
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	memcpy(run.client, s->secrets.work_client, sizeof run.client);
	memcpy(run.agent, s->secrets.work_agent, sizeof run.agent);
	int again = s->work != NULL;
	if (!again)
		s->work = session_start_process(s, ROLE_WORK, pair[0], s->desktop_socket);
	int r = s->work ? process_send(s->work, MSG_RUN, out, work_run_put(&run, out),
				  again ? pair[0] : -1)
			: -ERR_INTERNAL;
	if (r == 0)
		r = process_send(s->pump, MSG_ATTACH, NULL, 0, pair[1]);
	close(pair[0]);
	close(pair[1]);
	if (s->desktop_socket >= 0)
		close(s->desktop_socket);
	s->desktop_socket = -1;
	mem_wipe(&run, sizeof run);
	mem_wipe(out, sizeof run);
	mem_wipe(&s->secrets, sizeof s->secrets);
	return r;
}

int
session_desktop_display(struct session *s, const struct display_auth *auth)
{
	if (s->work || s->desktop_socket < 0)
		return -ERR_PROTOCOL;
	int r = send_start(s, auth);
	return r < 0 ? r : session_work_start(s);
}
