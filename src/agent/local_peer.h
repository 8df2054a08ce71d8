/* Between local.c (the socket) and local_hash.c (what takes time). */
#pragma once
#include <sys/types.h>

#include "agent/local.h"
#include "agent/users.h"
#include "base/clock.h"

enum {
	LOCAL_ANSWER_MAX_BYTES = 4096
};

struct hashing;

enum peer_rank {
	PEER_STRANGER,
	PEER_OWNER,
	PEER_ROOT
};

struct peer {
	struct local *local;
	struct agent *agent;
	int fd;
	uid_t uid;
	enum peer_rank rank;
	int open; /* has said the settings password, and changed something since within OPEN_MS */
	struct mono open_until;
	int proved; /* has said the present password of this one, for the next question */
	char proved_name[USER_NAME_SIZE];
	struct watch *watch;
	struct timer *deadline;
	struct hashing *hashing; /* a question that runs; none is read meanwhile */
};

/* The question is answered; the peer may be gone then. */
void local_answer(struct peer *peer, int r, const char *text);

/* It has said the settings password, or used that it had: good for OPEN_MS from now. */
void local_open_for_a_while(struct peer *peer);

/* There is another settings password, or none: nobody has said it yet. */
void local_close_again(struct local *local);

/* Off the loop, then local_answer. Of this person; of all when row is NULL. */
void local_hash_password(struct peer *peer, const struct user *row, const char *text);
/* MSG_LOCK with a text. */
void local_hash_lock(struct peer *peer, const char *text);
/* MSG_LOCK_OPEN. */
void local_hash_open(struct peer *peer, const char *text);
/* The person's password first, then local_mail_asked. */
void local_hash_mail(struct peer *peer, const char *address, const char *text);
/* Whether this is the password of the hash; peer->proved follows. */
void local_hash_prove(struct peer *peer, const char *name, const char *hash, const char *text);
/* MSG_FIT. */
void local_hash_fit(struct peer *peer, const char *text);
/* The peer goes; what runs for it ends by itself. */
void local_hash_drop(struct peer *peer);
