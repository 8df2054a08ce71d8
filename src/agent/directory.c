#include "agent/directory.h"

#include <errno.h>
#include <string.h>

#include "base/wire.h"

/* A byte as itself where no language has a meaning for it, else in hexadecimal, which both know:
 * "\2a". */
static void
put_name(struct wr *w, const char *name)
{
	static const char digits[] = "0123456789abcdef";
	for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
		int plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			    (*p >= '0' && *p <= '9') || *p == '.' || *p == '-' || *p == '_' ||
			    *p == '@';
		if (plain) {
			wr_u8(w, *p);
			continue;
		}
		wr_u8(w, '\\');
		wr_u8(w, (uint8_t)digits[*p >> 4]);
		wr_u8(w, (uint8_t)digits[*p & 15]);
	}
}

int
directory_fill(char *out, size_t size, const char *template, const char *name, int escaped)
{
	struct wr w = wr_init(out, size);
	for (; *template; template ++) {
		if (template[0] != '%' || template[1] != 's') {
			wr_u8(&w, (uint8_t) * template);
			continue;
		}
		if (escaped)
			put_name(&w, name);
		else
			wr_bytes(&w, name, strlen(name));
		template ++;
	}
	wr_u8(&w, 0);
	if (w.failed && size)
		out[0] = '\0';
	return w.failed ? -ENAMETOOLONG : 0;
}
