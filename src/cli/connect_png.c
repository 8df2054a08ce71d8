#include "cli/connect_png.h"

#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/mem.h"

/* libpng wants its rows without the fourth byte: what is there is not transparency. */
static uint8_t *
rows(const struct image *image)
{
	uint8_t *bytes = mem_array((size_t)image->width * 3, image->height), *p = bytes;
	for (size_t y = 0; bytes && y < image->height; y++)
		for (size_t x = 0; x < image->width; x++, p += 3)
			memcpy(p, image_at(image, x, y), 3);
	return bytes;
}

int
png_save(const struct image *image, const char *path)
{
	png_image png = {.version = PNG_IMAGE_VERSION,
		.width = image->width,
		.height = image->height,
		.format = PNG_FORMAT_BGR};
	png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
	uint8_t *bytes = rows(image), *file = bytes ? malloc(size) : NULL;
	int r = -ENOMEM;
	if (file)
		r = png_image_write_to_memory(&png, file, &size, 0, bytes, 0, NULL)
			    ? conf_write_file(path, file, size, 0600)
			    : -EIO;
	png_image_free(&png);
	free(bytes);
	free(file);
	return r;
}
