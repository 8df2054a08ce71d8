/* A Posture as a hostile client sends it: what is taken survives the way to the monitor, and is
 * judged. */
#include "agent/message.h"
#include "base/err.h"
#include "fuzz.h"
#include "net/frame.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[MESSAGE_MAX_BYTES];
	struct report report, again;
	struct findings findings;
	struct limits limits;
	engawa_Posture msg;
	if (frame_decode(engawa_Posture_fields, &msg, data, size) < 0 ||
		report_take(&msg, &report) < 0)
		return 0;
	assert(report_get(out, report_put(&report, out), &again) == 0);
	assert(again.antivirus_count == report.antivirus_count && strcmp(again.os, report.os) == 0);
	limits_init(&limits);
	judge_report(&again, &limits, 1800000000, &findings);
	for (size_t i = 0; i < findings.count; i++)
		assert(err_find((int)findings.codes[i]));
	limits_fini(&limits);
	return 0;
}
