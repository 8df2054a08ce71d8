/*
 * The login: a table of steps, run by the monitor in the order of the table. What a client says
 * arrives as one of the calls below; every other moment than the one it is waited for ends the
 * session. No I/O here: mails, prompts and slow checks go out through struct login_env and their
 * results come back as calls.
 *
 *     facts → step → step → …            each step: passed │ refused with a code │ waits
 *                                        waits for: a reply to its prompt │ its mail │ its check │
 * its report
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "agent/devices.h"
#include "agent/factors.h"
#include "agent/iplist.h"
#include "agent/maclist.h"
#include "agent/message.h"
#include "agent/pairing.h"
#include "agent/passkeys.h"
#include "agent/policy.h"
#include "agent/registry.h"
#include "agent/settings.h"
#include "agent/users.h"
#include "base/clock.h"

enum {
	LOGIN_CODE_DIGITS = 8,
	LOGIN_CODE_LIFE_S = 300,
	LOGIN_CODE_SENDS_MAX = 5,
	LOGIN_TURNS_MAX = 16, /* from one way of a code to another, in one session */
	LOGIN_ADDRESS_SIZE = 64,
	LOGIN_TRIES_MAX = 5, /* of one prompt in one session; the lock-out is counted apart */
};

#define LOGIN_NOBODY "nobody"

/* Results of all calls. Negative: refused with this code; -ERR_PROTOCOL means the client is not
 * even told. */
enum {
	LOGIN_WAITS = 0,
	LOGIN_PASSED = 1
};

struct login_mail {
	int kind; /* engawa_MailKind */
	const char *address, *code, *device, *locale;
	const char *words[2];
};

/* A certificate to be checked by who has its issuer: the rest of the question. */
struct login_certificate {
	const struct holder_proof *proof;
	uint8_t digest[HOLDER_DIGEST_BYTES]; /* what the holder must have signed */
	int pinned;                          /* it is this very one that is expected */
};

enum mac_list {
	MAC_LIST_CLIENT,
	MAC_LIST_SERVER
};

struct login_env {
	void *user;
	void (*prompt)(void *user, const struct prompt *prompt);
	/* Its result comes to login_mailed; of a mail without a code nobody waits for it. 0, or
	 * negative at once. */
	int (*mail)(void *user, const struct login_mail *mail);
	/* Argon2 or a service, off the loop; its result comes to login_checked. The strings are
	 * copied. The verifier of users.h; LOGIN_NOBODY takes as long and is never right. */
	void (*check)(void *user, const char *verifier, const char *text);
	/* The same for a certificate; its result comes to login_certified. What is pointed to is
	 * copied. */
	void (*check_certificate)(void *user, const struct login_certificate *certificate);
	/* Asks the organisation's list for the client's or our own addresses; its result comes to
	 * login_checked: 0, -ERR_MAC_DENIED, -ERR_MAC_LIST. */
	void (*maclist)(void *user, enum mac_list which);
	/* 1 when the client is this machine itself. */
	int (*is_self)(void *user, const struct facts *facts);
	struct mono (*now)(void *user);
	uint64_t (*wall_s)(void *user);
	/* The address that was set to follow is confirmed: it takes the place of the other in one
	 * write. 0 or negative. */
	int (*address_confirmed)(void *user);
	/* A code came back from the registered address: mails do arrive there. 0 or negative. */
	int (*mail_arrived)(void *user);
	/* A word for the person, beside the prompt that is open. */
	void (*notice)(void *user, uint32_t code);
};

enum login_wait {
	LOGIN_WAIT_FACTS,
	LOGIN_WAIT_REPLY,
	LOGIN_WAIT_MAIL,
	LOGIN_WAIT_CHECK,
	LOGIN_WAIT_POSTURE, /* the home PC's report */
	LOGIN_WAIT_NOTHING
};

/* What all logins of this office PC share; all of it outlives them. */
struct login_office {
	const struct policy *policy;
	int policy_code; /* why there is no usable policy: 0 or what agent_policy says */
	const struct settings *settings;
	const struct iplist *addresses;
	struct devices *devices;
	const struct users *users; /* NULL or empty: the single password of the settings */
	struct devices *persons;   /* counters of persons, with users */
	struct factors *factors;
	struct passkeys *passkeys;
	struct registry *registry;
	struct pairing *pairing;
	const struct maclist *macs; /* NULL = empty */
};

struct login {
	const struct login_env *env;
	struct login_office office;
	char address[LOGIN_ADDRESS_SIZE]; /* of the client, as its ticket has it */
	uint8_t device[DEVICE_HASH_BYTES];
	uint8_t hash[32]; /* of the handshake */
	struct facts facts;
	size_t step;     /* row of the table */
	uint32_t passed; /* rows of the table that were wanted and passed, in the login and since */
	int resumes;     /* a session that has been logged in goes on: what needs no person is
			    looked at again */
	uint8_t kind_before; /* resumes: of the client that logged in */
	enum login_wait wait;
	uint8_t prompt;   /* kind that is open, PROMPT_NONE */
	uint32_t retry_s; /* hint for a refusal */
	struct {
		int registered; /* and proved */
		int required;
		int first;  /* its class is locked out: the pairing code before all else */
		int paired; /* by its code, in this login: counted with those (devices_pairing) */
		unsigned wrong;
	} admission; /* of the device */
	struct {
		char digits[LOGIN_CODE_DIGITS + 1]; /* "" = none is valid; secret */
		struct mono born;
		unsigned sends, wrong, turns;
		uint32_t why;    /* `wrong` of the next prompt */
		int registering; /* a registration code was right: fresh is to be made, proved */
		struct passkey fresh;
		char person[USER_NAME_SIZE]; /* whose security key it was; "" = anybody's */
		int paper;                   /* it was a recovery or emergency code */
	} code;
	int64_t report_minutes;   /* that the client was told to report after; 0 = never again */
	struct findings findings; /* of the quarantine check: why it refuses */
	struct {
		char digits[LOGIN_CODE_DIGITS + 1]; /* secret */
		char address[SETTINGS_MAIL_SIZE];   /* to which the code went */
		unsigned wrong;
		int confirmed;
	} address_change;
	struct {
		unsigned wrong;
		struct tries before, person_before;
		int charged; /* the person's counter too: this one */
		uint8_t counters[USER_KEY_BYTES];
		char name[USER_NAME_SIZE]; /* folded; "" = nobody's */
		int refuse;                /* why a right password does not help: 0 or negative */
		int misnamed; /* what was typed can be nobody's name: not the same as none */
		int proved;   /* by a certificate: no password is asked for */
		char pin[USER_PIN_SIZE]; /* verifier of the row whose certificate it is, "" */
		char certified[USER_NAME_SIZE]; /* who the certificate is for, as its issuer says */
		uint8_t challenge[HOLDER_CHALLENGE_BYTES];
	} person;
};

/* One step. All functions may be NULL: then the step passes at that point, or (reply, mailed,
 * checked, posture) is never waited for. They return LOGIN_PASSED, LOGIN_WAITS after setting
 * `wait`, or negative. */
struct login_step {
	const char *name;
	/* Asked again, by facts alone, when a session goes on over a new connection. What is not
	 * must have been passed before: else policy has changed, and a new login is needed. */
	int again;
	/* Of one that is not asked again: does what was passed still do under today's policy? NULL
	 * = yes. */
	int (*holds)(const struct login *login);
	int (*ready)(struct login *login); /* could this step ever be passed? asked before the first
					      prompt: 0 or negative */
	int (*enter)(struct login *login);
	int (*reply)(struct login *login, const struct reply *reply);
	int (*mailed)(struct login *login, int code);
	int (*checked)(struct login *login, int code);
	int (*posture)(struct login *login, const struct report *report);
	/* All steps have been passed: what only a complete login may do. 0 or negative. */
	int (*passed)(struct login *login);
};

extern const struct login_step step_policy, step_device, step_apply, step_pair, step_pair_first,
	step_server, step_address, step_lockout, step_self, step_client, step_ready, step_hours,
	step_code, step_mac, step_inspection, step_certificate, step_password, step_firewall,
	step_new_address;

/* env must live as long. */
void login_init(struct login *login, const struct login_env *env, const struct login_office *office,
	const char *address, const uint8_t device[static DEVICE_HASH_BYTES],
	const uint8_t hash[static 32]);
/* The session goes on over a new connection: what it has passed, who it is. Before login_facts. */
void login_resume(struct login *login, const struct login *before);
/* Wipes. */
void login_fini(struct login *login);

int login_facts(struct login *login, const struct facts *facts);
int login_reply(struct login *login, const struct reply *reply);
int login_mailed(struct login *login, int code);
int login_checked(struct login *login, int code);
/* name: of who the certificate is for, "" when it does not say; -ERR_CERTIFICATE_X or
 * -ERR_PERSON_SERVICE when it is not accepted. */
int login_certified(struct login *login, int code, const char *name);
/* NULL: the client sent what is no report. */
int login_posture(struct login *login, const struct report *report);

/* The address whose code the open prompt waits for; NULL when it waits for none. */
const char *login_mail_waits(const struct login *login);

/* For logs: where it stands. */
const char *login_step_name(const struct login *login);

/* Whether a report is of this channel. Also for those that come later in the session. */
int login_report_fits(const struct login *login, const struct report *report);

/* What the steps share. */
/* Runs `ready` of every later step that this client will meet. 0 or negative. */
int login_ready(struct login *login);
/* -ERR_LOCKED_OUT (and retry_s), -ERR_SHUT_OUT or 0. */
int login_locked(struct login *login);
/* May the pairing code be asked for: is one open, and could this device be registered? */
int login_may_pair(const struct login *login);
/* Opens that prompt. LOGIN_WAITS. */
int login_ask_pairing(struct login *login, uint32_t why);
/* Charges a failure before it is judged; 0, -ERR_DISK_FULL. */
int login_charge(struct login *login, struct tries *ret_before);
void login_refund(struct login *login, const struct tries *before);
/* LOGIN_CODE_DIGITS digits, each code as likely as the other. 0 or -ERR_CRYPTO. */
int login_make_code(char out[static LOGIN_CODE_DIGITS + 1]);
/* May a code go to this address under the policy? 0 or -ERR_CODE_UNSET. */
int login_mail_fit(const struct login *login, const char *address);
/* Would it be asked for a code from the mail first? */
int login_mails_first(const struct login *login);
/* 1 when no code would be mailed to it now: enough have been. */
int login_no_mail_left(const struct login *login);
/* Charged to the device. 0, -ERR_LIMIT, -ERR_DISK_FULL, or what env->mail says. */
int login_send(struct login *login, int kind, const char *address, const char *code);
