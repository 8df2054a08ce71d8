/* The settings that the person made: what is read is written and read back to the same. */
#include "agent/password.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pepper pepper;
	struct settings settings, again;
	char text[SETTINGS_TEXT_SIZE];
	if (settings_parse((const char *)data, size, &settings) < 0)
		return 0;
	assert(!settings.mail[0] || settings_mail_fit(settings.mail));
	assert(!settings.password[0] || password_is_hash(settings.password));
	password_is_old(&pepper, settings.password);
	assert(settings_text(&settings, text) == 0);
	assert(settings_parse(text, strlen(text), &again) == 0);
	assert(strcmp(again.mail, settings.mail) == 0 && strcmp(again.lock, settings.lock) == 0 &&
		strcmp(again.password, settings.password) == 0 &&
		again.mail_back_s == settings.mail_back_s);
	return 0;
}
