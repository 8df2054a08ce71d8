/*
 * Every message between the agent's processes, over base/ipc, and between the `engawa` command and
 * the agent's local socket. Payloads are written and read with base/wire and nothing else: the
 * monitor never decodes protobuf of a peer (tickets, whose signature it checks itself, apart). A
 * get function returns 0, or -ERR_PROTOCOL for anything but exactly one well-formed message:
 * lengths, UTF-8, no control characters, no rest.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "crypto/holder.h"
#include "crypto/record.h"
#include "inspect/judge.h"

enum message {
	MSG_NONE,
	/* monitor -> control and pump, once, before they enter the sandbox */
	MSG_ORGANISATION, /* text of the organisation file */
	MSG_CERTIFICATE,  /* the agent's, DER; to control again when there is a new one */
	MSG_RUN, /* control: instance(16); pump: struct note with the connected socket; work: struct
		    work_run; work again, with a stream socket: a client goes on over another
		    path */
	/* monitor -> control: struct note */
	MSG_DIAL,      /* open a socket to this gate for this session */
	MSG_REFUSE,    /* tell the gate: this knock is not answered */
	MSG_SEND_CODE, /* rest = sealed MailCode */
	MSG_RENEW,     /* rest = Enrol without a code, to any gate */
	MSG_WAITS,     /* rest = SessionWaits, to any gate */
	/* control -> monitor: struct note */
	MSG_KNOCK,      /* rest = ticket */
	MSG_DIALED,     /* code 0 with the socket, else why not */
	MSG_CODE_SENT,  /* code 0 or why not */
	MSG_RESUME,     /* rest = address length u8, client's address, resume ticket */
	MSG_ENDED_BY,   /* the relay's administrator ended it; session id 0: all */
	MSG_GOAWAY,     /* this gate goes; code = seconds until then */
	MSG_LINK,       /* a gate's control connection: code 0 = up */
	MSG_MAIL_STATE, /* code: what became of a mail later; rest = mark of its address, as it is
			 */
	MSG_RENEWED,    /* code 0 and rest = certificate, DER; or why not */
	/* pump -> monitor */
	MSG_JOINED,     /* empty: the gate joined the two connections */
	MSG_FIRST,      /* the client's first FIRST_BYTES */
	MSG_HELD,       /* empty: bytes of the client are kept for the next process */
	MSG_SWITCHED,   /* empty: the next process has the connection */
	MSG_PUMP_ENDED, /* struct note: code; rest = bytes in u64, bytes out u64 */
	/* monitor -> pump */
	MSG_SECOND, /* bytes for the client as they stand */
	MSG_ATTACH, /* empty, with a stream socket: the process behind it; the second one waits
		       until the first has closed */
	/* monitor -> login */
	MSG_KEYS,    /* client(32) agent(32) */
	MSG_PROMPT,  /* struct prompt */
	MSG_REFUSED, /* struct refusal */
	MSG_START,   /* struct start */
	/* login -> monitor */
	MSG_FACTS, /* struct facts */
	MSG_REPLY, /* struct reply */
	/* login and work -> monitor */
	MSG_POSTURE, /* struct report */
	/* monitor -> login and work */
	MSG_NOTICE, /* struct notice: for the client */
	/* work -> monitor */
	MSG_READY, /* struct ready: the desktop has a picture */
	MSG_LOST,  /* struct lost: the path to the client is gone, the desktop goes on */
	MSG_HEARD, /* struct lost, code 0: the client speaks over this path, so it has Start */
	MSG_ENDED, /* code u32: the session is over, or never got a picture; this process closes */
	/* monitor -> work */
	MSG_BEGIN, /* empty: the client has Start, frames may go out */
	MSG_END,   /* code u32: send End and close */
	MSG_LOSE,  /* empty: the path broke before it was begun */
	MSG_MOVE,  /* seconds u32: the client should look for another gate */
	/* desktop launcher -> monitor */
	MSG_DISPLAY, /* struct display_auth */
	/* control, pump <-> monitor on their second socket */
	MSG_SIGN,   /* digest(32) */
	MSG_SIGNED, /* signature, DER; empty when refused */
	/* monitor -> check-…, and back */
	MSG_CHECK,               /* struct check_question */
	MSG_CHECKED,             /* code u32 */
	MSG_CHECK_CERTIFICATE,   /* struct certificate_question */
	MSG_CERTIFICATE_CHECKED, /* struct certificate_answer */
	MSG_CHECK_MACLIST,       /* struct maclist_question, with the last good copy */
	MSG_MACLIST_CHECKED,     /* code u32, with a newer copy */
	/* engawa command <-> agent.sock */
	MSG_STATUS,    /* empty */
	MSG_PASSWORD,  /* text; empty removes it */
	MSG_MAIL,      /* text, see local_mail.h */
	MSG_UNLOCK,    /* empty: forgets failures and lock-outs; those at this computer only for root or
			  with the settings password */
	MSG_ADDRESSES, /* text, see local_login.h; the answer is text */
	MSG_USERS,     /* text, see local_users.h */
	MSG_TOTP,      /* text, see local_login.h */
	MSG_RECOVERY,  /* text, see local_login.h */
	MSG_FIT,       /* user, space, password: could it be chosen? Nothing changes; user "" = the
			  single one */
	MSG_LOCK,      /* text: the settings password from now on; empty removes it */
	MSG_LOCK_OPEN, /* text: the settings password, for what follows on this connection */
	MSG_PROVE,     /* text, see local_proof.h: who asks the next question */
	MSG_KEY,       /* text, see local_passkeys.h */
	MSG_DEVICES,   /* text, see local_devices.h */
	MSG_MACS,      /* text, see local_macs.h */
	MSG_CONSOLE,   /* console -> monitor: code u32: 0 = nothing is open on the screen, else why
			  not */
	MSG_STANDBY,   /* standby -> monitor: code u32: 0 = held, else why not (any more) */
	MSG_RESULT,    /* code u32, then JSON of a status */
};

enum {
	SESSION_ID_BYTES = 16,
	FIRST_BYTES = 1 + 4 + 2 + 96, /* suite, generation, length, Noise message 1 */
	DIGEST_BYTES = 32,
	FACTS_MACS_MAX = 16,
	FACTS_APPLY_SIZE = 64,
	FACTS_KEY_BYTES = 65,
	FACTS_PROOF_BYTES = 64,
	SCREENS_MAX = 4,
	REPLY_TEXT_SIZE = 512,
	RESUME_MAX_BYTES = 2048,
	MESSAGE_MAX_BYTES =
		8192, /* what any of the processes but control may send to the monitor */
};

struct note {
	uint8_t gate; /* index in the organisation file */
	uint8_t session_id[SESSION_ID_BYTES];
	uint32_t code;
	const uint8_t *rest; /* points into the payload */
	size_t rest_len;
};

struct screen {
	int32_t x_px, y_px;
	uint32_t width_px, height_px, scale_percent;
};

struct layout {
	uint32_t width_px, height_px;
	size_t screen_count;
	struct screen screens[SCREENS_MAX];
};

/* What a client says about itself, unverified. */
struct facts {
	uint8_t kind; /* engawa_ClientKind */
	uint32_t build, window_mib;
	uint8_t film; /* can show H.264 */
	char os[64], computer_name[128], locale[16], user[128];
	size_t mac_count, screen_count;
	uint8_t macs[FACTS_MACS_MAX][6];
	struct screen screens[SCREENS_MAX];
	uint32_t stream;                     /* the picture stream that it has, 0 = none */
	uint64_t received;                   /* so many records of it */
	uint8_t device_key[FACTS_KEY_BYTES]; /* first byte 0 = none was sent */
	uint8_t device_proof[FACTS_PROOF_BYTES];
	char apply[FACTS_APPLY_SIZE];
};

struct prompt {
	uint8_t kind; /* engawa_PromptKind */
	uint32_t wrong, digits, expires_s;
	uint8_t optional;
	char words[2][32], masked_address[255];
	uint8_t challenge[HOLDER_CHALLENGE_BYTES]; /* of PROMPT_CERTIFICATE */
	char rp_id[128], key_person[129];
	uint8_t user_verification, new_address, person; /* 0 or 1 */
};

/* What a security key signed, as it came: webauthn.h judges it. */
struct assertion {
	size_t credential_len, authenticator_data_len, client_data_len, signature_len;
	uint8_t credential[255], authenticator_data[128], client_data[1024], signature[512];
};

/* A key that somebody would like to register. */
struct new_key {
	size_t credential_len, public_key_len;
	int32_t algorithm; /* COSE */
	uint8_t credential[255], public_key[260];
};

struct reply {
	uint8_t kind;
	char text[REPLY_TEXT_SIZE]; /* secret: wipe */
	struct holder_proof proof;  /* nothing of it has been looked at; may be empty */
	char user[128];
	struct assertion assertion; /* credential_len 0: none */
	struct new_key key;         /* the same */
};

struct refusal {
	uint32_t code, retry_s;
	char support[512];
};

struct notice {
	uint32_t code, seconds;
	struct findings findings;
};

struct start {
	struct layout layout;
	uint32_t idle_s, window_mib, resume_s;
	uint8_t own_display; /* its monitors may be arranged */
	char message[1024], session_code[32];
	uint8_t resume[RESUME_MAX_BYTES]; /* ticket */
	size_t resume_len;                /* 0 = none */
	uint32_t stream;                  /* of pictures */
	uint64_t from;                    /* its first record that comes */
};

/* epoch: which path; a word about an older one is no news. */
struct work_run {
	uint8_t client[32], agent[32]; /* work keys */
	uint32_t idle_s, epoch;
	uint8_t keep;    /* the desktop outlives the path */
	uint8_t padding; /* enum record_padding */
	/* what a client that comes back says it has */
	uint32_t stream;
	uint64_t received;
};

struct ready {
	uint32_t epoch, stream;
	uint64_t from;
	struct layout layout;
};

struct lost {
	uint32_t epoch, code;
};

struct display_auth {
	char name[32];
	uint8_t data[64];
	size_t data_len;
};

/* All return the payload's length (the buffers are always large enough: out has MESSAGE_MAX_BYTES,
 * note_put cap bytes; 0 when the rest does not fit). */
size_t note_put(const struct note *note, uint8_t *out, size_t cap);
size_t ready_put(const struct ready *ready, uint8_t *out);
size_t lost_put(const struct lost *lost, uint8_t *out);
size_t facts_put(const struct facts *facts, uint8_t *out);
size_t prompt_put(const struct prompt *prompt, uint8_t *out);
size_t reply_put(const struct reply *reply, uint8_t *out);
size_t refusal_put(const struct refusal *refusal, uint8_t *out);
size_t report_put(const struct report *report, uint8_t *out);
size_t notice_put(const struct notice *notice, uint8_t *out);
size_t start_put(const struct start *start, uint8_t *out);
size_t work_run_put(const struct work_run *run, uint8_t *out);
size_t display_auth_put(const struct display_auth *auth, uint8_t *out);
size_t code_put(uint32_t code, uint8_t *out);

/* A part of other messages. */
struct rd;
struct wr;
void message_put_proof(struct wr *w, const struct holder_proof *proof);
void message_get_proof(struct rd *r, struct holder_proof *ret_proof);

int note_get(const uint8_t *p, size_t len, struct note *ret_note);
int ready_get(const uint8_t *p, size_t len, struct ready *ret_ready);
int lost_get(const uint8_t *p, size_t len, struct lost *ret_lost);
int facts_get(const uint8_t *p, size_t len, struct facts *ret_facts);
int prompt_get(const uint8_t *p, size_t len, struct prompt *ret_prompt);
int reply_get(const uint8_t *p, size_t len, struct reply *ret_reply);
int refusal_get(const uint8_t *p, size_t len, struct refusal *ret_refusal);
int report_get(const uint8_t *p, size_t len, struct report *ret_report);
int notice_get(const uint8_t *p, size_t len, struct notice *ret_notice);
int start_get(const uint8_t *p, size_t len, struct start *ret_start);
int work_run_get(const uint8_t *p, size_t len, struct work_run *ret_run);
int display_auth_get(const uint8_t *p, size_t len, struct display_auth *ret_auth);
int code_get(const uint8_t *p, size_t len, uint32_t *ret_code);
