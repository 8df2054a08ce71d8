/* engawa agent enrol | password | mail | status | unlock: at the office PC itself, through the
 * agent's own socket. */
#pragma once

/* 1 when argv[1] of `engawa agent` is one of these. */
int agent_is_local(const char *action);
/* argv[0] is the action. Returns the exit status. */
int agent_local(int argc, char **argv);
