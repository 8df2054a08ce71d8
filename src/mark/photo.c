#include "mark/photo.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

#include "base/err.h"
#include "base/mem.h"

enum {
	SCANS_MAX = 64, /* of a progressive JPEG: each costs as much as the whole picture */
};

static int
begin(struct photo *photo, uint32_t width, uint32_t height)
{
	if (width == 0 || height == 0)
		return -ERR_PHOTO_KIND;
	if (width > PHOTO_SIDE_MAX_PX || height > PHOTO_SIDE_MAX_PX ||
		(uint64_t)width * height > PHOTO_MAX_PX)
		return -ERR_PHOTO_LARGE;
	*photo = (struct photo){mem_array(width, height), width, height};
	return photo->pixels ? 0 : -ENOMEM;
}

void
photo_fini(struct photo *photo)
{
	free(photo->pixels);
	*photo = (struct photo){0};
}

static int
decode_png(const uint8_t *file, size_t len, struct photo *photo)
{
	png_image png = {.version = PNG_IMAGE_VERSION};
	if (!png_image_begin_read_from_memory(&png, file, len))
		return -ERR_PHOTO_KIND;
	int r = begin(photo, png.width, png.height);
	/* what is transparent shows white */
	png_color white = {255, 255, 255};
	png.format = PNG_FORMAT_GRAY;
	if (r == 0 && !png_image_finish_read(&png, &white, photo->pixels, 0, NULL))
		r = -ERR_PHOTO_KIND;
	png_image_free(&png);
	return r;
}

struct jpeg {
	struct jpeg_decompress_struct state;
	struct jpeg_error_mgr errors;
	struct jpeg_progress_mgr progress;
	jmp_buf failed;
};

static void
on_jpeg_error(j_common_ptr state)
{
	longjmp(((struct jpeg *)state->client_data)->failed, 1);
}

static void
on_jpeg_message(j_common_ptr state)
{
	(void)state;
}

static void
on_jpeg_progress(j_common_ptr state)
{
	struct jpeg *jpeg = state->client_data;
	if (jpeg->state.input_scan_number > SCANS_MAX)
		on_jpeg_error(state);
}

/* Between setjmp and its return only what state and photo point to changes. */
static int
decode_jpeg(const uint8_t *file, size_t len, struct photo *photo)
{
	struct jpeg jpeg = {0};
	jpeg.state.err = jpeg_std_error(&jpeg.errors);
	jpeg.errors.error_exit = on_jpeg_error;
	jpeg.errors.output_message = on_jpeg_message;
	jpeg.state.client_data = &jpeg;
	if (setjmp(jpeg.failed)) {
		jpeg_destroy_decompress(&jpeg.state);
		return -ERR_PHOTO_KIND;
	}
	jpeg_create_decompress(&jpeg.state);
	jpeg.progress.progress_monitor = on_jpeg_progress;
	jpeg.state.progress = &jpeg.progress;
	jpeg.state.mem->max_memory_to_use = 4L * PHOTO_MAX_PX;
	jpeg_mem_src(&jpeg.state, file, len);
	jpeg_read_header(&jpeg.state, TRUE);
	jpeg.state.out_color_space = JCS_GRAYSCALE;
	int r = begin(photo, jpeg.state.image_width, jpeg.state.image_height);
	if (r == 0) {
		jpeg_start_decompress(&jpeg.state);
		while (jpeg.state.output_scanline < jpeg.state.output_height) {
			JSAMPROW row =
				photo->pixels + (size_t)jpeg.state.output_scanline * photo->width;
			jpeg_read_scanlines(&jpeg.state, &row, 1);
		}
	}
	jpeg_destroy_decompress(&jpeg.state);
	return r;
}

int
photo_decode(const uint8_t *file, size_t len, struct photo *ret_photo)
{
	struct photo photo = {0};
	int r = len > 8 && png_sig_cmp(file, 0, 8) == 0         ? decode_png(file, len, &photo)
		: len > 3 && file[0] == 0xff && file[1] == 0xd8 ? decode_jpeg(file, len, &photo)
								: -ERR_PHOTO_KIND;
	if (r < 0)
		photo_fini(&photo);
	else
		*ret_photo = photo;
	return r;
}
