/* `engawa-agent enrol`: keys, one question to a gate, certificate (docs/protocol.md 2). */
#pragma once
#include "agent/options.h"

/* Writes the terminal ID to stdout, failures to stderr. Returns the exit status. */
int enrol_main(const struct options *options);
