/* What a connection does when it can, when its time is over, and when it is gone: by its state. */
#pragma once
#include "gate/leg.h"

void roles_run(struct worker *w, struct leg *l);
void roles_due(struct worker *w, struct leg *l);
/* Called once by leg_close or leg_end; was is the state before. Writes the reason into the log. */
void roles_gone(struct worker *w, struct leg *l, enum leg_state was, int code);
