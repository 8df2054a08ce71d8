/*
 * What the office PC's screen looks like with the watermark on it, by the desktop's own code.
 * Usage: mark_screen WIDTH HEIGHT LINE… < B G R X pixels > the same, marked
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "desktop/mark.h"
#include "screen/image.h"

static void
need(int good, const char *what)
{
	if (!good) {
		fprintf(stderr, "mark_screen: %s\n", what);
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	struct image image = {0};
	struct watermark *watermark;
	int64_t width = 0, height = 0;
	need(argc > 3 && str_int(argv[1], 1, IMAGE_SIDE_MAX_PX, &width) == 0 &&
			str_int(argv[2], 1, IMAGE_SIDE_MAX_PX, &height) == 0,
		"WIDTH HEIGHT LINE...");
	need(image_init(&image, (uint32_t)width, (uint32_t)height) == 0, "image_init");
	size_t len = image.stride * image.height;
	need(fread(image.bytes, 1, len, stdin) == len, "short input");
	need(mark_draw((const char *const *)argv + 3, (size_t)(argc - 3), &watermark) == 0,
		"mark_draw");
	watermark_apply(watermark, &image, 0, 0);
	need(fwrite(image.bytes, 1, len, stdout) == len, "write");
	watermark_free(watermark);
	image_fini(&image);
	return 0;
}
