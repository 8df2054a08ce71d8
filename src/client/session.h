/*
 * A session as a native client has it: from a terminal ID to pictures and input (docs/protocol.md 1
 * to 8). It finds a gate, gets a ticket, proves that the office PC is the one with this ID before
 * it says anything, carries the login's questions to the person, and then keeps a framebuffer.
 *
 * Events come from the loop, never from inside a call of ours; ended comes exactly once and after
 * it only session_free and the questions at the end are allowed. session_free may be called in any
 * event, at any time; then nothing comes any more.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "client/security_key.h"
#include "crypto/holder.h"
#include "crypto/noise.h"
#include "crypto/orgfile.h"
#include "crypto/terminal.h"
#include "crypto/token.h"
#include "inner.pb.h"
#include "net/loop.h"
#include "screen/image.h"

struct session;

enum {
	SESSION_TEXT_MAX_BYTES = 48
};

/* posture_collect, or what a test says about a computer. */
typedef void posture_fn(engawa_Posture *ret_posture);

struct session_settings {
	const struct orgfile *org;       /* stays the caller's, until session_free */
	char terminal[TERMINAL_ID_SIZE]; /* by terminal_id_parse */
	struct noise_keypair device;
	/* What proves the device (docs/protocol.md 6): one of the two, or none. Stay the caller's,
	 * until session_free. */
	struct evp_pkey_st *proof_key;
	const struct token_question *token; /* its digest is filled in */
	const char *proxy;                  /* as dial_start takes it; copied */
	engawa_Facts facts;                 /* by facts_collect, or what a test claims to be */
	posture_fn *posture;                /* for the quarantine check; on another thread */
};

struct session_events {
	/* The agent asks; answer with session_reply, at leisure. words: the 照合語 of this channel,
	 * to be shown with a mail code. */
	void (*prompt)(void *user, const engawa_Prompt *prompt, const char *const words[2]);
	/* Logged in: session_image has its size, input is taken from now on. */
	void (*started)(void *user, const engawa_Start *start);
	/* The framebuffer changed (session_image, session_rects). Acknowledged when this returns.
	 */
	void (*picture)(void *user);
	/* The framebuffer has another size and is black until the next picture. May be NULL, like
	 * the next two. */
	void (*layout)(void *user, const engawa_Layout *layout);
	void (*cursor)(void *user, const engawa_Cursor *cursor);
	/* In the login only before a refusal: what the quarantine check has found. */
	void (*notice)(void *user, const engawa_Notice *notice);
	/* The path is lost: there is no framebuffer to be shown, no input is taken, and the session
	 * is looking for another way; resumed or ended follows. Both may be NULL. */
	void (*lost)(void *user, int code);
	/* It goes on at the same desktop: the framebuffer is as it was, or black until a whole
	 * picture comes. Keys that were down are up. */
	void (*resumed)(void *user);
	/* code: -ERR_ENDED after session_end or the person's end at the other side, else why
	 * (-ERR_X; never -errno). */
	void (*ended)(void *user, int code);
	/* Nothing came of session_use_key (code: -ERR_WEBAUTHN_DEVICE); the prompt is still open.
	 * May be NULL where that is not called. */
	void (*key_failed)(void *user, int code);
};

/* Starts at once. NULL when out of memory or without entropy. events must outlive the session. */
struct session *session_new(struct loop *loop, const struct session_settings *settings,
	const struct session_events *events, void *user);
void session_free(struct session *session);
/* Says End where there is somebody to say it to; ended(-ERR_ENDED) follows. */
void session_end(struct session *session);

/* Answers the open prompt. 0, -ERR_TOO_LONG, -ERR_PROTOCOL (no prompt is open or text is not
 * UTF-8). The caller wipes text. */
int session_reply(struct session *session, const char *text);
/* The same with who it is, for a prompt that asks for that too. */
int session_reply_as(struct session *session, const char *text, const char *user);
/* Answers a prompt with a security key, which is looked for and used off the loop: it is replied,
 * or key_failed follows. pin "" = none. 0, -ERR_PROTOCOL (no such prompt is open), -ERR_TOO_LONG.
 */
int session_use_key(
	struct session *session, const char *pin, security_key_open_fn *open, void *open_user);

/* The answer to PROMPT_CERTIFICATE: what its holder signs (holder.h) for this certificate, and the
 * reply. No certificate at hand: session_reply with "". 0, or as session_reply. */
int session_certificate_digest(const struct session *session, const void *certificate, size_t len,
	uint8_t ret_digest[static HOLDER_DIGEST_BYTES]);
int session_reply_certificate(struct session *session, const struct holder_proof *proof);

/* Input: leaves on a 20 ms grid in this order; pointer moves are merged. 0, -ERR_CLOSED (not
 * started, or ended), -ENOBUFS (too much at once: nothing was taken). Key and Pointer as in
 * inner.proto; text is UTF-8 of any length, without control characters (-EINVAL). */
int session_key(struct session *session, uint32_t usage, uint32_t keysym, int down);
int session_pointer(struct session *session, uint32_t x_px, uint32_t y_px, uint32_t buttons);
int session_text(struct session *session, const char *text);

/* How the office PC's monitors shall stand (1 to 4, docs/protocol.md 8.4): at once, and in Facts
 * when the session comes back. 0, -ERR_CLOSED, or negative. */
int session_layout(struct session *session, const engawa_Monitor *monitors, size_t count);

/* NULL before started and while the path is lost; otherwise as decoder_image and decoder_rects say.
 */
const struct image *session_image(const struct session *session);
const struct rect *session_rects(const struct session *session, size_t *ret_count);

enum session_stage {
	SESSION_DIALLED, /* connected to a gate that answered */
	SESSION_TICKET,
	SESSION_CHANNEL, /* joined, handshake done, terminal ID proved */
	SESSION_STARTED,
	SESSION_PICTURE, /* the first */
	SESSION_STAGES,
};

struct session_numbers {
	uint64_t at_ms[SESSION_STAGES]; /* since session_new; 0 = not reached */
	uint64_t bytes_in,
		bytes_out; /* at the sockets, all of it: TLS and every gate that was tried */
	uint64_t pictures;
	uint64_t round_trip_ms; /* of the last ping */
	/* times it went on over another connection; from the last byte of the old one to the first
	 * picture of the new one, the last time and the longest */
	uint64_t resumes, gap_ms, gap_max_ms;
};

void session_numbers(const struct session *session, struct session_numbers *ret_numbers);
/* 1 while it is looking for another way. */
int session_is_lost(const struct session *session);
const char *session_gate(const struct session *session);  /* name of the gate in use, "" */
const char *session_error(const struct session *session); /* what failed, for diagnosis; "" */
const char *session_support(const struct session
		*session); /* contact that came with a refusal, else the organisation's */
uint32_t session_retry_s(const struct session *session); /* that came with a refusal, 0 */
