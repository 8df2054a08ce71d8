/* The role that holds mail.key, and the only one that can read a code. It has no store and no
 * socket but its own to the mail server, and the one where it is told what came back. */
#pragma once
#include "controller/settings.h"

/* Descriptor 3: the core; 4: bounce.sock, with BOUNCE_ADDRESS. Exit status. */
int mailer_main(const struct settings *settings);
