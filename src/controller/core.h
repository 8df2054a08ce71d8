/* The role that decides: store, keys, presence. Talks to gates, to the web and mailer processes,
 * and to the engawa command. */
#pragma once
#include <stdint.h>

#include "base/log.h"
#include "controller/authority.h"
#include "controller/limit.h"
#include "controller/peer.h"
#include "controller/presence.h"
#include "controller/settings.h"
#include "controller/store.h"
#include "controller/trail.h"
#include "link.pb.h"
#include "net/loop.h"

struct link;
struct ask;
struct post;
struct server;

enum {
	CORE_WEB = 0 /* origin of what the web process asks; links count from 1 */
};

struct core {
	const struct settings *settings;
	struct loop *loop;
	struct store *store;
	struct authority *authority;
	struct presence *presence;
	struct trail *trail;
	struct limit *asks, *enrolments, *returned;
	struct peer *parent, *web, *mailer;
	struct server *admin;
	struct link *links;
	struct divide *divide;
	struct ask *pending;
	struct post *posts;
	uint64_t next_link, next_post;
	struct log_limit ask_log, enrol_log; /* refusals, which strangers cause */
	unsigned pending_count, post_count, enrolling;
	int stopping;
};

/* The role's main; descriptors from 3: parent, link listener, admin listener. Exit status. */
int core_main(const struct settings *settings);

/* Sends a finished answer to where the question came from, if that is still there. */
void core_grant(struct core *core, uint64_t origin, const engawa_LinkGrant *grant);
