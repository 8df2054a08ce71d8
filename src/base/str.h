/* Text helpers that the C library lacks or has only in unsafe form. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Copies with a terminator. 0, or -ENAMETOOLONG with out empty. */
int str_copy(char *out, size_t size, const char *s);

/* snprintf that fails instead of truncating: 0 or -ENAMETOOLONG. */
int str_print(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* out needs 2 * len + 1 bytes. */
void str_hex(char *out, const void *data, size_t len);
/* Exactly 2 * len hex digits. 0 or -EINVAL. */
int str_unhex(const char *s, void *out, size_t len);

/* Bytes of base64 text for len bytes, with its terminator. */
size_t str_base64_size(size_t len);
void str_base64(char *out, const void *data, size_t len);
/* Standard alphabet, padding required. 0 and *ret_len, -EINVAL, or -ENOBUFS over cap. */
int str_unbase64(const char *s, size_t s_len, void *out, size_t cap, size_t *ret_len);

/* Whole string, decimal, within [min, max]. 0, -EINVAL or -ERANGE. */
int str_int(const char *s, int64_t min, int64_t max, int64_t *ret);

/* 1 when well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms) without NUL. */
int str_utf8(const char *s, size_t len);

/* First character of well-formed UTF-8 that is not empty. Returns its length in bytes. */
size_t str_utf8_next(const char *s, uint32_t *ret_codepoint);

/* 1 when it is UTF-8 without control characters (C0, DEL, C1): fit for one line of a file or a mail header. */
int str_printable(const char *s);
