/* The parent: settings, listening sockets, certificates; starts the keeper and the workers, starts
 * them again, and opens for them what they may not. */
#pragma once
#include "gate/settings.h"

/* Serves until SIGTERM, or until a new version has taken over. argv: for that one. is_upgrade: the
 * gate runs already, and its parent is at PROCESS_CHANNEL. Returns the exit status. */
int parent_main(const struct settings *settings, char *const *argv, int is_upgrade);
