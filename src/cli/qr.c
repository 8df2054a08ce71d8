#include "cli/qr.h"

#include <errno.h>
#include <qrencode.h>
#include <unistd.h>

#include "base/err.h"

enum {
	QUIET = 4 /* modules of margin, as ISO/IEC 18004 asks */
};

static int
is_dark(const QRcode *code, int x, int y)
{
	return x >= 0 && y >= 0 && x < code->width && y < code->width &&
	       (code->data[y * code->width + x] & 1);
}

int
qr_print(const char *text, FILE *out)
{
	static const char *const blocks[] = {" ", "▀", "▄", "█"};
	int colour = isatty(fileno(out));
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
	if (!code)
		return errno == ENOMEM ? -ENOMEM : -ERR_TOO_LONG;
	for (int y = -QUIET; y < code->width + QUIET; y += 2) {
		fputs(colour ? "\033[30;107m" : "", out);
		for (int x = -QUIET; x < code->width + QUIET; x++)
			fputs(blocks[is_dark(code, x, y) | is_dark(code, x, y + 1) << 1], out);
		fputs(colour ? "\033[0m\n" : "\n", out);
	}
	QRcode_free(code);
	return 0;
}
