/* The verdict on a report: pure, the same at the office PC and in `engawa check` at home. */
#pragma once
#include "inspect/limits.h"
#include "inspect/report.h"

enum {
	FINDINGS_MAX = 16
};

/* Codes of err.def, each at most once; none = passed. */
struct findings {
	size_t count;
	uint32_t codes[FINDINGS_MAX];
};

/* now_s by the clock of the one who judges. Dates in the future are a contradiction: that finding
 * stands alone, for nothing else in the report is worth anything then. */
void judge_report(const struct report *report, const struct limits *limits, uint64_t now_s,
	struct findings *ret_findings);

void findings_add(struct findings *findings, uint32_t code);
/* What to refuse with: the one finding, ERR_INSPECTION for several. 0 for none. */
uint32_t findings_code(const struct findings *findings);
/* "326,1165" for logs: numbers of ours, nothing of the client's. */
enum {
	FINDINGS_TEXT_SIZE = FINDINGS_MAX * 6
};
void findings_text(const struct findings *findings, char out[static FINDINGS_TEXT_SIZE]);

/* Until when the system is supported: 0 when nobody knows. */
uint64_t judge_os_end_s(const struct report *report, const struct limits *limits);
