/* The monitor's own state: what sessions share. One per process. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "agent/devices.h"
#include "agent/factors.h"
#include "agent/iplist.h"
#include "agent/keys.h"
#include "agent/maclist.h"
#include "agent/message.h"
#include "agent/options.h"
#include "agent/pairing.h"
#include "agent/passkeys.h"
#include "agent/policy_seen.h"
#include "agent/process.h"
#include "agent/registry.h"
#include "agent/settings.h"
#include "agent/users.h"
#include "net/loop.h"

enum {
	/* 16 logins, the one at work, one that ends, and one that comes back through each gate */
	SESSIONS_MAX = 18 + ORGFILE_GATES_MAX,
	ENDED_MAX = 16,
};

struct session;
struct pepper;
struct renew;
struct ticket_memory;

/* Why sessions ended that somebody may want to go on with. */
struct ended_session {
	uint8_t origin[SESSION_ID_BYTES];
	int code;
};

struct gate_state {
	int up;
	uint32_t code; /* why not */
};

struct agent {
	struct loop *loop;
	struct options options;
	struct keys keys;
	struct settings settings;
	struct iplist addresses;
	struct devices *devices;
	struct pepper *pepper;
	struct users *users;
	struct devices *persons; /* the same counters, by user_key */
	struct devices
		*local_tries; /* failures at the settings password, by user of this computer */
	struct factors *factors;
	struct passkeys *passkeys;
	struct registry *registry;
	struct pairing pairing;
	struct maclist macs; /* the office PC's own list */
	char *macs_text;     /* its file, with comments */
	int list_missing[2]; /* by enum mac_list: it could not be had when it was asked for last */
	struct ticket_memory *tickets;
	struct ticket_memory *attempts[ORGFILE_GATES_MAX]; /* to go on, by gate; NULL = none yet */
	struct policy_seen policy_seen;                    /* the newest one */
	struct gate_state gates[ORGFILE_GATES_MAX];
	struct process *control;
	struct timer *control_retry;
	struct timer *tell_pause; /* resume_tell: NULL when nothing was said a moment ago */
	int tell_again;           /* and there is something newer */
	uint8_t instance[16];
	struct session *sessions[SESSIONS_MAX];
	struct session *working;   /* the one that has the desktop, or is about to */
	unsigned desktops_leaving; /* of sessions before: they put keys and monitors back */
	struct ended_session ended[ENDED_MAX];
	size_t ended_next;
	struct local *local;
	struct health *health;
	struct office *office;
	struct renew *renew;
	int stopping; /* why; the retry timer is the last deadline */
	int stop_looks;
};

/* From control: a ticket as a gate brought it, nothing in it believed yet. A session starts, or the
 * gate is told why not. */
void agent_knock(struct agent *agent, const struct note *knock);

/* From sessions to the monitor. */
/* All steps are passed: session_turn follows, at once or when the session that works has ended. */
void agent_session_passed(struct agent *agent, struct session *session);
/* All its processes are gone; freed at the end of the tick. */
void agent_session_gone(struct agent *agent, struct session *session);
/* To control. 0 or negative. */
int agent_control(struct agent *agent, uint16_t type, const struct note *note);
/* The policy as it stands in its file now. 0, -ERR_POLICY or -ERR_POLICY_FORKED (logged).
 * ret_policy holds the defaults then. */
int agent_policy(struct agent *agent, struct policy *ret_policy);
