/* The inside of a session, for the files of this directory: session.c (life, gates), relay.c
 * (frames to the gate), login.c (channel and login), work.c (pictures), input.c. */
#pragma once
#include "base/clock.h"
#include "client/session.h"
#include "client/token_ask.h"
#include "crypto/record.h"
#include "crypto/resume.h"
#include "crypto/ticket.h"
#include "net/conn.h"
#include "net/dial.h"
#include "screen/decode.h"

enum state {
	WAITING, /* for the next round of gates, to go on with a session */
	DIALLING,
	SHAKING,
	HELLO,  /* waiting for the gate's */
	ASK,    /* for Grant */
	JOIN,   /* for Joined */
	NOISE,  /* for message 2 */
	VERIFY, /* the pool checks the statement, the token signs; nothing is read */
	LOGIN,
	WORK,
	ENDING, /* ended is on its way */
	OVER,
};

enum {
	DIAL_MS = 10000,
	TLS_MS = 10000,
	RELAY_MS = 20000, /* for each frame of the gate; JOIN contains the agent's new connection */
	ANSWER_MS = 60000, /* of the agent to Facts and replies: it may ask other servers */
	PING_MS = 1000,
	ANEW_MS = 60000, /* between pictures that cannot be taken apart; one more is too many */
	DEAD_MS = 3000,
	GRID_MS = 20,
	/* coming back: a person waits in the middle of his work, and every gate is as good */
	AGAIN_DIAL_MS = 3000,
	AGAIN_TLS_MS = 5000,
	AGAIN_RELAY_MS = 10000,
	AGAIN_WAIT_FIRST_MS = 500,
	AGAIN_WAIT_MAX_MS = 10000,
	SCOUT_WAIT_MS = 3000,  /* for the new way, when the one before ends: as DEAD_MS */
	SCOUT_AGAIN_MS = 5000, /* no gate leads to the agent yet */
	AGAIN_FORGED_MAX = 3,  /* handshakes that fail: the other side does not have our key */
	INPUT_MAX = 256,       /* a person does not get there */
	STATEMENT_MAX_BYTES = SIGN_ENVELOPE_MAX_BYTES,
};

struct input {
	uint8_t type; /* INNER_POINTER, _KEY, _TEXT */
	union {
		engawa_Pointer pointer;
		engawa_Key key;
		engawa_Text text;
	};
};

struct verify;
struct key_use;
struct gather;

/* What it takes to go on over another connection (docs/protocol.md 9, resume.c). */
struct resume {
	uint8_t ticket[TICKET_MAX_BYTES], psk[NOISE_KEY_BYTES];
	size_t len; /* of the ticket; 0 = not possible */
	uint32_t generation, life_s;
	uint8_t attempt[RESUME_ATTEMPT_BYTES], id[16]; /* of the attempt under way */
	int active;                                    /* the path is lost, or left */
	int planned; /* left for a better one: nobody has been told yet */
	int last;    /* this failure is an answer, no gate will give another one */
	unsigned forged;
	struct mono since, last_byte;
	uint64_t wait_ms;
	size_t left; /* gates of this round */
	struct timer *move;
	/* The gate goes: a session that makes its way through another one while this one works, up
	 * to Start. of: in that one, for whom. */
	struct session *scout, *of;
};

struct session {
	struct loop *loop;
	const struct orgfile *org;
	const struct session_events *events;
	void *user;
	char terminal[TERMINAL_ID_SIZE];
	struct noise_keypair device;
	struct evp_pkey_st *proof_key;
	const struct token_question *token;
	struct token_ask *token_ask;
	uint8_t device_hash[32];
	char *proxy;
	engawa_Facts facts;
	struct ssl_ctx_st *tls;

	enum state state;
	int freed;
	struct mono start;
	struct session_numbers numbers;

	/* gates, in the order they are tried; the one in use is order[tried - 1] */
	uint8_t order[ORGFILE_GATES_MAX];
	size_t tried;
	struct dial *dial;
	struct conn *conn;
	struct timer *deadline;

	/* the end, or of a gate that failed the failure to tell if all fail */
	int code;
	int final; /* the relay has decided: no other gate would say anything else */
	struct resume resume;
	char error[192];
	char support[sizeof(((engawa_Refused *)0)->support)];
	uint32_t retry_s;

	uint8_t ticket[TICKET_MAX_BYTES];
	size_t ticket_len;
	engawa_TicketBody ticket_body;

	struct noise_handshake *handshake;
	struct noise_secrets secrets;
	struct noise_cipher to_agent, from_agent;
	struct verify *verify;
	const char *words[2];
	engawa_PromptKind prompt;                  /* open */
	uint8_t challenge[HOLDER_CHALLENGE_BYTES]; /* of an open PROMPT_CERTIFICATE */
	engawa_Webauthn webauthn;                  /* of it */
	uint8_t hash[32];                          /* of the handshake */
	struct key_use *key_use;                   /* a security key that is being used; NULL */

	posture_fn *collect;
	struct gather *gather;    /* a report that is being made; NULL */
	struct timer *report;     /* until the next one */
	uint64_t report_every_ms; /* 0 = never again */
	int findings;             /* something is wrong with this computer */

	struct decoder *decoder;
	struct film_decoder *film; /* NULL: none has come */
	int hidden; /* the picture is of a path that is lost: kept, for nobody to see */
	/* the picture stream (docs/protocol.md 8.6): its number, records that came, records that
	 * come once more, and the last picture that was drawn */
	uint32_t stream, drawn;
	uint64_t received, passed_over;
	int broken;            /* nothing more can be taken from this stream */
	struct mono broken_at; /* and when that was last so; 0 = never */
	struct timer *ping, *grid;
	struct mono last_byte, last_ping;
	uint64_t ping_id;
	int first_again; /* no picture has come since it goes on */
	struct input inputs[INPUT_MAX];
	size_t input_count;

	engawa_Frame frame; /* large, so not on the stack */
	engawa_Cursor cursor;
	uint8_t plain[RECORD_PLAIN_MAX_BYTES];
};

/* session.c. fail: the other side or the way is at fault; may go on with the next gate. over:
 * nothing may. Both from anywhere. */
void session_fail(struct session *s, int code, const char *words);
void session_over(struct session *s, int code, int polite);
void session_reached(struct session *s, enum session_stage stage);
void session_say(struct session *s, const char *words);

/* Each takes what it can from the front: bytes used, 0 = more needed, or negative. */
int relay_data(struct session *s, const uint8_t *data, size_t len);
int channel_data(struct session *s, const uint8_t *data, size_t len); /* NOISE */
int record_data(struct session *s, const uint8_t *data, size_t len);  /* LOGIN and WORK */

int relay_hello(struct session *s); /* the first frame */
int channel_start(struct session *s);
void channel_drop(struct session *s); /* keys of this connection */
void channel_fini(struct session *s); /* and all others */

/* session.c, for resume.c. */
void session_drop(struct session *s);
void session_dial(struct session *s, uint64_t ms); /* order[tried - 1] */

/* resume.c. 1 when the session goes on: the failure has been taken care of. */
int resume_fail(struct session *s, int code, const char *words);
void resume_next(struct session *s);
/* Start has come: what the next time takes. */
void resume_take(struct session *s, const engawa_Start *start);
void resume_fini(struct session *s);
/* Start has come to the scout: its connection is the session's from here on. 0 or negative. */
int resume_switch(struct session *scout, const engawa_Start *start);
/* The frame in place of Ask. */
int resume_send(struct session *s);
/* A refusal of the relay while coming back. */
void resume_refused(struct session *s, int code);
/* The gate goes: away from it within so many seconds. 1 when there is another one. */
int resume_move(struct session *s, uint32_t seconds);

/* One record to the agent. 0 or negative. */
int record_send(struct session *s, uint8_t type, const pb_msgdesc_t *fields, const void *msg);

/* report.c: the agent asks for a report, and for one every so many seconds while the session works
 * (0 = none); the session works, for the first time or again; a notice may be about it. */
void report_asked(struct session *s, uint32_t every_s);
void report_work(struct session *s, int again);
void report_notice(struct session *s, const engawa_Notice *notice);
void report_fini(struct session *s);

int work_start(struct session *s, const engawa_Start *start); /* also once more, when it goes on */
void work_fini(struct session *s);
/* Decode and act. 0 or negative. */
int work_frame(struct session *s, const uint8_t *payload, size_t len);
int work_cursor(struct session *s, const uint8_t *payload, size_t len);
int work_layout(struct session *s, const uint8_t *payload, size_t len);
int work_notice(struct session *s, const uint8_t *payload, size_t len);
int work_pong(struct session *s, const uint8_t *payload, size_t len);
int work_end(struct session *s, const uint8_t *payload, size_t len);

void input_flush(void *user); /* timer of the grid */
