#include "gate/request.h"

#include <string.h>

#include "base/err.h"
#include "gate/worker.h"
#include "outer.pb.h"

void
requests_init(struct requests *requests)
{
	memset(requests, 0, sizeof *requests);
	requests->first = requests->next = 1; /* 0 is what a forgotten field reads as */
}

static struct request *
at(struct requests *requests, uint64_t number)
{
	return &requests->ring[number % LIMIT_REQUESTS_MAX];
}

int
request_new(struct worker *w, struct leg *l, enum request_kind kind, const uint8_t *about,
	uint64_t *ret_number)
{
	struct requests *q = &w->requests;
	if (!link_up(w))
		return -ERR_NO_CONTROLLER;
	if (l->waiting >= REQUESTS_OF_ONE || q->next - q->first >= LIMIT_REQUESTS_MAX) {
		limit_bite(&w->limits, LIMIT_REQUESTS, &l->address);
		return -ERR_LIMIT;
	}
	struct request *r = at(q, q->next);
	*r = (struct request){.due = w->now + wheel_ticks(w->settings.controller_s),
		.fd = l->fd,
		.serial = l->serial,
		.kind = (uint8_t)kind,
		.open = 1};
	if (about)
		memcpy(r->about, about, sizeof r->about);
	l->waiting++;
	*ret_number = q->next++;
	return 0;
}

static void
skip_closed(struct requests *q)
{
	while (q->first < q->next && !at(q, q->first)->open)
		q->first++;
}

/* No longer open. Who asked, NULL when it is gone. */
static struct leg *
finish(struct worker *w, struct request *r)
{
	struct leg *l = leg_find(w, r->fd, r->serial);
	r->open = 0;
	if (l)
		l->waiting--;
	return l;
}

struct leg *
request_take(struct worker *w, uint64_t number, enum request_kind kind, uint8_t *ret_about)
{
	struct requests *q = &w->requests;
	if (number < q->first || number >= q->next)
		return NULL;
	struct request *r = at(q, number);
	if (!r->open || r->kind != kind)
		return NULL;
	if (ret_about)
		memcpy(ret_about, r->about, sizeof r->about);
	struct leg *l = finish(w, r);
	skip_closed(q);
	return l;
}

void
request_refuse(struct worker *w, struct leg *l, enum request_kind kind, const uint8_t *session_id,
	int code)
{
	const engawa_Grant grant = {.code = (uint32_t)-code};
	const engawa_Enrolled enrolled = {.code = (uint32_t)-code};
	engawa_CodeSent sent = {.code = (uint32_t)-code, .session_id.size = 16};
	switch (kind) {
	case REQUEST_ASK:
		l->state = LEG_READY;
		leg_deadline(w, l, w->settings.frame_s);
		leg_frame(w, l, engawa_OuterType_OUTER_GRANT, engawa_Grant_fields, &grant);
		break;
	case REQUEST_ENROL:
		leg_frame(w, l, engawa_OuterType_OUTER_ENROLLED, engawa_Enrolled_fields, &enrolled);
		leg_end(w, l, code);
		break;
	case REQUEST_RENEW:
		leg_frame(w, l, engawa_OuterType_OUTER_ENROLLED, engawa_Enrolled_fields, &enrolled);
		break;
	case REQUEST_SEND_CODE:
		memcpy(sent.session_id.bytes, session_id, 16);
		leg_frame(w, l, engawa_OuterType_OUTER_CODE_SENT, engawa_CodeSent_fields, &sent);
		break;
	}
}

static void
refuse_first(struct worker *w, int code)
{
	struct requests *q = &w->requests;
	struct request r = *at(q, q->first);
	struct leg *l = r.open ? finish(w, at(q, q->first)) : NULL;
	skip_closed(q);
	if (l)
		request_refuse(w, l, r.kind, r.about, code);
}

void
requests_due(struct worker *w)
{
	struct requests *q = &w->requests;
	while (q->first < q->next && (int32_t)(w->now - at(q, q->first)->due) >= 0)
		refuse_first(w, -ERR_NO_CONTROLLER);
}

void
requests_refuse_all(struct worker *w, int code)
{
	while (w->requests.first < w->requests.next)
		refuse_first(w, code);
}
