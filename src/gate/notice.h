/* RUN_DIRECTORY/gate-NAME.state: which process is the gate, and how far an upgrade has come, for
 * engawa gate upgrade. Lines: "pid N", "upgrade N" (how many this process has begun), "step WORD".
 */
#pragma once

struct parent;

/* Without a place for it the gate works as well: logged. */
void notice_write(const struct parent *p, const char *step);
