/* The parent: settings, listening sockets, certificates; starts the keeper and the workers, starts
 * them again, and opens for them what they may not. */
#pragma once
#include "gate/settings.h"

/* Serves until SIGTERM. Returns the exit status. */
int parent_main(const struct settings *settings);
