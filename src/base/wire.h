/*
 * Cursors over bytes with a sticky error: read or write all fields, look at the error once at the
 * end. Big endian. The only place where lengths are computed.
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
/* Pointer into the data, len bytes, NULL when there are fewer. For len 0 whatever rd_init was
 * given, which may be NULL. */
const uint8_t *rd_bytes(struct rd *r, size_t len);
void rd_copy(struct rd *r, void *out, size_t len);
/* len:u16, then the text: into out with a NUL behind it. One that is too long, or has a NUL, fails.
 */
void rd_text(struct rd *r, char *out, size_t size);
/* The same, fit for one line of a log or a mail: str_printable, or it fails. */
void rd_line(struct rd *r, char *out, size_t size);
/* len:u16, then the bytes; how many there are. More than size fail. */
size_t rd_data(struct rd *r, void *out, size_t size);
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
/* As rd_text and rd_data read them. */
void wr_text(struct wr *w, const char *text);
void wr_data(struct wr *w, const void *data, size_t len);
