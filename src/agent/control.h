/* Between the two files of the control process: its connections to gates, and what it does for the
 * monitor. */
#pragma once
#include <stdint.h>

#include "agent/message.h"
#include "crypto/orgfile.h"
#include "net/conn.h"
#include "net/dial.h"
#include "net/loop.h"

enum {
	INSTANCE_BYTES = 16,
	LINKS_MAX = 2
};

struct control;

/* One control connection (docs/protocol.md 3), made again for ever. */
struct link {
	struct control *control;
	size_t gate; /* index; the one it is at or tries */
	struct dial *dial;
	struct conn *conn;
	struct timer *retry, *silence;
	enum {
		LINK_IDLE,
		LINK_DIAL,
		LINK_TLS,
		LINK_HELLO,
		LINK_WELCOME,
		LINK_UP
	} state;
	uint64_t backoff_ms;
	uint64_t silence_ms;
};

struct control {
	struct loop *loop;
	struct orgfile org;
	struct ssl_ctx_st *tls;
	const char *proxy; /* NULL = none */
	uint8_t instance[INSTANCE_BYTES];
	struct link links[LINKS_MAX];
	size_t link_count;
};

void link_init(struct link *link, struct control *control);
/* Chooses a gate at random that no other link has and connects. */
void link_start(struct link *link);

/* The link that is up at this gate, NULL when there is none. */
struct link *control_link(struct control *control, size_t gate);
/* Uniform below limit. */
uint64_t control_random(uint64_t limit);
