#include "gate/blame.h"

#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "gate/secure.h"
#include "gate/worker.h"

static uint64_t
now_ms(void)
{
	return mono_now().ns / 1000000;
}

static int
is_one_of(int code, const int *codes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (code == -codes[i])
			return 1;
	return 0;
}

/* What an honest program does not do. A browser keeps connections in reserve and says nothing on
 * them; a network that fails is nobody's fault, unless a signature was made for it; and when none
 * could be made, it is ours. */
static int
is_fault(const struct leg *l, enum leg_state was, int code)
{
	static const int always[] = {
		ERR_PROTOCOL, ERR_TOO_LONG, ERR_TICKET_BAD, ERR_LIMIT, ERR_CRYPTO};
	int frames = was == LEG_HELLO || was == LEG_READY || was == LEG_ASKING;
	if (l->kind != LEG_NATIVE && l->kind != LEG_BROWSER)
		return 0;
	if (was == LEG_HANDSHAKE)
		return code < 0 && code != -ERR_TOO_MANY && code != -ERR_DRAIN &&
		       code != -ERR_NO_SIGNATURE &&
		       (code == -ERR_SLOW || secure_has_begun(l->secure));
	if (code == -ERR_SLOW)
		return frames && l->kind == LEG_NATIVE;
	return (frames || was == LEG_HEAD) &&
	       is_one_of(code, always, sizeof always / sizeof always[0]);
}

void
blame_close(struct worker *w, struct leg *l, enum leg_state was, int code)
{
	uint8_t key[FAULT_KEY_BYTES];
	if (l->blamed || l->wants_proxy || !is_fault(l, was, code)) /* whose, is not known yet */
		return;
	l->blamed = 1;
	if (was != LEG_HANDSHAKE && secure_agent(l->secure, key) == 0) {
		/* that nobody waits for its answer any more is a stranger's doing, who knows the
		 * terminal ID and no more */
		if (code != -ERR_TICKET_BAD && code != -ERR_SLOW)
			fault_note(&w->limits.faults, FAULT_AGENT, key, now_ms());
	} else if (!l->is_known) {
		limit_source_key(&l->address, key);
		fault_note(&w->limits.faults, FAULT_SOURCE, key, now_ms());
	}
}

static void
device_key(const struct leg *l, const uint8_t *hash, uint8_t ret_key[static FAULT_KEY_BYTES])
{
	limit_source_key(&l->address, ret_key);
	memcpy(ret_key + 8, hash, FAULT_KEY_BYTES - 8);
}

void
blame_device(struct worker *w, struct leg *l, const uint8_t hash[static 16], int shown)
{
	uint8_t key[FAULT_KEY_BYTES];
	if (shown)
		l->blamed = 1;
	device_key(l, hash, key);
	fault_note(&w->limits.faults, FAULT_DEVICE, key, now_ms());
}

void
blame_agent(struct worker *w, const uint8_t agent_id[static 16])
{
	fault_note(&w->limits.faults, FAULT_AGENT, agent_id, now_ms());
}

/* Named as in the log: by its first eight digits. */
static int
refuse(struct worker *w, enum limit limit, const char *kind, const uint8_t *id)
{
	char text[16];
	str_print(text, sizeof text, "%02x%02x%02x%02x", id[0], id[1], id[2], id[3]);
	limit_bite_of(&w->limits, limit, kind, text);
	return -ERR_TOO_OFTEN;
}

int
blame_ask_device(struct worker *w, const struct leg *l, const uint8_t hash[static 16])
{
	uint8_t key[FAULT_KEY_BYTES];
	device_key(l, hash, key);
	return fault_over(&w->limits.faults, FAULT_DEVICE, key, now_ms())
		       ? refuse(w, LIMIT_DEVICE_FAULTS, "device", hash)
		       : 0;
}

int
blame_ask_agent(struct worker *w, const uint8_t agent_id[static 16])
{
	return fault_over(&w->limits.faults, FAULT_AGENT, agent_id, now_ms())
		       ? refuse(w, LIMIT_AGENT_FAULTS, "agent", agent_id)
		       : 0;
}

enum blame
blame_ask_source(struct worker *w, const struct address *address)
{
	uint8_t key[FAULT_KEY_BYTES];
	limit_source_key(address, key);
	if (!fault_over(&w->limits.faults, FAULT_SOURCE, key, now_ms()))
		return BLAME_NONE;
	limit_bite(&w->limits, LIMIT_SOURCE_FAULTS, address);
	int64_t taken = limit_total(&w->limits, LIMIT_HALF_OPEN);
	int is_short = 4 * taken >= 3 * w->limits.each[LIMIT_HALF_OPEN].max;
	return is_short && !limit_has_known(&w->limits, address) ? BLAME_FEW : BLAME_WAITS;
}
