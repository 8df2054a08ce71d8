/*
 * The newest policy that was seen here, in one small file: a lower revision is an old policy
 * brought back, and the same revision with other content one of two that were signed under one
 * number. Of those the one that was here first stays.
 */
#pragma once
#include "agent/policy.h"

struct policy_seen {
	uint64_t revision; /* 0 = none */
	uint8_t content[POLICY_CONTENT_BYTES];
	int has_content; /* not where a version before this one wrote it */
};

/* A missing file is none. 0, -errno, -ERR_SETTING. */
int policy_seen_load(const char *path, struct policy_seen *ret_seen);
int policy_seen_save(const char *path, const struct policy_seen *seen);
/* 0: it is that one; 1: it is newer, and taken over, to be saved; -ERR_POLICY: it is older;
 * -ERR_POLICY_FORKED. */
int policy_seen_take(struct policy_seen *seen, const struct policy *policy);
