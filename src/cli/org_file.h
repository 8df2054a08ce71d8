/* Writing the organisation file (docs/protocol.md 10). */
#pragma once
#include <stdint.h>

#include "base/conf.h"
#include "crypto/orgfile.h"

/* What the file is made of: a CA directory, an organisation's directory, and what people give. */
struct org_file {
	const char *ca, *dir;
	const char *id, *name, *support;
	const struct orgfile_gate *gates;
	size_t gate_count;
	uint64_t revision;
	int64_t days;
};

/* Path of a file in a directory. 0 or -ENAMETOOLONG. */
int org_path(char *out, size_t size, const char *dir, const char *name);

/* X25519 secret: reads the coded part of watermarks, and its public half is in the organisation
 * file. */
#define ORG_WATERMARK_KEY "watermark.key"
/* Makes it. 0, -EEXIST, -errno, -ERR_CRYPTO. */
int org_watermark_key(const char *dir);
/* Makes DIR, signing.key and policy.key, none of which may be there. 0 or negative; *ret_at is the
 * file it failed at. */
int org_file_keys(const char *dir, const char **ret_at);
/* Builds, signs, checks and writes DIR/organisation.engawa. */
int org_file_write(const struct org_file *file, const char **ret_at, struct conf_error *error);
/* Makes another signing.key, keeps the one before as `kept`, and has that one sign for it: the next
 * file leads from one to the other. The organisation's id. 0 or negative. */
int org_file_rekey(const char *dir, const char *id, const char *kept, const char **ret_at);
