/*
 * Every message between the gate's processes (base/ipc.h). The parent starts the others with one
 * channel each at descriptor 3; keeper and worker talk over a channel of their own.
 *
 *   parent  -> keeper   SETTINGS, CHANNEL..., READY        keeper -> parent   READY
 *   parent  -> worker   SETTINGS, LISTENER..., CHANNEL, CERTIFICATE, ISSUER..., PAGE, APPLY,
 * [WELCOME, DENY...], READY worker  -> parent   READY, WANT_LINK, WANT_HTTP, WELCOME, DENY, ALLOW
 *   parent  -> worker   LINK, HTTP, later again CHANNEL ... APPLY (SIGHUP), DRAIN
 *   worker  -> keeper   SIGN                               keeper -> worker   SIGNED
 *
 * Workers among each other, through the parent (switchboard.h; the order is that of
 * tests/model/handover.pml, where HAND is BATCH and GONE is END):
 *
 *   worker  -> parent   PUT, DROP, REFUSE, HAND, ACK, COMMIT, BACK
 *   parent  -> worker   TAKEN, REFUSE, HAND, HANDED, ACK, COMMIT, BACK, GONE
 *
 * A worker reads what the network sends, so none of this is believed beyond what its sender could
 * do anyway: the parent says who sent a message, passes a refusal on only from where the agent
 * waits and answers only where there is something to answer, and lets nobody have more places than
 * a worker has connections; a worker takes the answers to a hand-over only from whom it was given
 * to (move.c). Nobody ends what another one has.
 *
 * To a new version of the program (upgrade.h): parents, workers of both sides, and a channel
 * between each old worker and a new one:
 *
 *   old parent -> new parent   UPGRADE, LISTENER..., [WELCOME, DENY...], READY; ARRIVE...,
 * SHARES..., COMMIT new parent -> old parent   UPGRADE, then COMMIT old parent -> old worker LEAVE
 * old worker -> old parent   LEFT new parent -> new worker   WAIT, ARRIVE, HERE, GO      new worker
 * -> new parent   HERE, ARRIVED old worker -> new worker   LEG, MORE, SESSION, COMMIT, END new
 * worker -> old worker   ACK, BACK
 */
#pragma once
#include <stdint.h>

enum tell {
	TELL_NONE,
	TELL_SETTINGS,    /* text */
	TELL_LISTENER,    /* descriptor */
	TELL_CHANNEL,     /* descriptor: between one worker and the keeper */
	TELL_CERTIFICATE, /* DER */
	TELL_ISSUER,      /* DER */
	TELL_PAGE,        /* PEM chain */
	TELL_APPLY,       /* use the certificates that came since the last APPLY */
	TELL_READY,       /* to a child: all said, give up your rights; from it: done */
	TELL_WANT_LINK,
	TELL_LINK,      /* descriptor, or none when the controller cannot be reached */
	TELL_WANT_HTTP, /* struct tell_http */
	TELL_HTTP,      /* struct tell_http, descriptor or none */
	TELL_WELCOME,   /* LinkWelcome, the ticket keys of it: kept by the parent for a worker that
			   starts while the controller is down (said.h) */
	TELL_DENY,      /* struct tell_deny: kept likewise */
	TELL_ALLOW,
	TELL_DRAIN,   /* no new ones; the worker exits when nothing is left */
	TELL_SEAT,    /* struct tell_seat, descriptor of the common numbers (limit.h) */
	TELL_PUT,     /* struct tell_place: this agent waits, or this session is, at the sender */
	TELL_DROP,    /* no longer */
	TELL_TAKEN,   /* your agent has come to another worker; your session is at another one */
	TELL_REFUSE,  /* struct tell_refuse: to whoever has the session, from where its agent waits
		       */
	TELL_HAND,    /* struct tell_hand, then handover.h, descriptor: a connection, frozen */
	TELL_HANDED,  /* struct tell_step: it is on its way, to that worker */
	TELL_ACK,     /* struct tell_step: it is installed, frozen */
	TELL_COMMIT,  /* struct tell_step: the sender's copy is closed: thaw */
	TELL_BACK,    /* struct tell_step: nobody took it: thaw */
	TELL_GONE,    /* struct tell_step: that worker is dead, and nothing of it follows */
	TELL_SIGN,    /* struct tell_sign */
	TELL_SIGNED,  /* struct tell_signed */
	TELL_UPGRADE, /* struct tell_upgrade */
	TELL_WAIT,    /* accept nobody until GO */
	TELL_LEAVE,   /* struct tell_leave, descriptor with the first: hand over what there is */
	TELL_LEFT,    /* struct tell_left: done; STAY: it can't be */
	TELL_ARRIVE,  /* struct tell_leave (whose), descriptor: connections come here */
	TELL_ARRIVED, /* nothing more comes through one of these, but stragglers */
	TELL_GO,      /* everybody is there */
	TELL_LEG,     /* struct tell_part, then handover.h, descriptor */
	TELL_HERE,    /* are you still there, with what has come? and the answer */
	TELL_MORE,    /* struct tell_part, then queued bytes of the leg before it */
	TELL_SESSION_OF, /* struct tell_part, then the session of the legs before it */
	TELL_END,        /* struct tell_end: of one that went over this channel */
	TELL_SHARES,     /* fair_pack: organisations, their weights and debts */
};

/* Of both sides. version: of the hand-over's messages that this side writes and reads. */
struct tell_upgrade {
	uint32_t version, workers;
};

enum tell_phase {
	TELL_STAY,   /* all of it is off */
	TELL_AGENTS, /* those who wait: they are many, and have time */
	TELL_REST,   /* sessions and whoever else says something */
	TELL_LATE,   /* the new side has everything: close, and send what comes later at once */
};

struct tell_leave {
	uint32_t phase, seat;
};

/* How many have been handed over, and how long the longest of them was frozen. */
struct tell_left {
	uint32_t phase, agents, sessions, others;
};

/* Legs and a session that belong together have one number and cross together. */
struct tell_part {
	uint32_t number, last;
};

/* Which connection asked: descriptor and serial number, so that an answer never meets a later
 * connection. */
struct tell_http {
	int32_t fd;
	uint32_t serial;
};

/* Where a worker sits. number: never given twice by one parent. */
struct tell_seat {
	uint32_t seat, seats, number;
};

enum tell_kind {
	TELL_AGENT,
	TELL_SESSION
};

/* serial: of the agent's control connection or of the session's client; in TAKEN, of the one that
 * has to go. instance: of an agent, the newer one's. */
struct tell_place {
	uint8_t id[16], instance[16];
	uint32_t serial;
	uint32_t kind; /* enum tell_kind */
};

struct tell_end {
	uint8_t session_id[16];
	uint32_t code;
};

/* The agent will not answer. */
struct tell_refuse {
	uint8_t session_id[16], agent_id[16];
	uint32_t code;
};

struct tell_hand {
	uint8_t id[16]; /* to whoever has it */
	uint32_t kind;
	uint32_t number, worker; /* as struct tell_step */
};

/* number: the hand-over's, of the worker that hands over. worker: to whom when a worker sends it,
 * from whom when it gets there. */
struct tell_step {
	uint32_t number, worker;
};

struct tell_deny {
	uint8_t agent_id[16];
	uint32_t code;
};

enum tell_key {
	TELL_KEY_NATIVE,
	TELL_KEY_PAGE,
	TELL_KEY_COUNT
};
enum {
	TELL_DIGEST_MAX_BYTES = 64,
	TELL_SIGNATURE_MAX_BYTES = 144
}; /* DER of P-521 at the most */

struct tell_sign {
	uint32_t request;
	uint8_t key, len;
	uint8_t digest[TELL_DIGEST_MAX_BYTES];
};

struct tell_signed {
	uint32_t request;
	uint8_t len; /* 0 = refused */
	uint8_t signature[TELL_SIGNATURE_MAX_BYTES];
};
