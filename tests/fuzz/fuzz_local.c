/* Commands on agent.sock from who may give them: first byte MSG_USERS or another, then the text.
 * Nothing can be written here, so nothing may change. */
#include "agent/local_login.h"
#include "agent/local_users.h"
#include "base/log.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct users users = {.count = 1, .list = {{.name = "tanaka", .verifier = "pam"}}};
	static struct agent agent = {.options.state_directory = "/nonexistent", .users = &users};
	char text[1024] = "", answer[1024] = "";
	struct local_user user;
	log_open("fuzz", LOG_ERROR, -1);
	if (size < 2 || size > sizeof text)
		return 0;
	memcpy(text, data + 1, size - 1);
	if (data[0] & 1)
		local_users(&agent, text, answer, sizeof answer, &user);
	else
		local_login(&agent, MSG_ADDRESSES, text, answer, sizeof answer);
	assert(users.count == 1 && agent.addresses.count == 0 && strlen(answer) < sizeof answer);
	return 0;
}
