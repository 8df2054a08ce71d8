/* The role that holds mail.key, and the only one that can read a code. It has no store and no
 * socket but its own to the mail server. */
#pragma once
#include "controller/settings.h"

/* Descriptor 3: the core. Exit status. */
int mailer_main(const struct settings *settings);
