#include "gate/said.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

void
said_fini(struct said *said)
{
	for (size_t i = 0; i <= SAID_FORMER; i++)
		free(said->welcomes[i].bytes);
	free(said->denied);
	memset(said, 0, sizeof *said);
}

static void
drop(struct said *said, size_t i)
{
	struct said_denied *d = &said->denied[i];
	if (d->by == 0 && !d->former)
		*d = said->denied[--said->denied_count];
}

static void
take_back(struct said *said, size_t seat, const uint8_t *agent_id)
{
	for (size_t i = said->denied_count; i-- > 0;) {
		struct said_denied *d = &said->denied[i];
		if (agent_id && memcmp(d->deny.agent_id, agent_id, sizeof d->deny.agent_id) != 0)
			continue;
		if (seat == SAID_FORMER)
			d->former = 0;
		else
			d->by &= ~(UINT64_C(1) << seat);
		drop(said, i);
	}
}

static void
keep(struct said_welcome *welcome, const uint8_t *payload, size_t len)
{
	free(welcome->bytes);
	welcome->bytes = len && len <= SAID_WELCOME_MAX_BYTES ? mem_array(len, 1) : NULL;
	welcome->len = welcome->bytes ? len : 0;
	if (welcome->bytes)
		memcpy(welcome->bytes, payload, len);
}

void
said_welcome(struct said *said, size_t seat, const uint8_t *payload, size_t len)
{
	keep(&said->welcomes[seat], payload, len);
	take_back(said, seat, NULL); /* its list follows */
	for (size_t i = 0; i < said->seats; i++)
		if (!said->welcomes[i].bytes)
			return;
	keep(&said->welcomes[SAID_FORMER], NULL, 0);
	take_back(said, SAID_FORMER, NULL);
}

static struct said_denied *
find(struct said *said, const uint8_t *agent_id)
{
	for (size_t i = 0; i < said->denied_count; i++)
		if (memcmp(said->denied[i].deny.agent_id, agent_id,
			    sizeof said->denied[i].deny.agent_id) == 0)
			return &said->denied[i];
	return NULL;
}

static struct said_denied *
add(struct said *said, const struct tell_deny *deny)
{
	struct said_denied *list =
		said->denied_count < SAID_DENIED_MAX
			? mem_resize(said->denied, said->denied_count + 1, sizeof *list)
			: NULL;
	if (!list) {
		if (!said->overflow)
			LOG(ERROR, "gate.said", F_INT("denied", said->denied_count));
		said->overflow = 1;
		return NULL;
	}
	said->denied = list;
	list[said->denied_count] = (struct said_denied){.deny = *deny};
	return &list[said->denied_count++];
}

void
said_deny(struct said *said, size_t seat, const uint8_t *payload, size_t len, int allow)
{
	struct tell_deny deny;
	if (len != sizeof deny)
		return;
	memcpy(&deny, payload, sizeof deny);
	if (allow) {
		take_back(said, seat, deny.agent_id);
		return;
	}
	struct said_denied *d = find(said, deny.agent_id);
	if (!d)
		d = add(said, &deny);
	if (d && seat == SAID_FORMER)
		d->former = 1;
	else if (d)
		d->by |= UINT64_C(1) << seat;
}

/* The one that nobody contradicts; NULL. */
static const struct said_welcome *
agreed(const struct said *said)
{
	const struct said_welcome *first = NULL;
	for (size_t i = 0; i <= SAID_FORMER; i++) {
		const struct said_welcome *w = &said->welcomes[i];
		if (!w->bytes)
			continue;
		if (first &&
			(first->len != w->len || memcmp(first->bytes, w->bytes, w->len) != 0)) {
			LOG(WARN, "gate.said", F_STR("keys", "contradicted"));
			return NULL;
		}
		first = first ? first : w;
	}
	return first;
}

int
said_tell(const struct said *said, struct process *process)
{
	const struct said_welcome *welcome = said->overflow ? NULL : agreed(said);
	int r = welcome ? process_tell(process, TELL_WELCOME, welcome->bytes, welcome->len, -1) : 0;
	for (size_t i = 0; r == 0 && i < said->denied_count; i++)
		r = process_tell(
			process, TELL_DENY, &said->denied[i].deny, sizeof said->denied[i].deny, -1);
	return r;
}
