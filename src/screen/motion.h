/*
 * What moves like a film: finds the one rectangle of the screen that shows photographs which change
 * all the time, takes it out of what damage_compare found, and gives it back once it stands still.
 * Pixels of the rectangle are not exact at the client as long as it lasts, nor afterwards.
 *
 *   none --tiles that look like photographs change again and again--> film
 *   none --many do at once--> doubt: a photograph, or the first picture of a film?
 *   doubt --they change twice more, each time within MOTION_DOUBT_MS--> film
 *   doubt --they do not--> none, and damage has what it had found
 *   film --another rectangle--> film or doubt of that one, the old one is told
 *   film --nothing changed for MOTION_STILL_MS--> none, the old one is told
 */
#pragma once
#include "base/clock.h"
#include "screen/damage.h"

enum {
	MOTION_INTERVAL_MS = 50, /* between pictures of a film */
	MOTION_STILL_MS = 400,
	MOTION_DOUBT_MS = 70, /* two pictures of a film, and what a busy computer is late */
};

struct motion {
	uint8_t *past;     /* per tile: a bit for each of the last tenths of a second, changed */
	struct rect *area; /* per tile: box around what has changed in those */
	size_t tiles;
	struct rect film;          /* w 0: none */
	int doubt;                 /* so many changes more, and it is one */
	int shown;                 /* the client has had a picture of this film */
	int anew;                  /* its next picture needs no other */
	int pending;               /* something in it changed since its last picture */
	struct mono tenth;         /* the present one's beginning */
	struct mono changed, next; /* last change in the film; next picture, not before */
};

/* For damage's size. 0, -ENOMEM. */
int motion_init(struct motion *motion, const struct damage *damage);
void motion_fini(struct motion *motion);

/* After damage_compare, before damage_changed; also when only time has passed. shown is the screen
 * as it is now. Returns the film that is none any more and that the client has seen
 * (w 0: none): it is not exact there. */
struct rect motion_look(
	struct motion *motion, struct damage *damage, const struct image *shown, struct mono now);

/* 1 with the rectangle when a picture of the film is due now; *ret_new: it needs no other before
 * it. */
int motion_due(struct motion *motion, struct mono now, struct rect *ret_film, int *ret_new);

/* 1 while there is a film, and no doubt of it. */
int motion_playing(const struct motion *motion);

/* The decoder has shown something else in between. */
void motion_anew(struct motion *motion);

/* Gives the film up; nothing becomes one any more by itself until it has moved for a while again.
 * Returns it, seen or not: what had changed there was kept from damage. */
struct rect motion_drop(struct motion *motion);

/* Milliseconds until motion_look has something to do by itself, -1 = nothing. */
int motion_wait_ms(const struct motion *motion, struct mono now);
