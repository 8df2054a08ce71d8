/* Findings of the quarantine check in words: each with what to do. */
#pragma once
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

/* A numbered list, two lines each. */
void findings_print(FILE *out, const uint32_t *codes, size_t count, enum err_lang lang);
/* [{"code", "name", "what", "next"}] */
json_t *findings_json(const uint32_t *codes, size_t count, enum err_lang lang);
