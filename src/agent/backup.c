#include "agent/backup.h"

#include <argon2.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/wire.h"

#define MAGIC "ENGAWABK"

enum {
	KEY_BYTES = 32,
	MEMORY_MIN_KIB = 8192
};

void
backup_fini(struct backup *backup)
{
	for (size_t i = 0; i < backup->count; i++)
		mem_wipe_free(backup->files[i].data, backup->files[i].len);
	mem_wipe(backup, sizeof *backup);
}

int
backup_name_fit(const char *name)
{
	size_t len = strlen(name);
	return len > 0 && len < BACKUP_NAME_SIZE && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == len;
}

int
backup_add(struct backup *backup, const char *name, const void *data, size_t len)
{
	if (!backup_name_fit(name))
		return -ERR_BACKUP_BAD;
	if (backup->count == BACKUP_FILES_MAX || len > BACKUP_FILE_MAX_BYTES)
		return -EFBIG;
	struct backup_file *file = &backup->files[backup->count];
	file->data = mem_array(len + 1, 1);
	if (!file->data)
		return -ENOMEM;
	if (len)
		memcpy(file->data, data, len);
	file->len = len;
	str_copy(file->name, sizeof file->name, name);
	backup->count++;
	return 0;
}

/* ---- entries ---- */

static size_t
entries_size(const struct backup *b)
{
	size_t size = 2 + strlen(b->organisation) + 2 + strlen(b->terminal_id) + 1;
	for (size_t i = 0; i < b->count; i++)
		size += 2 + strlen(b->files[i].name) + 4 + b->files[i].len;
	return size;
}

static void
entries_put(const struct backup *b, struct wr *w)
{
	wr_text(w, b->organisation);
	wr_text(w, b->terminal_id);
	wr_u8(w, (uint8_t)b->identity);
	for (size_t i = 0; i < b->count; i++) {
		wr_text(w, b->files[i].name);
		wr_u32(w, (uint32_t)b->files[i].len);
		wr_bytes(w, b->files[i].data, b->files[i].len);
	}
}

static int
get_file(struct rd *rd, struct backup *b)
{
	char name[BACKUP_NAME_SIZE];
	rd_line(rd, name, sizeof name);
	uint32_t len = rd_u32(rd);
	const uint8_t *data = rd_bytes(rd, len);
	for (size_t i = 0; i < b->count; i++)
		if (strcmp(b->files[i].name, name) == 0)
			return -ERR_BACKUP_BAD;
	if (rd->failed)
		return -ERR_BACKUP_BAD;
	int r = backup_add(b, name, data, len);
	return r == -EFBIG ? -ERR_BACKUP_BAD : r;
}

int
backup_entries_read(const uint8_t *data, size_t len, struct backup *ret_backup)
{
	struct rd rd = rd_init(data, len);
	struct backup *b = ret_backup;
	memset(b, 0, sizeof *b);
	int r = 0;
	rd_line(&rd, b->organisation, sizeof b->organisation);
	rd_line(&rd, b->terminal_id, sizeof b->terminal_id);
	b->identity = rd_u8(&rd) != 0;
	while (r == 0 && !rd.failed && rd.left > 0)
		r = get_file(&rd, b);
	if (rd.failed && r == 0)
		r = -ERR_BACKUP_BAD;
	if (r < 0)
		backup_fini(b);
	return r;
}

/* ---- seal ---- */

static void
header_put(const struct backup_header *h, struct wr *w)
{
	wr_bytes(w, MAGIC, 8);
	wr_u16(w, BACKUP_VERSION);
	wr_u32(w, h->memory_kib);
	wr_u32(w, h->passes);
	wr_bytes(w, h->salt, sizeof h->salt);
	wr_bytes(w, h->nonce, sizeof h->nonce);
}

int
backup_header_read(const uint8_t *data, size_t len, struct backup_header *ret_header)
{
	struct rd rd = rd_init(data, len);
	char magic[8] = "";
	rd_copy(&rd, magic, sizeof magic);
	uint16_t version = rd_u16(&rd);
	if (rd.failed || memcmp(magic, MAGIC, sizeof magic) != 0 || version == 0)
		return -ERR_BACKUP_BAD;
	if (version > BACKUP_VERSION)
		return -ERR_BACKUP_NEWER;
	ret_header->memory_kib = rd_u32(&rd);
	ret_header->passes = rd_u32(&rd);
	rd_copy(&rd, ret_header->salt, sizeof ret_header->salt);
	rd_copy(&rd, ret_header->nonce, sizeof ret_header->nonce);
	return rd.failed || len < BACKUP_HEADER_BYTES + BACKUP_TAG_BYTES ||
			       len > BACKUP_MAX_BYTES + BACKUP_HEADER_BYTES + BACKUP_TAG_BYTES ||
			       ret_header->memory_kib < MEMORY_MIN_KIB ||
			       ret_header->memory_kib > BACKUP_MEMORY_MAX_KIB ||
			       ret_header->passes < 1 || ret_header->passes > BACKUP_PASSES_MAX
		       ? -ERR_BACKUP_BAD
		       : 0;
}

static int
make_key(const struct backup_header *h, const char *passphrase, uint8_t key[static KEY_BYTES])
{
	int r = argon2id_hash_raw(h->passes, h->memory_kib, 1, passphrase, strlen(passphrase),
		h->salt, sizeof h->salt, key, KEY_BYTES);
	return r == ARGON2_OK ? 0 : r == ARGON2_MEMORY_ALLOCATION_ERROR ? -ENOMEM : -ERR_CRYPTO;
}

/* out may be in. The tag is written, or compared. */
static int
seal_or_open(int seal, const struct backup_header *h, const char *passphrase, const uint8_t *aad,
	const uint8_t *in, size_t len, uint8_t *out, uint8_t *tag)
{
	uint8_t key[KEY_BYTES];
	int n, done = make_key(h, passphrase, key), ok = 0;
	EVP_CIPHER_CTX *ctx = done == 0 ? EVP_CIPHER_CTX_new() : NULL;
	if (ctx)
		ok = EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, h->nonce, seal) == 1 &&
		     EVP_CipherUpdate(ctx, NULL, &n, aad, BACKUP_HEADER_BYTES) == 1 &&
		     EVP_CipherUpdate(ctx, out, &n, in, (int)len) == 1 &&
		     (seal || EVP_CIPHER_CTX_ctrl(
				      ctx, EVP_CTRL_AEAD_SET_TAG, BACKUP_TAG_BYTES, tag) == 1);
	int right = ok && EVP_CipherFinal_ex(ctx, out + len, &n) == 1 &&
		    (!seal || EVP_CIPHER_CTX_ctrl(
				      ctx, EVP_CTRL_AEAD_GET_TAG, BACKUP_TAG_BYTES, tag) == 1);
	EVP_CIPHER_CTX_free(ctx);
	mem_wipe(key, sizeof key);
	return done < 0 ? done : !ok ? -ERR_CRYPTO : right ? 0 : -ERR_BACKUP_WRONG;
}

static size_t
count_chars(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

int
backup_seal(const struct backup *backup, const struct backup_header *cost, const char *passphrase,
	uint8_t **ret_data, size_t *ret_len)
{
	struct backup_header h = *cost;
	size_t size = entries_size(backup);
	size_t all = BACKUP_HEADER_BYTES + size + BACKUP_TAG_BYTES;
	if (size > BACKUP_MAX_BYTES)
		return -EFBIG;
	if (count_chars(passphrase) < BACKUP_PASSPHRASE_CHARS)
		return -ERR_PASSPHRASE_SHORT;
	if (RAND_bytes(h.salt, sizeof h.salt) != 1 || RAND_bytes(h.nonce, sizeof h.nonce) != 1)
		return -ERR_CRYPTO;
	uint8_t *data = mem_array(all, 1);
	if (!data)
		return -ENOMEM;
	struct wr w = wr_init(data, all);
	header_put(&h, &w);
	entries_put(backup, &w);
	uint8_t *body = data + BACKUP_HEADER_BYTES;
	int r = w.failed ? -ERR_INTERNAL
			 : seal_or_open(1, &h, passphrase, data, body, size, body, body + size);
	if (r < 0) {
		mem_wipe_free(data, all);
		return r;
	}
	*ret_data = data;
	*ret_len = all;
	return 0;
}

int
backup_open(const uint8_t *data, size_t len, const char *passphrase, struct backup *ret_backup)
{
	struct backup_header h;
	uint8_t tag[BACKUP_TAG_BYTES];
	int r = backup_header_read(data, len, &h);
	if (r < 0)
		return r;
	size_t size = len - BACKUP_HEADER_BYTES - BACKUP_TAG_BYTES;
	uint8_t *plain = mem_array(size + 1, 1);
	if (!plain)
		return -ENOMEM;
	memcpy(tag, data + len - sizeof tag, sizeof tag);
	r = seal_or_open(0, &h, passphrase, data, data + BACKUP_HEADER_BYTES, size, plain, tag);
	if (r == 0)
		r = backup_entries_read(plain, size, ret_backup);
	mem_wipe_free(plain, size + 1);
	return r;
}
