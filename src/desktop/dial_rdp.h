/*
 * A process beside engawa-desktop-rdp that may do one thing: connect to one port of this computer.
 * It hands the connected sockets over, so the process that reads what xrdp sends needs no right to
 * make any, and can reach nothing else.
 */
#pragma once
#include <stdint.h>

/* Starts it as that user. Returns the descriptor for dial_call, to be closed; the process ends with
 * it. -errno, -ERR_INTERNAL. */
int dial_new(uint16_t port, const char *user);
/* Connects: a blocking socket, or -errno (-ECONNREFUSED: nobody listens; -EINPROGRESS: nobody
 * answers), -ERR_INTERNAL. */
int dial_call(int dial);
