/*
 * The parent's part between workers: who has what (directory.h), and messages from one worker to
 * another. A message gets there or its receiver is dead; when a worker dies, everything it had sent
 * is passed on first, then the others hear GONE.
 */
#pragma once
#include "base/log.h"
#include "gate/directory.h"
#include "gate/process.h"

enum {
	SWITCHBOARD_HANDS_MAX =
		1024 /* on their way from one worker to another: far more than ever are */
};

struct switchboard {
	struct directory directory;
	struct {
		struct process *worker; /* NULL = nobody sits there */
		uint32_t number;
	} seats[DIRECTORY_SEATS_MAX];
	/* from one seat to another: handed over and not answered; taken and not let go. Only so
	 * many answers are passed on. */
	struct {
		uint32_t given, taken;
	} hands[DIRECTORY_SEATS_MAX][DIRECTORY_SEATS_MAX];
	size_t count;
	uint32_t next;
	struct log_limit full;
};

/* connections: of one worker at the most. Aborts when memory is out. */
void switchboard_init(struct switchboard *s, size_t seats, size_t connections);
void switchboard_fini(struct switchboard *s);
/* A new worker in this seat: its number. */
uint32_t switchboard_sit(struct switchboard *s, size_t seat, struct process *worker);
/* It is dead, and its channel has been read to the end. */
void switchboard_gone(struct switchboard *s, size_t seat);
/* A message of a worker; fd stays the caller's. 1 when it was one of ours. */
int switchboard_hear(
	struct switchboard *s, size_t seat, enum tell type, uint8_t *payload, size_t len, int fd);
