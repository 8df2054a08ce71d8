#include "agent/xauthority.h"

#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "base/wire.h"

static int
field_is(const uint8_t *p, size_t len, const char *s)
{
	return p && len == strlen(s) && memcmp(p, s, len) == 0;
}

/* family, address, number, name, data: each with a 16-bit length */
int
xauthority_find(
	const void *file, size_t file_len, const char *number, struct display_auth *ret_auth)
{
	enum {
		FAMILY_LOCAL = 256,
		FAMILY_WILD = 65535
	};
	static const char kind[] = "MIT-MAGIC-COOKIE-1";
	struct rd r = rd_init(file, file_len);
	while (!r.failed && r.left > 0) {
		unsigned family = rd_u16(&r);
		size_t address_len = rd_u16(&r);
		rd_bytes(&r, address_len);
		size_t number_len = rd_u16(&r);
		const uint8_t *of = rd_bytes(&r, number_len);
		size_t name_len = rd_u16(&r);
		const uint8_t *name = rd_bytes(&r, name_len);
		size_t len = rd_u16(&r);
		const uint8_t *data = rd_bytes(&r, len);
		if (r.failed || (family != FAMILY_LOCAL && family != FAMILY_WILD) ||
			!field_is(name, name_len, kind) ||
			(number_len > 0 && !field_is(of, number_len, number)) ||
			len > sizeof ret_auth->data)
			continue;
		str_copy(ret_auth->name, sizeof ret_auth->name, kind);
		memcpy(ret_auth->data, data, len);
		ret_auth->data_len = len;
		return 0;
	}
	return -ERR_NOT_FOUND;
}
