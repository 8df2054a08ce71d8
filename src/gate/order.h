/*
 * Which frame may come when: one table {role, state, type, longest payload, handler}. What is not
 * in it is a protocol error, seen at the frame's first byte, so that no memory is held for a frame
 * that would be refused.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "gate/leg.h"
#include "outer.pb.h"

enum {
	ORDER_LINK = 100,
	ORDER_ANY = 255
}; /* roles beside engawa_Role */

/* 0, or a negative code: Bye and close. */
typedef int order_fn(struct worker *w, struct leg *l, const uint8_t *payload, size_t len);

struct order {
	uint8_t role, state, type;
	uint8_t browser; /* may come through a WebSocket */
	uint32_t max_bytes;
	order_fn *fn;
};

/* NULL when it may not come now. */
const struct order *order_find(uint8_t role, uint8_t state, uint8_t type, int browser);

/* Takes whole frames from data and handles them, keeps the rest. 0 or a negative code. */
int order_frames(struct worker *w, struct leg *l, uint8_t *data, size_t len);

/* Handlers, by the module that has them. */
order_fn order_hello, order_bye;
order_fn presence_on_pong, presence_on_refuse, presence_on_send_code, presence_on_renew,
	presence_on_session_waits;
order_fn client_on_ask, client_on_join, client_on_resume, client_on_answer, client_on_enrol;
order_fn link_on_welcome, link_on_grant, link_on_enrolled, link_on_code_sent, link_on_mail_state,
	link_on_end_session, link_on_deny, link_on_allow, link_on_shares, link_on_ping,
	link_on_pong;
