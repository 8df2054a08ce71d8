/* `engawa-agent run`: the parent of all processes. Returns the exit status. */
#pragma once
#include <stdint.h>

#include "agent/options.h"

/* Takes the options over. */
int monitor_main(struct options *options);

struct agent;
/* Ends sessions with that code, then the agent. */
void monitor_stop(struct agent *agent, uint32_t code);
/* While it stops: 1 when a session's last words are still on their way, or the guard has not put
 * everything back. Asked again and again, but not for ever: each question counts. */
int monitor_lingers(struct agent *agent);
