/* The way of a code's mail through the core, which cannot read it: checks that this agent has this
 * session, then the mailer. */
#pragma once
#include "controller/core.h"

/* The answer comes by link_code_sent. */
void post_start(struct core *core, uint64_t origin, const engawa_LinkSendCode *send);
/* From the mailer. */
void post_done(struct core *core, const uint8_t *payload, size_t len);
/* From the mailer too: a mail came back, or is late. The office PC is told, the trail keeps it, and
 * the mailer hears what came of it. */
void post_came_back(struct core *core, const uint8_t *payload, size_t len);
/* The mailer is gone: everything it had is answered. */
void post_failed(struct core *core);
