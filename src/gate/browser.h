/* Browsers: one request head, then a WebSocket here or a splice to the controller. */
#pragma once
#include "gate/leg.h"

/* Work of a leg in LEG_HEAD. */
void browser_head(struct worker *w, struct leg *l);
/* The parent's answer to TELL_WANT_HTTP; fd -1 = could not connect. */
void browser_connected(struct worker *w, struct leg *l, int fd);
/* A short answer of our own, then the end. */
void browser_refuse(struct worker *w, struct leg *l, int status, int code);
