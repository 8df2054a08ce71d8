#include "gate/limit.h"

#include "base/err.h"

static void
add_reason(struct tally_reason *reasons, uint64_t code, uint64_t count)
{
	size_t last = TALLY_CODES - 1, i = 0;
	/* code + 1: 0 is a row that is free */
	while (i < last && tally_get(&reasons[i].code) != code + 1 &&
		tally_get(&reasons[i].code) != 0)
		i++;
	tally_set(&reasons[i].code, i < last ? code + 1 : 1);
	tally_add(&reasons[i].count, count);
}

void
tally_codes(struct tally_reason reasons[static TALLY_CODES], int code, uint64_t count)
{
	int known = code == 0 || err_find(code);
	add_reason(reasons, known ? (uint64_t)(code < 0 ? -code : code) : ERR_CLOSED, count);
}

static void
fold_reasons(struct tally_reason *to, const struct tally_reason *from)
{
	for (size_t i = 0; i < TALLY_CODES; i++)
		if (tally_get(&from[i].code))
			add_reason(to, tally_get(&from[i].code) - 1, tally_get(&from[i].count));
}

void
tally_fold(struct tally *to, const struct tally *from)
{
	tally_add(&to->accepted, tally_get(&from->accepted));
	tally_add(&to->handshakes, tally_get(&from->handshakes));
	tally_add(&to->handshakes_failed, tally_get(&from->handshakes_failed));
	tally_add(&to->sessions_started, tally_get(&from->sessions_started));
	tally_add(&to->sessions_resumed, tally_get(&from->sessions_resumed));
	tally_add(&to->to_client, tally_get(&from->to_client));
	tally_add(&to->to_agent, tally_get(&from->to_agent));
	for (size_t i = 0; i < LIMIT_COUNT; i++)
		tally_add(&to->bites[i], tally_get(&from->bites[i]));
	fold_reasons(to->closes, from->closes);
	fold_reasons(to->ends, from->ends);
}
