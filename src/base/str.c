#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
str_copy(char *out, size_t size, const char *s)
{
	size_t len = strlen(s);
	if (len >= size) {
		out[0] = '\0';
		return -ENAMETOOLONG;
	}
	memcpy(out, s, len + 1);
	return 0;
}

int
str_print(char *out, size_t size, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(out, size, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= size) {
		out[0] = '\0';
		return -ENAMETOOLONG;
	}
	return 0;
}

void
str_hex(char *out, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;
	for (size_t i = 0; i < len; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	*out = '\0';
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
str_unhex(const char *s, void *out, size_t len)
{
	if (strlen(s) != 2 * len)
		return -EINVAL;
	for (size_t i = 0; i < 2 * len; i++)
		if (hex_value(s[i]) < 0)
			return -EINVAL;
	uint8_t *p = out;
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(hex_value(s[2 * i]) << 4 | hex_value(s[2 * i + 1]));
	return 0;
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t
str_base64_size(size_t len)
{
	return (len + 2) / 3 * 4 + 1;
}

void
str_base64(char *out, const void *data, size_t len)
{
	const uint8_t *p = data;
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)p[i] << 16;
		if (n > 1)
			v |= (uint32_t)p[i + 1] << 8;
		if (n > 2)
			v |= p[i + 2];
		*out++ = base64_digits[v >> 18];
		*out++ = base64_digits[v >> 12 & 63];
		*out++ = n > 1 ? base64_digits[v >> 6 & 63] : '=';
		*out++ = n > 2 ? base64_digits[v & 63] : '=';
	}
	*out = '\0';
}

static int
base64_value(char c)
{
	const char *at = c ? strchr(base64_digits, c) : NULL;
	return at ? (int)(at - base64_digits) : -1;
}

int
str_unbase64(const char *s, size_t s_len, void *out, size_t cap, size_t *ret_len)
{
	uint8_t *p = out;
	size_t len = 0;
	if (s_len % 4 != 0)
		return -EINVAL;
	for (size_t i = 0; i < s_len; i += 4) {
		size_t pad = 0;
		if (i + 4 == s_len)
			pad = s[i + 3] != '=' ? 0 : s[i + 2] != '=' ? 1 : 2;
		uint32_t v = 0;
		for (size_t j = 0; j < 4; j++) {
			int d = j >= 4 - pad ? 0 : base64_value(s[i + j]);
			if (d < 0)
				return -EINVAL;
			v = v << 6 | (uint32_t)d;
		}
		size_t n = 3 - pad;
		if (pad && (v & (pad == 1 ? 0xffu : 0xffffu)))
			return -EINVAL;
		if (len + n > cap)
			return -ENOBUFS;
		for (size_t j = 0; j < n; j++)
			p[len++] = (uint8_t)(v >> (16 - 8 * j));
	}
	*ret_len = len;
	return 0;
}

int
str_int(const char *s, int64_t min, int64_t max, int64_t *ret)
{
	char *end;
	if (!*s || (*s != '-' && (*s < '0' || *s > '9')))
		return -EINVAL;
	errno = 0;
	long long v = strtoll(s, &end, 10);
	if (*end || end == s)
		return -EINVAL;
	if (errno || v < min || v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int
str_utf8(const char *s, size_t len)
{
	const uint8_t *p = (const uint8_t *)s;
	for (size_t i = 0; i < len;) {
		size_t n = p[i] < 0x80   ? 1
			   : p[i] < 0xc2 ? 0
			   : p[i] < 0xe0 ? 2
			   : p[i] < 0xf0 ? 3
			   : p[i] < 0xf5 ? 4
					 : 0;
		if (n == 0 || n > len - i || p[i] == 0)
			return 0;
		for (size_t j = 1; j < n; j++)
			if ((p[i + j] & 0xc0) != 0x80)
				return 0;
		if ((p[i] == 0xe0 && p[i + 1] < 0xa0) || (p[i] == 0xed && p[i + 1] > 0x9f) ||
			(p[i] == 0xf0 && p[i + 1] < 0x90) || (p[i] == 0xf4 && p[i + 1] > 0x8f))
			return 0;
		i += n;
	}
	return 1;
}

size_t
str_utf8_next(const char *s, uint32_t *ret_codepoint)
{
	uint8_t first = (uint8_t)s[0];
	size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	uint32_t v = len == 1 ? first : first & (0x7fu >> len);
	for (size_t i = 1; i < len; i++)
		v = v << 6 | ((uint8_t)s[i] & 0x3f);
	*ret_codepoint = v;
	return len;
}

int
str_printable(const char *s)
{
	for (const unsigned char *p = (const unsigned char *)s; *p; p++)
		if (*p < ' ' || *p == 0x7f || (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f))
			return 0;
	return str_utf8(s, strlen(s));
}
