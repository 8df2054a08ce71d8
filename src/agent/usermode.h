/* User mode: an agent of one's own, without root (places.h). */
#pragma once
#include "agent/agent.h"

/* Where root has not started us: what the settings do not say is found where the person's desktop
 * keeps it. 0 or -errno. */
int usermode_apply(struct options *options);
/* 0, or -ERR_ADMIN_AGENT where the administrator has one. */
int usermode_allowed(void);

struct usermode;
/* Ends the agent when the administrator sets one up later; usermode_over then. NULL where root has
 * started us. */
struct usermode *usermode_new(struct agent *agent);
void usermode_free(struct usermode *usermode);
