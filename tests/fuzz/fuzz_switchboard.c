/* A hostile worker's messages to the gate's parent: {type:u8, length:u8, payload}, from two seats
 * in turn. */
#include "base/wire.h"
#include "fuzz.h"
#include "gate/switchboard.h"
#include "gate/tell.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct switchboard board;
	uint8_t payload[256];
	size_t seat = 0;
	switchboard_init(&board, 2, 8);
	for (struct rd in = rd_init(data, size); in.left > 1; seat ^= 1) {
		enum tell type = TELL_SEAT + rd_u8(&in) % (TELL_SIGNED - TELL_SEAT + 1);
		size_t len = rd_u8(&in);
		len = len < in.left ? len : in.left;
		memcpy(payload, rd_bytes(&in, len), len);
		switchboard_hear(&board, seat, type, payload, len, -1);
		assert(board.directory.each[0] <= 8 && board.directory.each[1] <= 8 &&
			board.directory.count ==
				board.directory.each[0] + board.directory.each[1]);
	}
	switchboard_fini(&board);
	return 0;
}
