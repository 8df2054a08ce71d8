/* A QR code on a terminal. */
#pragma once
#include <stdio.h>

/* Two rows of modules to a line, in Unicode's half blocks; black on white where out is a terminal.
 * 0, -ENOMEM, -ERR_TOO_LONG. */
int qr_print(const char *text, FILE *out);
