/* The parent's children, keeper and workers: started, told what they need, started again. */
#pragma once
#include <stddef.h>

struct parent;

/* All of them. 0 or negative. */
int children_start(struct parent *p);
/* SIGHUP: new certificates, and a new keeper for their keys. */
void children_reload(struct parent *p);
/* SIGCHLD: one or more have died. */
void children_reap(struct parent *p);
/* Starts again whose time has come. How many workers there are. */
size_t children_tick(struct parent *p);
