/*
 * What ends a session that works, apart from the people in it: working hours, the longest time a
 * session may last, and a home PC that no longer passes the quarantine check. Pure: both clocks
 * come from outside, one word to the client at a time goes out.
 *
 * A clock that is set back does not lengthen a session (the monotonic clock has counted on), one
 * that is set forward shortens it: whatever says "over" first.
 */
#pragma once
#include "agent/message.h"
#include "agent/policy.h"
#include "base/clock.h"

enum {
	TERM_LIMITS = 2,
	TERM_REPORT_SLACK_MS = 60000, /* a report is that much late before it is missing */
};

struct term {
	const struct policy *policy; /* must live as long */
	struct mono begun, hours_end;
	uint8_t has_hours, inspects;
	uint8_t told[TERM_LIMITS]; /* 1: ten minutes left, 2: one minute left */
	struct mono reported;
	struct findings findings; /* that hold now */
	struct mono bad;          /* since then */
};

/* inspects: this client has passed the quarantine check and goes on reporting. */
void term_start(struct term *term, const struct policy *policy, int inspects, struct mono now,
	uint64_t now_s);
/* The session has come back, and is held to this policy from now on. */
void term_policy(struct term *term, const struct policy *policy, struct mono now, uint64_t now_s);
/* Every second. 1: tell the client *ret_notice; 0; or negative: it is over, with this code. */
int term_tick(struct term *term, struct mono now, uint64_t now_s, struct notice *ret_notice);
/* A report came; findings of it, empty = passed. 1: tell the client *ret_notice; 0. */
int term_report(struct term *term, const struct findings *findings, struct mono now,
	struct notice *ret_notice);
