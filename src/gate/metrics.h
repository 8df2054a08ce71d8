/* The gate's numbers as OpenMetrics text (openmetrics.io, 1.0). docs/operations.md has the list. */
#pragma once
#include <stdio.h>

#include "gate/limit.h"

/* segment: read as it stands, while workers write. */
void metrics_write(FILE *out, const struct limit_segment *segment, size_t workers,
	const struct settings *settings);
