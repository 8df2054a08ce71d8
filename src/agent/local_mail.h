/*
 * What agent.sock says about the address for codes:
 *
 * MSG_MAIL "set ADDRESS"              the first one, while none is registered
 *          "change ADDRESS PASSWORD"  takes the place of the one in force when the person's next
 *                                     login confirms it: step_new_address.c
 *          "cancel"                   no change after all
 *          "reset ADDRESS", "remove"  at once; the administrator's (root)
 *
 * Nobody at an unlocked office PC can turn the codes his own way: he needs the password, and then a
 * whole login, with a code that goes to the old address.
 */
#pragma once
#include "agent/agent.h"

/* 1: the password is to be checked, then local_mail_asked follows. 0, -ERR_X, -errno.
 * ret_password points into text. */
int local_mail(struct agent *agent, int root, const char *text,
	char ret_address[static SETTINGS_MAIL_SIZE], const char **ret_password);
/* It was right: the address waits for the next login. 0, -errno, -ERR_DISK_FULL. */
int local_mail_asked(struct agent *agent, const char *address);
