/*
 * Codes that people keep on paper and type: recovery and emergency codes, and the one that
 * registers a security key. Which it is shows in its length.
 */
#pragma once
#include <stddef.h>

enum {
	PAPER_TEXT_SIZE = 40,  /* of a code with its hyphens */
	PAPER_FOLDED_SIZE = 64 /* without */
};

/* count characters of the first `radix` (at most 32) of Crockford's alphabet, each as likely as the
 * other, in groups of five. 0 or -ERR_CRYPTO. */
int paper_make(size_t count, unsigned radix, char ret_text[static PAPER_TEXT_SIZE]);

/* Folds what people and their keyboards do to a code: full-width forms, lower case, O for 0, I and
 * L for 1, hyphens and spaces. Its length, 0 when it is none. */
size_t paper_fold(const char *text, char out[static PAPER_FOLDED_SIZE]);
