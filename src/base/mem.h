/* Allocation with checked sizes, and wiping. */
#pragma once
#include <stddef.h>

/* count * size zeroed bytes; NULL with errno ENOMEM when the product overflows or memory is out. */
void *mem_array(size_t count, size_t size);

/* Resize to count * size bytes, contents kept; new bytes are not zeroed. NULL leaves p as it was. */
void *mem_resize(void *p, size_t count, size_t size);

/* Zeroed bytes for our own bounded start-up objects: aborts when memory is out. */
void *mem_new(size_t size);

/* Copy of a string, aborts when memory is out; NULL gives NULL. */
char *mem_str(const char *s);

/* Overwrites so that no compiler removes it. NULL is fine. */
void mem_wipe(void *p, size_t size);

/* mem_wipe, then free. */
void mem_wipe_free(void *p, size_t size);

/* Constant-time comparison: 1 when equal. */
int mem_equal(const void *a, const void *b, size_t size);
