#include "mark/code.h"

#include <errno.h>
#include <math.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/wire.h"
#include "crypto/noise.h"
#include "mark/convolution.h"

#define PURPOSE "engawa watermark v1"

enum {
	CELLS = WATERMARK_CELLS * WATERMARK_CELLS,
	SLOTS = 2 *
		CELLS, /* bits; the code takes the first of a keyed order, the rest are pilots */
	PILOTS = SLOTS - CONVOLUTION_BITS,
	SESSION_BYTES = 5,
	BODY_BYTES = SESSION_BYTES + 4,
	MAC_BYTES = CONVOLUTION_DATA_BYTES - BODY_BYTES,
	TURNS = 4,
	/* What the pilots leave open is decoded; the MAC says which is right. 2^-56 each. */
	CANDIDATES_MAX = 24,
};

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* What a key makes of the pattern. */
struct layout {
	uint16_t slot[SLOTS]; /* where bit i stands: cell * 2 + bit of its symbol */
	uint8_t flip[SLOTS];  /* what bit i is xored with; of a pilot, its value */
};

/* ---- keys ---- */

static int
hmac(const uint8_t key[static MARK_KEY_BYTES], const char *what, const void *data, size_t len,
	uint8_t ret_mac[static SHA256_DIGEST_LENGTH])
{
	uint8_t bytes[128];
	struct wr w = wr_init(bytes, sizeof bytes);
	wr_bytes(&w, what, strlen(what) + 1);
	wr_bytes(&w, data, len);
	int good = !w.failed &&
		   HMAC(EVP_sha256(), key, MARK_KEY_BYTES, bytes, w.len, ret_mac, NULL) != NULL;
	mem_wipe(bytes, sizeof bytes);
	return good ? 0 : -ERR_CRYPTO;
}

static int
derive(const uint8_t secret[static MARK_KEY_BYTES], const uint8_t remote[static MARK_KEY_BYTES],
	int is_agent, uint8_t ret_key[static MARK_KEY_BYTES])
{
	struct noise_keypair own;
	uint8_t shared[MARK_KEY_BYTES], both[2 * MARK_KEY_BYTES];
	int r = noise_keypair_from_secret(secret, &own);
	if (r == 0)
		r = noise_dh(secret, remote, shared);
	if (r == 0) {
		memcpy(both, is_agent ? own.public : remote, MARK_KEY_BYTES);
		memcpy(both + MARK_KEY_BYTES, is_agent ? remote : own.public, MARK_KEY_BYTES);
		r = hmac(shared, PURPOSE, both, sizeof both, ret_key);
	}
	mem_wipe(&own, sizeof own);
	mem_wipe(shared, sizeof shared);
	return r;
}

int
mark_key_agent(const uint8_t agent_secret[static MARK_KEY_BYTES],
	const uint8_t org_public[static MARK_KEY_BYTES], uint8_t ret_key[static MARK_KEY_BYTES])
{
	return derive(agent_secret, org_public, 1, ret_key);
}

int
mark_key_org(const uint8_t org_secret[static MARK_KEY_BYTES],
	const uint8_t agent_public[static MARK_KEY_BYTES], uint8_t ret_key[static MARK_KEY_BYTES])
{
	return derive(org_secret, agent_public, 0, ret_key);
}

/* 32 bits at a time from HMAC(key, "order" ‖ counter). */
struct stream {
	const uint8_t *key;
	uint8_t block[SHA256_DIGEST_LENGTH];
	uint32_t counter;
	size_t used;
	int r;
};

static uint32_t
stream_next(struct stream *s)
{
	if (s->used == sizeof s->block) {
		uint8_t counter[4];
		struct wr w = wr_init(counter, sizeof counter);
		wr_u32(&w, s->counter++);
		int r = hmac(s->key, "order", counter, sizeof counter, s->block);
		s->r = s->r < 0 ? s->r : r;
		s->used = 0;
	}
	struct rd in = rd_init(s->block + s->used, 4);
	s->used += 4;
	return rd_u32(&in);
}

static int
layout_make(const uint8_t key[static MARK_KEY_BYTES], struct layout *layout)
{
	struct stream s = {.key = key, .used = sizeof s.block};
	for (uint16_t i = 0; i < SLOTS; i++)
		layout->slot[i] = i;
	/* 2^32 is far more than 512: no number is noticeably more likely */
	for (uint32_t i = SLOTS - 1; i > 0; i--) {
		uint32_t other = stream_next(&s) % (i + 1);
		uint16_t kept = layout->slot[i];
		layout->slot[i] = layout->slot[other];
		layout->slot[other] = kept;
	}
	for (uint32_t i = 0; i < SLOTS; i++)
		layout->flip[i] = stream_next(&s) & 1;
	mem_wipe(s.block, sizeof s.block);
	return s.r;
}

/* ---- what is coded ---- */

static int
body_put(const struct mark *mark, uint8_t out[static BODY_BYTES])
{
	uint64_t session = 0;
	if (strlen(mark->session) != MARK_SESSION_SIZE - 1 || mark->session[4] != '-' ||
		mark->started_s > UINT32_MAX)
		return -EINVAL;
	for (size_t i = 0; i < MARK_SESSION_SIZE - 1; i++) {
		const char *digit = i == 4 ? digits : strchr(digits, mark->session[i]);
		if (!digit)
			return -EINVAL;
		if (i != 4)
			session = session << 5 | (uint64_t)(digit - digits);
	}
	struct wr w = wr_init(out, BODY_BYTES);
	wr_u8(&w, (uint8_t)(session >> 32));
	wr_u32(&w, (uint32_t)session);
	wr_u32(&w, (uint32_t)mark->started_s);
	return 0;
}

static void
body_take(const uint8_t in[static BODY_BYTES], struct mark *ret_mark)
{
	struct rd r = rd_init(in, BODY_BYTES);
	uint64_t session = (uint64_t)rd_u8(&r) << 32;
	session |= rd_u32(&r);
	ret_mark->started_s = rd_u32(&r);
	for (size_t i = 0, shift = 40; i < MARK_SESSION_SIZE - 1; i++)
		ret_mark->session[i] = i == 4 ? '-' : digits[session >> (shift -= 5) & 31];
	ret_mark->session[MARK_SESSION_SIZE - 1] = '\0';
}

int
mark_encode(const uint8_t key[static MARK_KEY_BYTES], const struct mark *mark,
	uint8_t ret_code[static WATERMARK_CODE_BYTES])
{
	uint8_t data[CONVOLUTION_DATA_BYTES], mac[SHA256_DIGEST_LENGTH], bits[SLOTS] = {0};
	struct layout layout;
	int r = body_put(mark, data);
	if (r == 0)
		r = hmac(key, "mac", data, BODY_BYTES, mac);
	if (r == 0)
		r = layout_make(key, &layout);
	if (r < 0)
		return r;
	memcpy(data + BODY_BYTES, mac, MAC_BYTES);
	convolution_encode(data, bits);
	memset(ret_code, 0, WATERMARK_CODE_BYTES);
	for (size_t i = 0; i < SLOTS; i++)
		if (bits[i] != layout.flip[i])
			ret_code[layout.slot[i] / 8] |= (uint8_t)(1 << layout.slot[i] % 8);
	mem_wipe(&layout, sizeof layout);
	mem_wipe(mac, sizeof mac);
	return 0;
}

/* ---- reading ---- */

/* Bits of the cells, softly, one way up: slot cell * 2 is left or right, + 1 above or below. */
struct view {
	float soft[SLOTS];
	float scale; /* of a pilot: root of the mean square */
};

/* places: of the symbols 0 to 3, as they come on the photograph */
static void
view_cell(const float places[static 4], float ret[static 2])
{
	ret[0] = fmaxf(places[1], places[3]) - fmaxf(places[0], places[2]);
	ret[1] = fmaxf(places[2], places[3]) - fmaxf(places[0], places[1]);
}

static void
view_make(const struct mark_table *table, int turn, struct view *view)
{
	double sum = 0;
	for (int y = 0; y < WATERMARK_CELLS; y++)
		for (int x = 0; x < WATERMARK_CELLS; x++) {
			float bit[2];
			int to_x = x, to_y = y;
			view_cell(table->cell[y * WATERMARK_CELLS + x], bit);
			for (int t = 0; t < turn; t++) {
				int old = to_x;
				float old_bit = bit[0];
				to_x = WATERMARK_CELLS - 1 - to_y;
				to_y = old;
				bit[0] = -bit[1];
				bit[1] = old_bit;
			}
			float *to = view->soft + (size_t)(to_y * WATERMARK_CELLS + to_x) * 2;
			to[0] = bit[0];
			to[1] = bit[1];
			sum += bit[0] * bit[0] + bit[1] * bit[1];
		}
	view->scale = (float)sqrt(sum / SLOTS);
}

static float
view_bit(const struct view *view, const struct layout *layout, size_t i, int shift_x, int shift_y)
{
	int cell = layout->slot[i] / 2, x = (cell + shift_x) % WATERMARK_CELLS,
	    y = (cell / WATERMARK_CELLS + shift_y) % WATERMARK_CELLS;
	float soft = view->soft[(size_t)(y * WATERMARK_CELLS + x) * 2 + layout->slot[i] % 2];
	return layout->flip[i] ? -soft : soft;
}

struct candidate {
	float score;
	size_t view, key;
	int x, y;
};

/* Keeps the best, best first. */
static void
keep(struct candidate list[static CANDIDATES_MAX], const struct candidate *one)
{
	size_t at = CANDIDATES_MAX;
	while (at > 0 && list[at - 1].score < one->score)
		at--;
	if (at == CANDIDATES_MAX)
		return;
	memmove(list + at + 1, list + at, (CANDIDATES_MAX - 1 - at) * sizeof *list);
	list[at] = *one;
}

/* A pilot is 0 before its flip. */
static void
search(const struct view *view, const struct layout *layout, struct candidate *one,
	struct candidate list[static CANDIDATES_MAX])
{
	for (one->y = 0; one->y < WATERMARK_CELLS; one->y++)
		for (one->x = 0; one->x < WATERMARK_CELLS; one->x++) {
			float sum = 0;
			for (size_t i = CONVOLUTION_BITS; i < SLOTS; i++)
				sum -= view_bit(view, layout, i, one->x, one->y);
			one->score = sum / view->scale;
			keep(list, one);
		}
}

/* 0, -ERR_MARK_UNREADABLE when its MAC is not this key's, -ERR_CRYPTO. */
static int
try_candidate(const struct candidate *c, const struct view *view,
	const uint8_t key[static MARK_KEY_BYTES], struct mark *ret_mark)
{
	uint8_t data[CONVOLUTION_DATA_BYTES], mac[SHA256_DIGEST_LENGTH];
	float soft[CONVOLUTION_BITS];
	struct layout layout;
	int r = layout_make(key, &layout);
	if (r < 0)
		return r;
	for (size_t i = 0; i < CONVOLUTION_BITS; i++)
		soft[i] = view_bit(view, &layout, i, c->x, c->y);
	convolution_decode(soft, data);
	r = hmac(key, "mac", data, BODY_BYTES, mac);
	if (r == 0 && !mem_equal(mac, data + BODY_BYTES, MAC_BYTES))
		r = -ERR_MARK_UNREADABLE;
	if (r == 0)
		body_take(data, ret_mark);
	mem_wipe(mac, sizeof mac);
	mem_wipe(&layout, sizeof layout);
	return r;
}

int
mark_decode(const struct mark_table *tables, size_t table_count,
	const uint8_t (*keys)[MARK_KEY_BYTES], size_t key_count, struct mark_reading *ret_reading)
{
	struct candidate list[CANDIDATES_MAX];
	struct layout layout;
	size_t views = 0;
	int r = 0;
	struct view *view = mem_array(MARK_TABLES_MAX * TURNS, sizeof *view);
	if (!view)
		return -ENOMEM;
	for (size_t t = 0; t < table_count && t < MARK_TABLES_MAX; t++)
		for (int turn = 0; turn < TURNS; turn++) {
			view_make(&tables[t], turn, &view[views]);
			views += isfinite(view[views].scale) && view[views].scale > 0;
		}
	for (size_t i = 0; i < CANDIDATES_MAX; i++)
		list[i] = (struct candidate){.score = -INFINITY};
	for (size_t k = 0; r == 0 && k < key_count; k++) {
		r = layout_make(keys[k], &layout);
		for (size_t v = 0; r == 0 && v < views; v++)
			search(&view[v], &layout, &(struct candidate){.view = v, .key = k}, list);
	}
	mem_wipe(&layout, sizeof layout);
	if (r == 0)
		r = -ERR_MARK_UNREADABLE;
	for (size_t i = 0; r == -ERR_MARK_UNREADABLE && i < CANDIDATES_MAX; i++)
		if (isfinite(list[i].score)) {
			ret_reading->key = list[i].key;
			r = try_candidate(&list[i], &view[list[i].view], keys[list[i].key],
				&ret_reading->mark);
		}
	free(view);
	return r;
}
