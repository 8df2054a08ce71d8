/* `engawa-agent run`: the parent of all processes. Returns the exit status. */
#pragma once
#include "agent/options.h"

/* Takes the options over. */
int monitor_main(struct options *options);
