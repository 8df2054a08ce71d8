/*
 * Reading the watermark off a photograph of a screen. The photograph is foreign: it is decoded and
 * measured in a child without rights, which sees no key and gives back numbers only.
 */
#pragma once
#include "mark/code.h"
#include "mark/photo.h"

enum {
	READ_ATTEMPTS = 5 /* likeliest first; each takes some seconds */
};

/* What can be said of the cells, understood in up to MARK_TABLES_MAX ways. corners: x, y of the
 * screen's upper left, upper right, lower right and lower left corner; NULL = not known. In this
 * process; pure. attempt: below READ_ATTEMPTS, a different way each. Returns how many tables, 0
 * when there is no pattern, or a failure as photo_decode has them, -EINVAL (corners). */
int read_tables(const uint8_t *file, size_t len, const double *corners, int attempt,
	struct mark_table ret_tables[static MARK_TABLES_MAX]);

/* The same in a child without rights, of a file that is open: start it before there is anything
 * secret in this process. user: whom the child becomes when this is root. corners as above. */
struct reader {
	int pid, socket;
};

/* 0, -ERR_PHOTO_KIND (not a file), -ERR_PHOTO_LARGE, -errno. */
int reader_start(int fd, const char *user, const double *corners, struct reader *ret_reader);
/* The next attempt's tables. How many (0: nothing is seen this way), 1 in *ret_over when there is
 * no other way left; a failure as read_tables has them; -ERR_MARK_READER when the child has died.
 */
int reader_next(
	struct reader *reader, struct mark_table ret_tables[static MARK_TABLES_MAX], int *ret_over);
void reader_end(struct reader *reader);
