/* Bytes from one leg to its peer: back-pressure by high-water marks, ends passed on in both
 * directions, turns shared fairly. */
#pragma once
#include "gate/leg.h"

/* Makes two legs a pipe. */
void pipe_join(struct worker *w, struct leg *a, struct leg *b);
/* Moves what can be moved from this leg to its peer. */
void pipe_run(struct worker *w, struct leg *l);
/* Bytes that l's out queue held have left: its peer may be read again, or both have ended. */
void pipe_drained(struct worker *w, struct leg *l);
void pipe_due(struct worker *w, struct leg *l);
