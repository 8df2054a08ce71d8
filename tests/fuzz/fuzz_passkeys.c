/* The file of registered security keys: what is taken is a table that can be asked. */
#include <assert.h>

#include "agent/passkeys.h"
#include "agent/webauthn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct passkeys *p;
	const struct passkey *key;
	if (passkeys_parse((const char *)data, size, &p) < 0)
		return 0;
	for (size_t i = 0; (key = passkeys_at(p, i)); i++)
		assert(webauthn_key_fit(key->algorithm, key->public_key, key->public_key_len) &&
			passkeys_find(p, key->credential, key->credential_len) == key);
	passkeys_free(p);
	return 0;
}
