/*
 * The role that talks HTTP with browsers, through the gates: the web client's files and POST
 * /v1/connect. It holds no key, no database and no file; what it may want it asks the core.
 */
#pragma once
#include "controller/settings.h"

/* Descriptors 3: the core, 4: the listener of http.sock. Exit status. */
int web_main(const struct settings *settings);
