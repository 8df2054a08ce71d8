/*
 * Audit events of what gates tell, on their way into the store: collected for a moment and written
 * together. When the store fails they wait here and are tried again, so a full disk delays them and
 * loses none before EVENTS_MAX.
 */
#pragma once
#include "controller/store.h"
#include "net/loop.h"

struct trail;

struct trail *trail_new(struct loop *loop, struct store *store);
/* Writes what is left. */
void trail_free(struct trail *trail);
void trail_add(struct trail *trail, const char *actor, const char *event, const char *subject,
	const char *detail);
