/*
 * `engawa agent backup` and `restore`: all files of the state directory that hold settings, as they
 * stand; the terminal's keys only on request, because a copy of a terminal must never run beside
 * it. Never in a backup: the policy and the revision seen of it (going back would bring an old
 * policy back), and a pepper that PEPPER_FILE keeps elsewhere.
 *
 * A restore is put beside the state directory's files (restore.new), becomes whole with one rename
 * (restore.ready), and is moved into place from there; what a crash leaves is finished or dropped
 * by the next start. The agent must not run: it would write over it.
 */
#pragma once
#include "agent/options.h"

int backup_main(const struct options *options);
int restore_main(const struct options *options);

/* Finishes or drops what a crash left; with the directory's lock held. 0 or -errno. */
int restore_finish(const char *directory);
