/*
 * Cursors over bytes with a sticky error: read or write all fields, look at the error once at the end.
 * Big endian. The only place where lengths are computed.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct rd {
	const uint8_t *p;
	size_t left;
	int failed;
};

struct rd rd_init(const void *data, size_t len);
/* After a failure every getter gives 0 (or NULL) and the cursor stays failed. */
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u24(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
/* Pointer into the data, len bytes, NULL when there are fewer. For len 0 whatever rd_init was given, which may be NULL. */
const uint8_t *rd_bytes(struct rd *r, size_t len);
void rd_copy(struct rd *r, void *out, size_t len);
/* 1 when nothing failed and nothing is left. */
int rd_done(const struct rd *r);

struct wr {
	uint8_t *p;
	size_t left, len;
	int failed;
};

struct wr wr_init(void *out, size_t cap);
void wr_u8(struct wr *w, uint8_t v);
void wr_u16(struct wr *w, uint16_t v);
void wr_u24(struct wr *w, uint32_t v);
void wr_u32(struct wr *w, uint32_t v);
void wr_u64(struct wr *w, uint64_t v);
void wr_bytes(struct wr *w, const void *data, size_t len);
void wr_zero(struct wr *w, size_t len);
