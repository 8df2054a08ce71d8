#include "agent/replay.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "net/frame.h"

void
replay_init(struct replay *replay)
{
	*replay = (struct replay){.stream = 0};
	buf_init(&replay->kept, REPLAY_MAX_BYTES);
	replay_begin(replay);
}

void
replay_fini(struct replay *replay)
{
	buf_fini(&replay->kept);
}

void
replay_begin(struct replay *replay)
{
	buf_fini(&replay->kept);
	replay->next_at = 0;
	replay->confirmed = replay->first = replay->next = replay->end = 0;
	replay->stream++;
}

/* Bytes of the record at this place of kept, its head included. */
static size_t
size_at(const struct replay *replay, size_t at)
{
	const uint8_t *head = buf_data(&replay->kept) + at;
	return FRAME_HEADER_BYTES + ((size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3]);
}

/* Lets go of what has been sent, up to this record. */
static void
let_go(struct replay *replay, uint64_t until)
{
	while (replay->first < until && replay->first < replay->next) {
		size_t size = size_at(replay, 0);
		buf_drop(&replay->kept, size);
		replay->next_at -= size;
		replay->first++;
	}
}

int
replay_add(struct replay *replay, uint8_t type, const uint8_t *payload, size_t len)
{
	const uint8_t head[FRAME_HEADER_BYTES] = {
		type, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
	if (buf_room(&replay->kept) < sizeof head + len)
		let_go(replay, replay->next);
	uint8_t *space = buf_reserve(&replay->kept, sizeof head + len);
	if (!space)
		return -ENOMEM;
	memcpy(space, head, sizeof head);
	if (len)
		memcpy(space + sizeof head, payload, len);
	buf_commit(&replay->kept, sizeof head + len);
	replay->end++;
	return 0;
}

int
replay_next(struct replay *replay, uint8_t *ret_type, const uint8_t **ret_payload, size_t *ret_len)
{
	if (replay->next == replay->end)
		return 0;
	const uint8_t *record = buf_data(&replay->kept) + replay->next_at;
	size_t size = size_at(replay, replay->next_at);
	*ret_type = record[0];
	*ret_payload = record + FRAME_HEADER_BYTES;
	*ret_len = size - FRAME_HEADER_BYTES;
	replay->next_at += size;
	replay->next++;
	return 1;
}

int
replay_confirm(struct replay *replay, uint64_t received)
{
	if (received > replay->end)
		return -ERR_PROTOCOL;
	if (received > replay->confirmed)
		replay->confirmed = received;
	let_go(replay, replay->confirmed);
	return 0;
}

int
replay_resume(struct replay *replay, uint32_t stream, uint64_t received)
{
	if (stream != replay->stream || received > replay->end)
		return 0;
	if (received < replay->confirmed)
		received = replay->confirmed; /* it has heard more since it said so */
	if (received < replay->first)
		return 0;
	replay->next = replay->first;
	replay->next_at = 0;
	while (replay->next < received) {
		replay->next_at += size_at(replay, replay->next_at);
		replay->next++;
	}
	let_go(replay, replay->confirmed);
	return 1;
}
