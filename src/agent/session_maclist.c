/*
 * The lists of MAC addresses on the organisation's server, as the monitor sees them: a question to
 * the helper with the last good copy, its answer, and a newer copy to keep. Nothing of a list is
 * parsed here.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/check_maclist.h"
#include "agent/message.h"
#include "agent/session.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/mac.h"

enum {
	HELPER_MS = (MACLIST_FETCH_S + 4) * 1000 /* below the wait of the login for its check */
};

struct mac_check {
	struct session *session;
	enum mac_list which;
	struct process *helper;
	struct timer *timer; /* deadline, then: tell from the loop */
	int result;
};

static const char *const copy_names[] = {"maclist-client", "maclist-server"};

void
session_maclist_drop(struct session *s)
{
	struct mac_check *check = s->mac_check;
	s->mac_check = NULL;
	if (!check)
		return;
	process_free(check->helper);
	timer_free(check->timer);
	free(check);
}

static void
tell(void *user)
{
	struct mac_check *check = user;
	struct session *s = check->session;
	int result = check->result;
	session_maclist_drop(s);
	if (s->state == SESSION_LOGIN)
		session_login_result(s, login_checked(&s->flow, result));
}

static void
done(struct mac_check *check, int result)
{
	check->result = result;
	check->session->agent->list_missing[check->which] = result == -ERR_MAC_LIST;
	process_free(check->helper);
	check->helper = NULL;
	timer_free(check->timer);
	check->timer = timer_new(check->session->agent->loop, tell, check);
	timer_start(check->timer, 0, 0);
}

/* As it is: whoever reads it next is the helper again. */
static int
keep_copy(const struct mac_check *check, int fd)
{
	char path[PATH_MAX];
	struct stat st;
	int r = state_path(
		&check->session->agent->options, copy_names[check->which], path, sizeof path);
	if (r < 0 || fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > MACLIST_COPY_MAX_BYTES)
		return r < 0 ? r : -ERR_PROTOCOL;
	size_t size = (size_t)st.st_size, len = 0;
	char *text = mem_array(1, size);
	if (!text)
		return -ENOMEM;
	for (ssize_t n = 1; n > 0 && len < size; len += (size_t)n) {
		n = pread(fd, text + len, size - len, (off_t)len);
		if (n < 0) {
			free(text);
			return -errno;
		}
	}
	r = conf_write_file(path, text, len, 0600);
	free(text);
	return r;
}

static void
on_answer(void *user, enum role role, uint16_t type, const uint8_t *payload, size_t len, int fd)
{
	struct mac_check *check = user;
	uint32_t code;
	(void)role;
	int fits = type == MSG_MACLIST_CHECKED && code_get(payload, len, &code) == 0 &&
		   (code == 0 || code == ERR_MAC_DENIED || code == ERR_MAC_LIST);
	int r = fits && fd >= 0 ? keep_copy(check, fd) : 0;
	if (fd >= 0)
		close(fd);
	if (r < 0)
		LOG(WARN, "maclist.keep", F_ERR("code", r));
	done(check, fits ? -(int)code : -ERR_MAC_LIST);
}

static void
on_gone(void *user, enum role role, int status)
{
	(void)role, (void)status;
	done(user, -ERR_MAC_LIST);
}

static void
on_late(void *user)
{
	done(user, -ERR_MAC_LIST);
}

static int
put_question(const struct mac_check *check, struct maclist_question *q)
{
	const struct session *s = check->session;
	const struct policy *policy = &s->policy;
	const char *ca_file = s->agent->options.mac_list_ca_file;
	int is_server = check->which == MAC_LIST_SERVER;
	const char *url = is_server ? policy->server_mac_list : policy->client_mac_list;
	*q = (struct maclist_question){.max_age_s = (uint32_t)policy->mac_list_max_age_s};
	if (!url || str_copy(q->url, sizeof q->url, url) < 0 ||
		(ca_file && str_copy(q->ca_file, sizeof q->ca_file, ca_file) < 0))
		return -ERR_SETTING;
	if (is_server) {
		q->count = mac_permanent(q->macs, FACTS_MACS_MAX);
		return 0;
	}
	q->count = s->flow.facts.mac_count;
	memcpy(q->macs, s->flow.facts.macs, sizeof q->macs);
	return 0;
}

static int
start_helper(struct mac_check *check)
{
	static const struct process_events events = {on_answer, on_gone};
	struct agent *agent = check->session->agent;
	struct maclist_question question;
	uint8_t payload[MACLIST_QUESTION_MAX_BYTES];
	char path[PATH_MAX];
	struct process_start start = {.loop = agent->loop,
		.options = &agent->options,
		.role = ROLE_CHECK_MACLIST,
		.fds = {-1, -1},
		.events = &events,
		.user = check};
	int r = put_question(check, &question);
	if (r == 0)
		r = state_path(&agent->options, copy_names[check->which], path, sizeof path);
	if (r < 0)
		return r;
	check->helper = process_new(&start);
	if (!check->helper)
		return -ERR_INTERNAL;
	int copy = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	r = process_send(check->helper, MSG_CHECK_MACLIST, payload,
		maclist_question_put(&question, payload), copy);
	if (copy >= 0)
		close(copy);
	return r;
}

void
session_maclist(void *user, enum mac_list which)
{
	struct session *s = user;
	struct mac_check *check = mem_new(sizeof *check);
	*check = (struct mac_check){.session = s, .which = which};
	s->mac_check = check;
	int r = start_helper(check);
	if (r < 0) {
		LOG(ERROR, "maclist.start", F_ERR("code", r));
		done(check, -ERR_MAC_LIST);
		return;
	}
	check->timer = timer_new(s->agent->loop, on_late, check);
	timer_start(check->timer, HELPER_MS, 0);
}
