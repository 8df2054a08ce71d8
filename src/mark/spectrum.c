#include "mark/spectrum.h"

#include <complex.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	PX = SPECTRUM_PX,
	REACH = SPECTRUM_REACH,
	ROW = SPECTRUM_ROW,
	MIN_FREQUENCY = 4,
};

static const float CAP = 40;
static const float PEAK = 4;

/* As *, without its care for infinities. */
static inline float complex
times(float complex a, float complex b)
{
	const float parts[2] = {crealf(a) * crealf(b) - cimagf(a) * cimagf(b),
		crealf(a) * cimagf(b) + cimagf(a) * crealf(b)};
	float complex product;
	memcpy(&product, parts, sizeof product);
	return product;
}

/* In place, PX values. roots: e^(-2 pi i k / PX) for the first half. */
static void
transform(float complex *at, const float complex *roots)
{
	for (unsigned i = 1, j = 0; i < PX; i++) {
		unsigned bit = PX >> 1;
		for (; j & bit; bit >>= 1)
			j ^= bit;
		j ^= bit;
		if (i < j) {
			float complex kept = at[i];
			at[i] = at[j];
			at[j] = kept;
		}
	}
	for (unsigned len = 2; len <= PX; len *= 2)
		for (unsigned first = 0; first < PX; first += len)
			for (unsigned k = 0; k < len / 2; k++) {
				float complex a = at[first + k], b = times(at[first + k + len / 2],
									 roots[k * (PX / len)]);
				at[first + k] = a + b;
				at[first + k + len / 2] = a - b;
			}
}

/* The usual power at each distance from the middle, over three bins of distance. */
static void
whiten(struct spectrum *s)
{
	enum {
		BINS = 2 * REACH
	};
	double sum[BINS] = {0}, count[BINS] = {0};
	for (int y = -REACH; y <= REACH; y++)
		for (int x = -REACH; x <= REACH; x++) {
			int bin = (int)(hypot(x, y) + 0.5);
			/* one line that stands out must not make its ring look strong */
			sum[bin] += sqrt(s->power[(y + REACH) * ROW + x + REACH]);
			count[bin]++;
		}
	for (int y = -REACH; y <= REACH; y++)
		for (int x = -REACH; x <= REACH; x++) {
			int bin = (int)(hypot(x, y) + 0.5), low = bin > 0 ? bin - 1 : 0,
			    high = bin + 1 < BINS ? bin + 1 : bin;
			double amount = count[low] + count[bin] + count[high];
			double mean = (sum[low] + sum[bin] + sum[high]) / amount;
			float *power = &s->power[(y + REACH) * ROW + x + REACH];
			/* the mean of roots of powers of noise is pi / 4 of their mean, squared */
			*power = fminf(CAP, (float)(*power / (mean * mean * 1.27 + 1e-12)));
		}
}

int
spectrum_make(const struct plane *plane, int x, int y, struct spectrum *ret_spectrum)
{
	float complex *rows = mem_array((size_t)PX * (REACH + 1), sizeof *rows), line[PX],
		      roots[PX / 2];
	float window[PX];
	if (!rows)
		return -ENOMEM;
	for (int i = 0; i < PX / 2; i++)
		roots[i] = cexpf(-2 * (float)M_PI * I * (float)i / PX);
	for (int i = 0; i < PX; i++)
		window[i] = 0.5F - 0.5F * cosf(2 * (float)M_PI * ((float)i + 0.5F) / PX);
	for (int row = 0; row < PX; row++) {
		int from = y - PX / 2 + row, left = x - PX / 2;
		for (int i = 0; i < PX; i++)
			line[i] = from < 0 || from >= plane->height || left + i < 0 ||
						  left + i >= plane->width
					  ? 0
					  : plane->at[(size_t)from * (size_t)plane->width +
						      (size_t)(left + i)] *
						    window[i] * window[row];
		transform(line, roots);
		for (int f = 0; f <= REACH; f++)
			rows[(size_t)f * PX + (size_t)row] = line[f];
	}
	for (int fx = 0; fx <= REACH; fx++) {
		float complex *column = rows + (size_t)fx * PX;
		transform(column, roots);
		for (int fy = -REACH; fy <= REACH; fy++) {
			float complex v = column[fy < 0 ? fy + PX : fy];
			float power = crealf(v) * crealf(v) + cimagf(v) * cimagf(v);
			ret_spectrum->power[(fy + REACH) * ROW + fx + REACH] = power;
			ret_spectrum->power[(-fy + REACH) * ROW - fx + REACH] = power;
		}
	}
	free(rows);
	whiten(ret_spectrum);
	return 0;
}

static float
power_at(const struct spectrum *s, int x, int y)
{
	return abs(x) <= REACH && abs(y) <= REACH ? s->power[(y + REACH) * ROW + x + REACH] : 0;
}

float
spectrum_near(const struct spectrum *spectrum, double fx, double fy)
{
	float best = 0;
	int x = (int)lround(fx), y = (int)lround(fy);
	for (int dy = -1; dy <= 1; dy++)
		for (int dx = -1; dx <= 1; dx++)
			best = fmaxf(best, power_at(spectrum, x + dx, y + dy));
	return best;
}

/* Where a peak of three neighbouring powers lies, from the middle one. */
static double
between(float before, float at, float after)
{
	double a = log(before + 1e-3), b = log(at + 1e-3), c = log(after + 1e-3),
	       bend = a - 2 * b + c;
	double shift = bend < -1e-6 ? (a - c) / (2 * bend) : 0;
	return shift > 0.5 ? 0.5 : shift < -0.5 ? -0.5 : shift;
}

static int
is_peak(const struct spectrum *s, int x, int y)
{
	float here = power_at(s, x, y);
	for (int dy = -1; dy <= 1; dy++)
		for (int dx = -1; dx <= 1; dx++)
			if (power_at(s, x + dx, y + dy) > here)
				return 0;
	return here >= PEAK && x * x + y * y >= MIN_FREQUENCY * MIN_FREQUENCY;
}

size_t
spectrum_peaks(const struct spectrum *s, struct peak *ret_peaks, size_t cap)
{
	size_t count = 0;
	for (int y = 0; y < REACH; y++)
		for (int x = y == 0 ? 1 : 1 - REACH; x < REACH; x++) {
			if (!is_peak(s, x, y))
				continue;
			struct peak peak = {x + between(power_at(s, x - 1, y), power_at(s, x, y),
							power_at(s, x + 1, y)),
				y + between(power_at(s, x, y - 1), power_at(s, x, y),
					    power_at(s, x, y + 1)),
				power_at(s, x, y)};
			size_t at = count < cap ? count++ : cap;
			for (; at > 0 && ret_peaks[at - 1].power < peak.power; at--)
				if (at < cap)
					ret_peaks[at] = ret_peaks[at - 1];
			if (at < cap)
				ret_peaks[at] = peak;
		}
	return count;
}
