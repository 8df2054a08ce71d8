/*
 * The first process: binds the three sockets, starts core, web and mailer as programs of their own,
 * joins them with pairs of sockets and starts again what dies. It reads nothing from anybody.
 */
#pragma once
#include "controller/settings.h"

/* argv: the arguments this program was started with, without a role. Exit status. */
int parent_main(const struct settings *settings, int argc, char **argv);
