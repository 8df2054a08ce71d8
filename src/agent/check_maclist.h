/*
 * Whether one of some MAC addresses is in a list that the organisation's server has
 * (CLIENT_ALLOWED_MAC_LIST_URL, SERVER_ALLOWED_MAC_LIST_URL): fetched and parsed by a process of
 * its own, without rights, once. HTTPS with a certificate that checks, no redirect, no proxy, at
 * most MACLIST_TEXT_MAX_BYTES, five seconds.
 *
 * The last good copy comes as a descriptor with the question and a newer one goes back with the
 * answer; its first line is "#URL url", so that the copy of one list is never taken for another's.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "agent/maclist.h"
#include "agent/message.h"

enum {
	MACLIST_URL_SIZE = 512,
	MACLIST_FRESH_S = 60, /* a copy that young is as good as the list */
	MACLIST_FETCH_S = 5,
	MACLIST_COPY_MAX_BYTES = MACLIST_TEXT_MAX_BYTES + MACLIST_URL_SIZE + 8,
	MACLIST_QUESTION_MAX_BYTES = 3 * (2 + MACLIST_URL_SIZE) + 8 + FACTS_MACS_MAX * MAC_BYTES
};

struct maclist_question {
	char url[MACLIST_URL_SIZE], ca_file[MACLIST_URL_SIZE]; /* "" = the system's */
	uint32_t max_age_s; /* that a copy stands in for the list; 0 = never */
	size_t count;
	uint8_t macs[FACTS_MACS_MAX][MAC_BYTES];
};

size_t maclist_question_put(
	const struct maclist_question *question, uint8_t out[static MACLIST_QUESTION_MAX_BYTES]);
/* 0 or -ERR_PROTOCOL. */
int maclist_question_get(const uint8_t *p, size_t len, struct maclist_question *ret_question);

/* Text of a list or of a copy. 0: one is in it; -ERR_MAC_DENIED; -ERR_MAC_LIST: it is no list. */
int maclist_judge(const struct maclist_question *question, const char *text, size_t len);
/* Of a kept copy: what follows its first line, NULL when it is of another list. */
const char *maclist_copy_of(const char *url, const char *text, size_t *len);
