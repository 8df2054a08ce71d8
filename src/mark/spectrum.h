/* Where the pattern could be: how strongly a part of a picture repeats, by direction and distance.
 */
#pragma once
#include "mark/plane.h"

enum {
	SPECTRUM_PX = 512,   /* side of the part */
	SPECTRUM_REACH = 44, /* frequencies kept: -REACH to REACH cycles in SPECTRUM_PX */
	SPECTRUM_ROW = 2 * SPECTRUM_REACH + 1,
};

/* Power by frequency, [(y + REACH) * ROW + x + REACH], 1 = usual for this distance from the middle.
 */
struct spectrum {
	float power[SPECTRUM_ROW * SPECTRUM_ROW];
};

/* Of the part with its middle at x, y; what lies outside of the plane counts as 0. 0 or -ENOMEM. */
int spectrum_make(const struct plane *plane, int x, int y, struct spectrum *ret_spectrum);

/* The strongest within a frequency and a half of fx, fy; 0 outside. */
float spectrum_near(const struct spectrum *spectrum, double fx, double fy);

/* Frequencies that stand out, strongest first, each once (not its negative); between the bins. */
struct peak {
	double x, y;
	float power;
};
size_t spectrum_peaks(const struct spectrum *spectrum, struct peak *ret_peaks, size_t cap);
