/*
 * One session in the monitor, from a ticket that was found right to the last process's end.
 *
 *   dial ─socket─▶ join ─joined─▶ first ─message 1─▶ login ─passed─▶ turn ─▶ desktop
 *   desktop ─ready, held─▶ start ─switched─▶ work ─path broken─▶ lost ─time over─▶ gone
 *   every state ─▶ ending (a last word is on its way) ─▶ gone
 *
 * A client that comes back with a resume ticket is a session of its own up to "passed"; then it
 * takes the desktop from the one that lost its path and goes on as that one (resume.h).
 *
 * What a process may say in which state is a table (session.c); anything else ends the session at
 * once. The login process gets the login keys; the work process gets the work keys, and is started
 * only when all steps have been passed.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "agent/agent.h"
#include "agent/login.h"
#include "agent/process.h"
#include "agent/term.h"
#include "crypto/noise.h"
#include "crypto/ticket.h"

enum session_state {
	SESSION_DIAL,    /* control opens the socket */
	SESSION_JOIN,    /* the pump: TLS, Hello, Answer, Joined */
	SESSION_FIRST,   /* message 1 is awaited */
	SESSION_LOGIN,   /* the steps */
	SESSION_TURN,    /* passed; an older session is being ended */
	SESSION_DESKTOP, /* engawa-desktop and the work process start, the pump keeps what the
			    client sends */
	SESSION_START,   /* Start is on its way */
	SESSION_WORK,
	SESSION_LOST,   /* the desktop waits for its client */
	SESSION_ENDING, /* a last word is on its way */
	SESSION_GONE,
};

enum {
	SESSION_CODE_SIZE = sizeof "AB12-CD34"
};

struct check;
struct mac_check;

/* What both sides have from a handshake, for the next one. generation 0 = none. */
struct resume_key {
	uint32_t generation;
	uint8_t psk[NOISE_KEY_BYTES];
};

struct session {
	struct agent *agent;
	enum session_state state;
	engawa_TicketBody ticket;
	uint8_t ticket_hash[32];
	uint8_t gate;
	unsigned mail_told; /* of the newest mail, letter.c; 0 = nothing */
	int known;          /* the ticket is for a device that has logged in before */
	struct process *pump, *login, *work, *desktop;
	int desktop_socket; /* the work process's end of engawa-desktop's socket, until it has it;
			       -1 */
	int held, ready;
	int guarded; /* nobody looks on; only a desktop that leaves is waited for */
	struct noise_secrets secrets;
	struct policy policy;
	int policy_code;
	struct login_env env;
	struct login flow;
	struct mac_check *mac_check; /* a list that is asked; NULL */
	struct check *check;         /* a password check that runs; NULL */
	struct layout layout;
	uint32_t stream; /* of pictures, as Start will say */
	uint64_t stream_from;
	struct term term;    /* while it works */
	struct timer *watch; /* of it; NULL */
	int inspected;       /* it came in with a report, and goes on reporting */
	struct timer *deadline;
	struct mono login_until;
	uint64_t started_s;
	char code[SESSION_CODE_SIZE]; /* in the watermark, in Start and in logs: names the session
					 for administrators */
	int end_code;                 /* the first reason for the end */
	/* resume.h */
	uint8_t origin[SESSION_ID_BYTES]; /* the session that logged in; its own id in that one */
	struct session *base;             /* whose desktop it wants; NULL */
	int resumed;                      /* it has taken it */
	uint32_t epoch;                   /* of the path, as the work process counts them */
	struct resume_key keys[2];        /* the newest first; the older one until the newest is
					     known to have arrived */
	struct mono lost_at;
	int path_code; /* how the path ended, when the work process has the last word */
};

/* The ticket has been checked. base: the session it wants to go on with, or NULL. Asks control for
 * a socket. agent_session_gone comes once, from a later call. NULL when there is no control process
 * to ask. */
struct session *session_new(struct agent *agent, const engawa_TicketBody *ticket,
	const uint8_t ticket_hash[static 32], uint8_t gate, struct session *base);
/* Kills what is left. */
void session_free(struct session *session);

/* From control: the socket (which becomes the session's) or why there is none; the result of a
 * mail. */
void session_dialed(struct session *session, uint32_t code, int fd);
void session_code_sent(struct session *session, uint32_t code);
/* No other session has the desktop: it is this one's. */
void session_turn(struct session *session);
/* People at the office PC are kept out (office.h): engawa-desktop may start. */
void session_guarded(struct session *session);
/* The gate that it goes through will end: the client is told to look for another one. */
void session_move(struct session *session, uint32_t seconds);
/* Ends it: at work with End{code}, during the login with Refused{code}, earlier without a word. */
void session_end(struct session *session, uint32_t code);

/* A word to who logs in, a stranger as yet: about what is asked, and nothing of this computer. */
void session_login_notice(struct session *session, uint32_t code);
/* A word to the person at home, when the session is at work. */
void session_notice(struct session *session, uint32_t code);

/* From one of its processes; also what process_events of a session are made of. */
void session_message(
	struct session *session, enum role role, uint16_t type, const uint8_t *payload, size_t len);
void session_process_gone(struct session *session, enum role role);

/* Between the files of the session. */
struct process *session_start_process(struct session *session, enum role role, int fd1, int fd2);
/* Another session has its desktop now. */
void session_retire(struct session *session);
/* After session_desktop.c: waits for the picture. */
void session_wait_picture(struct session *session);
/* session_login.c: handshake, then the steps. */
int session_handshake(struct session *session, const uint8_t *first, size_t len);
void session_login_result(struct session *session, int r);
void session_login_close(struct session *session);
/* session_check.c: whether the password is right, off the loop; login_checked follows. */
void session_check(void *user, const char *verifier, const char *text);
void session_check_certificate(void *user, const struct login_certificate *certificate);
void session_check_drop(struct session *session);
/* session_maclist.c: login_env.maclist. */
void session_maclist(void *user, enum mac_list which);
void session_maclist_drop(struct session *session);
/* session_desktop.c: starts engawa-desktop and, when it has told how to authorize, the work
 * process. 0 or negative. */
int session_desktop_start(struct session *session);
/* The work process, new or with a desktop already, gets this path and its keys. 0 or negative. */
int session_work_start(struct session *session);
int session_desktop_display(struct session *session, const struct display_auth *auth);
/* session_term.c: from Start to the end; a report that came meanwhile (NULL: not readable); and
 * when working hours have ended it, what the settings want then. */
void session_term_start(struct session *session);
/* The same session over another path: its time goes on. */
void session_term_move(struct session *session, const struct session *base);
void session_term_stop(struct session *session);
void session_term_report(struct session *session, const struct report *report);
void session_term_shutdown(struct session *session);
void session_code_make(
	const uint8_t session_id[static SESSION_ID_BYTES], char ret_code[static SESSION_CODE_SIZE]);
