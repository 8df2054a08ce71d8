#include "mark/plane.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	GROUND_RADIUS_PX = 7, /* wider than a dash, narrower than the distance between two */
	EVEN_RADIUS_PX = 24,  /* how far around a pixel the strength is measured */
	LETTER_RADIUS_PX = 2,
	LINE_RADIUS_PX = 20, /* rulers and borders go on for longer than that */
};

static const float CLIP_STEPS = 30;   /* of 255 */
static const float LETTER_STEPS = 42; /* of 255: no dash stands out like that */
static const float CLIP = 3;          /* of what is usual around a pixel */
static const float STANDS_OUT = 1.5F; /* of what is usual around a pixel, of means over a dash */
static const float FLOOR_STEPS = 0.7F;
static const float LINE_STEPS = 2.5F; /* a row of dashes has a mean below that */

int
plane_init(struct plane *plane, int width, int height)
{
	*plane = (struct plane){NULL, width, height};
	plane->at = mem_array((size_t)width * (size_t)height, sizeof *plane->at);
	if (!plane->at)
		return -ENOMEM;
	memset(plane->at, 0, (size_t)width * (size_t)height * sizeof *plane->at);
	return 0;
}

void
plane_fini(struct plane *plane)
{
	free(plane->at);
	*plane = (struct plane){0};
}

float
plane_sample(const struct plane *p, double x, double y)
{
	int left = (int)floor(x), top = (int)floor(y);
	if (left < 0 || top < 0 || left + 1 >= p->width || top + 1 >= p->height)
		return 0;
	const float *a = p->at + (size_t)top * (size_t)p->width + left, *b = a + p->width;
	float fx = (float)(x - left), fy = (float)(y - top);
	return (a[0] * (1 - fx) + a[1] * fx) * (1 - fy) + (b[0] * (1 - fx) + b[1] * fx) * fy;
}

/* ---- taking ---- */

/* From the unit square to the corners: x = (m0 u + m1 v + m2) / (m6 u + m7 v + 1). */
static int
quad_map(const double c[static 8], double m[static 8])
{
	double dx1 = c[2] - c[4], dx2 = c[6] - c[4], sx = c[0] - c[2] + c[4] - c[6];
	double dy1 = c[3] - c[5], dy2 = c[7] - c[5], sy = c[1] - c[3] + c[5] - c[7];
	double det = dx1 * dy2 - dx2 * dy1;
	if (!(fabs(det) > 1))
		return -EINVAL;
	m[6] = (sx * dy2 - dx2 * sy) / det;
	m[7] = (dx1 * sy - sx * dy1) / det;
	m[0] = c[2] - c[0] + m[6] * c[2];
	m[1] = c[6] - c[0] + m[7] * c[6];
	m[2] = c[0];
	m[3] = c[3] - c[1] + m[6] * c[3];
	m[4] = c[7] - c[1] + m[7] * c[7];
	m[5] = c[1];
	return 1 + m[6] > 0.05 && 1 + m[7] > 0.05 && 1 + m[6] + m[7] > 0.05 ? 0 : -EINVAL;
}

static double
distance(const double *c, int a, int b)
{
	return hypot(c[2 * a] - c[2 * b], c[2 * a + 1] - c[2 * b + 1]);
}

/* Mean of the photograph around x, y over a square of size pixels. */
static float
mean_at(const struct photo *photo, double x, double y, double size)
{
	int left = (int)floor(x - size / 2 + 0.5), top = (int)floor(y - size / 2 + 0.5);
	int n = size < 1 ? 1 : (int)(size + 0.5);
	unsigned sum = 0, count = 0;
	for (int row = top < 0 ? 0 : top; row < top + n && row < (int)photo->height; row++)
		for (int col = left < 0 ? 0 : left; col < left + n && col < (int)photo->width;
			col++, count++)
			sum += photo->pixels[(size_t)row * photo->width + (size_t)col];
	return count ? (float)sum / (float)count : 0;
}

/* Between the pixels where there are not more than wanted. */
static float
point_at(const struct photo *photo, double x, double y)
{
	double left = floor(x), top = floor(y);
	float fx = (float)(x - left), fy = (float)(y - top);
	return (mean_at(photo, left, top, 1) * (1 - fx) + mean_at(photo, left + 1, top, 1) * fx) *
		       (1 - fy) +
	       (mean_at(photo, left, top + 1, 1) * (1 - fx) +
		       mean_at(photo, left + 1, top + 1, 1) * fx) *
		       fy;
}

int
plane_take(const struct photo *photo, const double *corners, int side, struct plane *ret_plane)
{
	double w = photo->width, h = photo->height;
	const double all[8] = {-0.5, -0.5, w - 0.5, -0.5, w - 0.5, h - 0.5, -0.5, h - 0.5};
	const double *c = corners ? corners : all;
	double m[8], width = (distance(c, 0, 1) + distance(c, 3, 2)) / 2,
		     height = (distance(c, 0, 3) + distance(c, 1, 2)) / 2;
	for (int i = 0; i < 8; i++)
		if (!isfinite(c[i]) || fabs(c[i]) > 2 * PHOTO_SIDE_MAX_PX)
			return -EINVAL;
	if (quad_map(c, m) < 0 || width < 32 || height < 32)
		return -EINVAL;
	double step = fmax(width, height) / side;
	int r = plane_init(
		ret_plane, (int)fmax(1, round(width / step)), (int)fmax(1, round(height / step)));
	for (int y = 0; r == 0 && y < ret_plane->height; y++)
		for (int x = 0; x < ret_plane->width; x++) {
			double u = (x + 0.5) / ret_plane->width, v = (y + 0.5) / ret_plane->height;
			double d = m[6] * u + m[7] * v + 1, at_x = (m[0] * u + m[1] * v + m[2]) / d,
			       at_y = (m[3] * u + m[4] * v + m[5]) / d;
			ret_plane->at[(size_t)y * (size_t)ret_plane->width + (size_t)x] =
				step > 1.25 ? mean_at(photo, at_x, at_y, step)
					    : point_at(photo, at_x, at_y);
		}
	return r;
}

/* ---- flattening ---- */

/* Running means along count values that lie step apart. */
static void
blur_line(float *at, size_t step, int count, int radius, float *line)
{
	double sum = 0;
	for (int i = 0; i < count; i++)
		line[i] = at[(size_t)i * step];
	for (int i = -radius; i < count; i++) {
		sum += i + radius < count ? line[i + radius] : 0;
		sum -= i - radius - 1 >= 0 ? line[i - radius - 1] : 0;
		int from = i < radius ? 0 : i - radius,
		    to = i + radius < count ? i + radius : count - 1;
		if (i >= 0)
			at[(size_t)i * step] = (float)(sum / (to - from + 1));
	}
}

static int
blur_along(struct plane *plane, int radius, int across, int down)
{
	int longer = plane->width > plane->height ? plane->width : plane->height;
	float *line = mem_array((size_t)longer, sizeof *line);
	if (!line)
		return -ENOMEM;
	for (int y = 0; across && y < plane->height; y++)
		blur_line(plane->at + (size_t)y * (size_t)plane->width, 1, plane->width, radius,
			line);
	for (int x = 0; down && x < plane->width; x++)
		blur_line(plane->at + x, (size_t)plane->width, plane->height, radius, line);
	free(line);
	return 0;
}

int
plane_blur(struct plane *plane, int radius)
{
	return blur_along(plane, radius, 1, 1);
}

int
plane_shrink(const struct plane *plane, int factor, struct plane *ret_plane)
{
	if (plane->width < factor || plane->height < factor)
		return -EINVAL;
	int r = plane_init(ret_plane, plane->width / factor, plane->height / factor);
	for (int y = 0; r == 0 && y < ret_plane->height * factor; y++) {
		const float *from = plane->at + (size_t)y * (size_t)plane->width;
		float *to = ret_plane->at + (size_t)(y / factor) * (size_t)ret_plane->width;
		for (int x = 0; x < ret_plane->width * factor; x++)
			to[x / factor] += from[x] / (float)(factor * factor);
	}
	return r;
}

static float
clipped(float v, float limit)
{
	return v > limit ? limit : v < -limit ? -limit : v;
}

/* Letters and borders, and what is next to them, tell nothing. */
static int
remove_letters(struct plane *plane)
{
	struct plane letters = {0};
	size_t count = (size_t)plane->width * (size_t)plane->height;
	int r = plane_init(&letters, plane->width, plane->height);
	for (size_t i = 0; r == 0 && i < count; i++)
		letters.at[i] = fabsf(plane->at[i]) > LETTER_STEPS;
	if (r == 0)
		r = plane_blur(&letters, LETTER_RADIUS_PX);
	for (size_t i = 0; r == 0 && i < count; i++)
		plane->at[i] = letters.at[i] > 0.001F ? 0 : clipped(plane->at[i], CLIP_STEPS);
	plane_fini(&letters);
	return r;
}

/* Takes lines away: what goes on to the right and left, or up and down. */
static int
remove_lines(struct plane *plane)
{
	size_t bytes = (size_t)plane->width * (size_t)plane->height * sizeof *plane->at;
	struct plane line = {0};
	int r = plane_init(&line, plane->width, plane->height);
	for (int down = 0; r == 0 && down < 2; down++) {
		memcpy(line.at, plane->at, bytes);
		r = blur_along(&line, LINE_RADIUS_PX, !down, down);
		for (size_t i = 0; r == 0 && i < bytes / sizeof *plane->at; i++)
			plane->at[i] -= line.at[i] - clipped(line.at[i], LINE_STEPS);
	}
	plane_fini(&line);
	return r;
}

/* The middle value of the squares around the pixels of one row, by a histogram that goes along. */
static void
median_row(const struct plane *p, int y, float *out)
{
	enum {
		RADIUS = GROUND_RADIUS_PX
	};
	int count[256] = {0}, below = 0, total = 0, middle = 0;
	int top = y < RADIUS ? 0 : y - RADIUS,
	    bottom = y + RADIUS < p->height ? y + RADIUS : p->height - 1;
	for (int x = -RADIUS; x < p->width; x++) {
		for (int row = top; row <= bottom; row++) {
			const float *line = p->at + (size_t)row * (size_t)p->width;
			if (x + RADIUS < p->width) {
				int v = (int)line[x + RADIUS] & 255;
				count[v]++;
				below += v < middle;
				total++;
			}
			if (x - RADIUS - 1 >= 0) {
				int v = (int)line[x - RADIUS - 1] & 255;
				count[v]--;
				below -= v < middle;
				total--;
			}
		}
		while (middle > 0 && below > total / 2)
			below -= count[--middle];
		while (middle < 255 && below + count[middle] <= total / 2)
			below += count[middle++];
		if (x >= 0) /* the middle of its step, shared by those that are in it */
			out[x] = (float)middle +
				 ((float)(total / 2 - below) + 0.5F) / (float)(count[middle] + 1);
	}
}

int
plane_flatten(const struct plane *plane, struct plane *ret_plane)
{
	struct plane energy = {0};
	size_t count = (size_t)plane->width * (size_t)plane->height;
	int r = plane_init(ret_plane, plane->width, plane->height);
	if (r == 0)
		r = plane_init(&energy, plane->width, plane->height);
	for (int y = 0; r == 0 && y < plane->height; y++)
		median_row(plane, y, ret_plane->at + (size_t)y * (size_t)plane->width);
	for (size_t i = 0; r == 0 && i < count; i++)
		ret_plane->at[i] = plane->at[i] - ret_plane->at[i];
	if (r == 0)
		r = remove_letters(ret_plane);
	if (r == 0)
		r = remove_lines(ret_plane);
	for (size_t i = 0; r == 0 && i < count; i++)
		energy.at[i] = ret_plane->at[i] * ret_plane->at[i];
	if (r == 0)
		r = plane_blur(&energy, EVEN_RADIUS_PX);
	for (size_t i = 0; r == 0 && i < count; i++)
		ret_plane->at[i] = clipped(
			ret_plane->at[i] / (sqrtf(fmaxf(0, energy.at[i])) + FLOOR_STEPS), CLIP);
	plane_fini(&energy);
	return r;
}

int
plane_rectify(struct plane *flat)
{
	size_t count = (size_t)flat->width * (size_t)flat->height;
	struct plane usual = {0};
	int r = plane_init(&usual, flat->width, flat->height);
	for (size_t i = 0; r == 0 && i < count; i++)
		usual.at[i] = flat->at[i] = fabsf(flat->at[i]);
	if (r == 0)
		r = plane_blur(&usual, EVEN_RADIUS_PX);
	for (size_t i = 0; r == 0 && i < count; i++)
		flat->at[i] -= usual.at[i];
	plane_fini(&usual);
	return r;
}

int
plane_dashes(const struct plane *flat, struct plane *ret_plane)
{
	size_t count = (size_t)flat->width * (size_t)flat->height;
	struct plane energy = {0};
	int r = plane_init(ret_plane, flat->width, flat->height);
	if (r == 0)
		r = plane_init(&energy, flat->width, flat->height);
	if (r == 0) {
		memcpy(ret_plane->at, flat->at, count * sizeof *flat->at);
		r = plane_blur(ret_plane, 1);
	}
	for (size_t i = 0; r == 0 && i < count; i++)
		energy.at[i] = ret_plane->at[i] * ret_plane->at[i];
	if (r == 0)
		r = plane_blur(&energy, 2 * EVEN_RADIUS_PX);
	for (size_t i = 0; r == 0 && i < count; i++) {
		float v = clipped(ret_plane->at[i] / (sqrtf(fmaxf(0, energy.at[i])) + 0.05F),
			CLIP + STANDS_OUT);
		ret_plane->at[i] = v - clipped(v, STANDS_OUT);
	}
	plane_fini(&energy);
	return r;
}
