/* `engawa-agent enrol`: keys, one question to a gate, certificate (docs/protocol.md 2); and
 * `organisation`. */
#pragma once
#include "agent/options.h"

/* Writes the terminal ID to stdout, failures to stderr. Returns the exit status. */
int enrol_main(const struct options *options);

/* Replaces the organisation file by a newer one of the same key, for the next start. Returns the
 * exit status. */
int organisation_main(const struct options *options);
