/* CBOR (RFC 8949), as much as these commands have of it, for authenticator.h. */
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline uint64_t
cbor_head(const uint8_t **p, unsigned *ret_major)
{
	uint8_t first = *(*p)++;
	uint64_t value = first & 31;
	*ret_major = first >> 5;
	for (unsigned n = value < 24 ? 0 : 1u << (value - 24), i = 0; i < n; i++)
		value = (i ? value << 8 : 0) | *(*p)++;
	return value;
}

static inline void
cbor_skip(const uint8_t **p)
{
	unsigned major;
	uint64_t n = cbor_head(p, &major);
	if (major == 2 || major == 3)
		*p += n;
	if (major == 4 || major == 5)
		for (uint64_t i = 0; i < n * (major - 3); i++)
			cbor_skip(p);
}

/* The value of a key in a map; NULL. text NULL: the number. */
static inline const uint8_t *
cbor_find(const uint8_t *map, int64_t number, const char *text)
{
	unsigned major;
	uint64_t n = cbor_head(&map, &major);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t key = cbor_head(&map, &major);
		int is = text ? major == 3 && key == strlen(text) && memcmp(map, text, key) == 0
			      : (major == 0 && (int64_t)key == number) ||
					 (major == 1 && -1 - (int64_t)key == number);
		if (major == 3)
			map += key;
		if (is)
			return map;
		cbor_skip(&map);
	}
	return NULL;
}

static inline size_t
cbor_take(const uint8_t *p, void *out, size_t cap)
{
	unsigned major;
	uint64_t n = cbor_head(&p, &major);
	if (n > cap)
		abort();
	memcpy(out, p, n);
	return n;
}

struct cbor {
	uint8_t *p;
};

static inline void
put_head(struct cbor *c, unsigned major, size_t n)
{
	if (n < 24) {
		*c->p++ = (uint8_t)(major << 5 | n);
	} else {
		*c->p++ = (uint8_t)(major << 5 | 25);
		*c->p++ = (uint8_t)(n >> 8);
		*c->p++ = (uint8_t)n;
	}
}

static inline void
put_string(struct cbor *c, unsigned major, const void *data, size_t len)
{
	/* one byte of length where it is enough: the shortest form */
	if (len >= 24 && len < 256) {
		*c->p++ = (uint8_t)(major << 5 | 24);
		*c->p++ = (uint8_t)len;
	} else {
		put_head(c, major, len);
	}
	memcpy(c->p, data, len);
	c->p += len;
}

static inline void
put_name(struct cbor *c, const char *name)
{
	put_string(c, 3, name, strlen(name));
}
