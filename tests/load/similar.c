#include "similar.h"

enum {
	BLOCK = 8,
	STEP = 4,
};

static int
luma(const uint8_t *p)
{
	return (66 * p[2] + 129 * p[1] + 25 * p[0] + 128) >> 8;
}

/* One block; -1 when nothing of it counts. */
static double
block(const struct image *a, const struct image *b, size_t x, size_t y, const uint8_t *mask)
{
	const double c1 = 6.5025, c2 = 58.5225; /* (0.01 * 255)^2, (0.03 * 255)^2 */
	double n = 0, sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
	for (size_t i = 0; i < BLOCK; i++)
		for (size_t k = 0; k < BLOCK; k++) {
			if (mask && mask[(y + i) * a->width + x + k])
				continue;
			double u = luma(image_at(a, x + k, y + i)),
			       v = luma(image_at(b, x + k, y + i));
			n++;
			sa += u;
			sb += v;
			saa += u * u;
			sbb += v * v;
			sab += u * v;
		}
	if (n < BLOCK * BLOCK / 2)
		return -1;
	double ma = sa / n, mb = sb / n, va = saa / n - ma * ma, vb = sbb / n - mb * mb,
	       cov = sab / n - ma * mb;
	return (2 * ma * mb + c1) * (2 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
}

double
similar(const struct image *a, const struct image *b, struct rect at, const uint8_t *mask)
{
	double sum = 0, n = 0;
	for (size_t y = at.y; y + BLOCK <= (size_t)at.y + at.h; y += STEP)
		for (size_t x = at.x; x + BLOCK <= (size_t)at.x + at.w; x += STEP) {
			double s = block(a, b, x, y, mask);
			if (s >= -0.999) {
				sum += s;
				n++;
			}
		}
	return n > 0 ? sum / n : 1;
}
