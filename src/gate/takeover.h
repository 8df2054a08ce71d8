/*
 * The new parent's part of an upgrade: it starts with the old one's sockets and with what the
 * controller last said, but accepts nobody until the connections of the old one are here. When the
 * old one dies half-way, what has come by then goes on here.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "gate/process.h"

struct parent;
struct listening;

struct takeover {
	struct process channel; /* to the old parent; its channel is -1 when there is none */
	struct listening *inherited;
	size_t inherited_count;
	size_t expected[64]; /* channels that a worker was given, and has not said the end of */
	size_t asked;        /* workers that have not answered HERE */
	uint8_t linked[64];  /* workers whose link to the controller is up */
	struct mono begun;
	int ready;     /* the old one knows that our workers are up */
	int waiting;   /* we are not the gate yet */
	int committed; /* the old one has let go */
};

/* Says who we are and takes what the old parent gives. 0 or negative. */
int takeover_begin(struct parent *p);
/* This worker has reached the controller. */
void takeover_on_linked(struct parent *p, size_t seat);
void takeover_tick(struct parent *p);
/* Something came from the old parent. */
void takeover_hear(struct parent *p);
/* A worker is there with all that has come to it. */
void takeover_on_here(struct parent *p);
/* A worker has what came through one of its channels. */
void takeover_on_arrived(struct parent *p, size_t seat);
/* 1 when nothing can come of it any more: a worker of ours died before we were the gate. */
int takeover_worker_gone(struct parent *p, size_t seat);

/* The listening sockets of our workers: the old parent's where there are some. 0 or negative. */
int takeover_listen(struct parent *p);
