/*
 * A backup of an office PC's settings: one file, sealed with a passphrase.
 *
 *     "ENGAWABK" version:u16 memory_kib:u32 passes:u32 salt(16) nonce(12) | AES-256-GCM(entries)
 * tag(16) entries: organisation terminal identity:u8 { name data }   texts with u16, data with u32
 * length
 *
 * The key is Argon2id(passphrase, salt) with the cost that the header names; the header is the
 * authenticated data. Version 1 is the only one.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "crypto/terminal.h"

enum {
	BACKUP_VERSION = 1,
	BACKUP_SALT_BYTES = 16,
	BACKUP_NONCE_BYTES = 12,
	BACKUP_TAG_BYTES = 16,
	BACKUP_HEADER_BYTES = 8 + 2 + 4 + 4 + BACKUP_SALT_BYTES + BACKUP_NONCE_BYTES,
	BACKUP_FILES_MAX = 64,
	BACKUP_NAME_SIZE = 48,
	BACKUP_ORGANISATION_SIZE = 64,
	BACKUP_FILE_MAX_BYTES = 1 << 20,
	BACKUP_MAX_BYTES = 8 << 20,
	BACKUP_MEMORY_KIB = 128 << 10, /* who has the file can try for ever */
	BACKUP_PASSES = 3,
	BACKUP_MEMORY_MAX_KIB = 1 << 20, /* of a file that says it needs more */
	BACKUP_PASSES_MAX = 10,
	BACKUP_PASSPHRASE_CHARS = 12,
};

struct backup_file {
	char name[BACKUP_NAME_SIZE];
	uint8_t *data; /* heap, secret */
	size_t len;
};

struct backup {
	char organisation[BACKUP_ORGANISATION_SIZE];
	char terminal_id[TERMINAL_ID_SIZE];
	int identity; /* the terminal's own keys are in it */
	size_t count;
	struct backup_file files[BACKUP_FILES_MAX];
};

struct backup_header {
	uint32_t memory_kib, passes;
	uint8_t salt[BACKUP_SALT_BYTES], nonce[BACKUP_NONCE_BYTES];
};

/* cost: memory_kib and passes are taken from it. Heap, *ret_len bytes. 0, -ENOMEM, -EFBIG,
 * -ERR_PASSPHRASE_SHORT, -ERR_CRYPTO. Takes its time. */
int backup_seal(const struct backup *backup, const struct backup_header *cost,
	const char *passphrase, uint8_t **ret_data, size_t *ret_len);
/* 0; -ERR_BACKUP_BAD (no backup, or cut off), -ERR_BACKUP_NEWER, -ERR_BACKUP_WRONG (passphrase, or
 * changed); -ENOMEM, -ERR_CRYPTO. */
int backup_open(const uint8_t *data, size_t len, const char *passphrase, struct backup *ret_backup);
/* Wipes. */
void backup_fini(struct backup *backup);

/* A name that may be a file of the state directory: small letters, digits, '-' and '.', no '.'
 * first. */
int backup_name_fit(const char *name);
/* 0 or -ENOMEM, -EFBIG, -ERR_BACKUP_BAD (the name). data is copied. */
int backup_add(struct backup *backup, const char *name, const void *data, size_t len);

/* The parts of backup_open that read what may be anything. 0, -ERR_BACKUP_BAD, -ERR_BACKUP_NEWER.
 */
int backup_header_read(const uint8_t *data, size_t len, struct backup_header *ret_header);
int backup_entries_read(const uint8_t *data, size_t len, struct backup *ret_backup);
