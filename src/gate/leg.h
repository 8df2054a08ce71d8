/*
 * One connection of a worker: a leg of a session, a waiting agent, a browser, or the link to the
 * controller. Carries bytes with or without TLS and with or without WebSocket framing; the modules
 * above give them a meaning.
 *
 * Lifetime: leg_close may be called anywhere and any number of times; what was queued is dropped,
 * the modules above are told once (roles_gone), the memory goes at the end of the worker's turn.
 * leg_end sends what is queued first. After either, state is LEG_CLOSING or LEG_DEAD and nothing
 * may be sent.
 *
 * Events are edge-triggered: can_read and can_write remember what the kernel said until a call gets
 * -EAGAIN. leg_run_later puts a leg with more to do into the worker's run queue, so that one busy
 * connection takes its turn like the others.
 */
#pragma once
#include <assert.h>
#include <pb.h>
#include <stdint.h>

#include "gate/limit.h"
#include "gate/pool.h"
#include "gate/wheel.h"
#include "net/ws.h"

struct worker;
struct secure;
struct session;

enum leg_kind {
	LEG_NATIVE,  /* TLS, engawa/1 */
	LEG_BROWSER, /* TLS, HTTP/1.1 */
	LEG_SPLICE,  /* plain, to http.sock */
	LEG_LINK,    /* plain, to link.sock */
};

/*
 * handshake ─┬─▶ hello ─▶ ready ─┬─▶ knocking ─▶ pipe           (client)
 *            │             │ ▲   ├─▶ pipe                       (agent's session)
 *            │             │ │   └─▶ moving ─▶ dead, or ready   (to another worker)
 *            │             ▼ │
 *            │            asking                                (client, enrolment)
 *            └─▶ head ─┬─▶ hello                                (browser, WebSocket)
 *                      └─▶ dialling ─▶ pipe                     (browser, any other request)
 * every state ─▶ closing ─▶ dead
 */
enum leg_state {
	LEG_HANDSHAKE,
	LEG_HEAD,     /* waits for a browser's request head */
	LEG_DIALLING, /* waits for a connection to http.sock */
	LEG_HELLO,    /* waits for the first frame */
	LEG_READY,    /* said who it is; frames */
	LEG_ASKING,   /* waits for the controller's answer */
	LEG_KNOCKING, /* client: waits for the agent's connection */
	LEG_MOVING,   /* frozen, on its way to another worker: move.h */
	LEG_PIPE,     /* bytes go to peer, nothing looks at them */
	LEG_CLOSING,  /* what is queued goes out, what comes in is dropped */
	LEG_DEAD,
};

/* Bytes that came and do not make a whole frame or head yet: exactly as many as there are. */
struct held {
	uint32_t len;
	uint8_t bytes[];
};

struct leg {
	struct secure *secure; /* NULL = plain */
	struct leg *peer;      /* other end of a pipe, or NULL */
	struct session *session;
	struct leg *run_next, *dead_next;
	struct wheel_node timer;
	struct queue out;
	struct held *in, *raw; /* raw: before the WebSocket frames are taken off */
	union {
		struct {
			struct leg *older, *newer; /* list of half-open legs */
			struct ws ws;              /* browser, from the upgrade on */
		} entry;
		struct {
			struct leg *next; /* in the presence table's bucket */
			uint8_t id[16], instance[16];
		} agent; /* role agent, from Hello on */
	};
	struct address address;
	int fd;
	uint32_t serial; /* never used twice within 2^32 connections */
	uint32_t build;  /* as the peer's Hello says */
	uint16_t share;  /* of an agent: row of its organisation, fair.h */
	wheel_tick opened, heard, pinged;
	uint8_t kind, state, role; /* enum leg_kind, enum leg_state, engawa_Role or ORDER_LINK */
	uint8_t asks;              /* tickets asked for, ever */
	uint8_t waiting;           /* requests that are open at the controller */
	uint8_t can_read : 1, can_write : 1, in_run : 1, is_half_open : 1, is_ws : 1;
	uint8_t stays : 1;       /* no other process takes it */
	uint8_t ended : 1;       /* the kernel said that the peer's end is there to be read */
	uint8_t greeted : 1;     /* our Hello is out */
	uint8_t moved : 1;       /* has been handed over, or tried: not again */
	uint8_t announced : 1;   /* the controller knows of this agent */
	uint8_t throttled : 1;   /* over its rate: not read until the next tick */
	uint8_t wants_proxy : 1; /* proxied.h: has not said yet whom it speaks for */
	uint8_t proxied : 1;     /* has: address is not the peer's */
	uint8_t is_known : 1;    /* has shown a certificate or a ticket: limit_known */
	uint8_t blamed : 1;      /* its fault has been noted */
	uint8_t waits : 1;       /* its source has had too many faults: others go first */
	uint8_t eof : 1;         /* the peer ended its direction */
	uint8_t finish : 1;      /* end our direction when the queue is empty */
	uint8_t finished : 1; /* done: close_notify, Close frame, or FIN of a plain leg, is out */
	uint8_t ws_shut : 1;  /* our Close frame is queued: nothing may follow it */
};

/* All that an idle connection costs here, beside what TLS keeps. */
static_assert(sizeof(struct leg) <= 256, "struct leg: every byte counts half a million times");

/* Takes descriptor and TLS over, also on failure (NULL). Starts in LEG_HANDSHAKE, or LEG_PIPE when
 * plain. */
struct leg *leg_new(struct worker *w, enum leg_kind kind, int fd, struct secure *secure,
	const struct address *address);
/* Puts one that was handed over into the tables. */
void leg_adopt(struct worker *w, struct leg *l);
/* Into the set of events: what is there already comes as an event. 0 or -errno. */
int leg_watch(struct worker *w, struct leg *l);
/* The leg that had this descriptor and serial number, if it still lives. */
struct leg *leg_find(struct worker *w, int fd, uint32_t serial);

/* code: -ERR_X or -errno, why. */
void leg_close(struct worker *w, struct leg *l, int code);
void leg_end(struct worker *w, struct leg *l, int code);
/* Bye{code}, then leg_end. */
void leg_bye(struct worker *w, struct leg *l, int code);
/* Frees what was closed. Only from the worker's loop. */
void leg_reap(struct worker *w);

/* Ends our direction when the queue is empty; the other one goes on (not so in a WebSocket: its
 * Close ends both). */
void leg_finish(struct worker *w, struct leg *l);
void leg_run_later(struct worker *w, struct leg *l);
/* After a whole turn: behind everybody who has just come. */
void leg_run_again(struct worker *w, struct leg *l);
/* After those too: its source has had too many faults. */
void leg_run_last(struct worker *w, struct leg *l);
/* Wakes roles_due after so many seconds. */
void leg_deadline(struct worker *w, struct leg *l, int64_t seconds);

/* Queues bytes (as one binary message of a browser) and sends what the kernel takes. On failure the
 * leg is closed: 0 or negative. Queues hold wire bytes: TLS is put on here. */
int leg_send(struct worker *w, struct leg *l, const void *data, size_t len);
/* The same for one frame. A waiting leg that has not taken LIMIT_QUEUE bytes is closed. */
int leg_frame(
	struct worker *w, struct leg *l, uint8_t type, const pb_msgdesc_t *fields, const void *msg);
/* The bytes of a pipe, with their WebSocket header when the leg needs one. 0 or negative, and the
 * leg is as it was. */
int leg_put(struct worker *w, struct leg *l, const void *data, size_t len);
/* Wire bytes: straight to the kernel when nothing is queued before them. On failure the leg is
 * closed. */
int leg_wire(struct worker *w, struct leg *l, const uint8_t *wire, size_t len);
void leg_flush(struct worker *w, struct leg *l);
/* Work of a leg in LEG_CLOSING. */
void leg_closing(struct worker *w, struct leg *l);

/* Bytes as TLS gives them: their count; -EAGAIN; -ERR_CLOSED at an orderly end; other negative
 * values are final. */
int leg_read(struct worker *w, struct leg *l, void *out, size_t cap);
/* What every failed read means for the leg: nothing more to read for now, or an alert for the peer.
 * Returns code. */
int leg_read_failed(struct worker *w, struct leg *l, int code);
/* After every successful read: asks the peer for its next key in time. 0 or negative, which is
 * final. */
int leg_renew_key(struct worker *w, struct leg *l);
/*
 * What was held and what came, together in the worker's scratch; WebSocket frames taken off, pings
 * answered. 0, -EAGAIN when nothing new came, negative when the leg has to go. What is not used now
 * goes to leg_hold.
 */
int leg_take(struct worker *w, struct leg *l, uint8_t **ret_data, size_t *ret_len);
int leg_hold(struct worker *w, struct leg *l, const uint8_t *data, size_t len);
/* Takes WebSocket frames off data (in place) and puts the payload at out, which has room for len.
 * Control frames are answered; eof is set by Close. 0 or negative. */
int leg_unwrap(
	struct worker *w, struct leg *l, uint8_t *data, size_t len, uint8_t *out, size_t *ret_len);
