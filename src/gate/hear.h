/* What the parent tells a worker: tell.h. */
#pragma once

struct worker;

/* One message. 0, 1 after READY, -EAGAIN, -ERR_CLOSED when the parent is gone, other negative
 * values for one that makes no sense. */
int hear(struct worker *w);
