/* Certificates on their way from the parent to a worker, piece by piece, until APPLY makes a
 * context of them. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct draft;
struct secure_context;

struct draft *draft_new(void); /* aborts when memory is out */
/* One piece (enum tell). 0 or -ERR_PROTOCOL. Takes the descriptor over. */
int draft_add(struct draft *draft, uint16_t type, const uint8_t *payload, size_t len, int fd);
/* What came since the last call; empty again afterwards. NULL when it does not fit together. */
struct secure_context *draft_apply(struct draft *draft);
