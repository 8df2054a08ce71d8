/*
 * Where an agent of one's own (user mode: started without root, by the desktop's person) keeps its
 * things, and whether it may be: not beside the administrator's.
 */
#pragma once
#include <stddef.h>

/* $XDG_STATE_HOME/engawa-agent, usually ~/.local/state/engawa-agent. 0, -ENAMETOOLONG, -ENOENT: no
 * home. */
int places_state(char *out, size_t size);
/* $XDG_RUNTIME_DIR/engawa-agent; -ENOENT: there is none. */
int places_run(char *out, size_t size);
/* The directory and what it stands in, for nobody else to read. 0 or -errno. */
int places_make(const char *directory);
/* 1 when something of the administrator's agent is on this computer, whether it runs or not. */
int places_administrator(void);
