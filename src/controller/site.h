/*
 * The files of the web client, read whole before the process loses the file system. A request finds
 * a file by the exact name it was read under: there is no path to walk, so there is none to leave.
 */
#pragma once
#include <stddef.h>

struct site;

struct site_file {
	const char *path; /* "/assets/index-1a2b.js" */
	const char *type; /* media type */
	const char *etag; /* with its quotes */
	const void *data;
	size_t len;
	int immutable; /* its name changes with its content */
};

/* 0, -errno, -EFBIG over 64 MiB or 4,096 files. Links, dot files and unknown types are left out. */
int site_load(const char *directory, struct site **ret_site);
void site_free(struct site *site);
/* "/" is "/index.html". NULL when there is none. */
const struct site_file *site_find(const struct site *site, const char *path);
size_t site_count(const struct site *site);
