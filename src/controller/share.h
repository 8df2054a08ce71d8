/*
 * A rate that several gates use, divided between them. Each gate claims once a second how much of
 * it, of a prefecture's or an organisation's, it has used and whether that was too little; once a
 * second each is worked out anew. No clock, no socket, and nothing believed: whatever a gate
 * claims, the others have their equal part as far as they want it, and it fills its own memory
 * only.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
	SHARE_WHOLE = 1000, /* permille */
	SHARE_LEAST_OF = 4, /* of this part of an equal part nobody has less */
	SHARE_GATES_MAX = 16,
	SHARE_CLAIMS_MAX = 2048 + 48, /* of one gate: as much as its tables hold */
	SHARE_CLAIM_MS = 3000,        /* so long a claim counts that is not made again */
	SHARE_NAME_SIZE = 64,
};

struct share_claim {
	char organisation[SHARE_NAME_SIZE]; /* "": of the prefecture */
	uint32_t prefecture, weight;        /* of an organisation: what is told */
	uint32_t row;                       /* the gate's, goes back to it */
	uint64_t gate;
	uint64_t at_ms;
	uint32_t used;  /* permille */
	uint8_t hungry; /* it would have used more */
	uint8_t wants;  /* to be told in any case */
	uint8_t tell;   /* out: its gate does not know this yet, or not for long */
	uint32_t part;  /* out: permille; 0 = not divided yet */
};

/*
 * One rate between the gates that claim it, each once, at most SHARE_GATES_MAX: sets their parts,
 * which are SHARE_WHOLE together or a little less. Who wants less than an equal part has that and
 * room to grow, at least a SHARE_LEAST_OF-th of an equal part; the rest goes to the hungry in equal
 * parts, and to all when nobody is.
 */
void share_divide(struct share_claim *const *claims, size_t count);

struct shares {
	struct share_claim **claims; /* those of one rate together, each gate's once */
	size_t count, cap;
	struct share_gate {
		uint64_t gate;
		size_t claims;
	} gates[SHARE_GATES_MAX];
	size_t gate_count;
};

/* In place of the gate's last of this rate; gates count from 1, part and tell do not matter. 0, or
 * -ERR_LIMIT: too many gates, or claims of this one. */
int share_claim(struct shares *shares, const struct share_claim *claim);
/* A gate is gone. */
void share_forget(struct shares *shares, uint64_t gate);
/* Every second: then claims[]->tell is what to tell. */
void share_round(struct shares *shares, uint64_t now_ms);
void share_fini(struct shares *shares);
