/*
 * A security key in the USB port of a program under test: loaded before it, this is the one key
 * that libfido2 finds. It is in software (tests/unit/authenticator.h), has the PIN in SOFT_KEY_PIN,
 * and is as new as the program.
 */
#include <stdlib.h>
#include <string.h>

#include "../unit/authenticator.h"

static struct authenticator usb = {.flags = 5, .plugged = 1};

__attribute__((constructor)) static void
read_pin(void)
{
	const char *pin = getenv("SOFT_KEY_PIN");
	if (pin && strlen(pin) < sizeof usb.pin.pin)
		strcpy(usb.pin.pin, pin);
}

int
fido_dev_info_manifest(fido_dev_info_t *list, size_t cap, size_t *ret_count)
{
	*ret_count = list && cap ? 1 : 0;
	return FIDO_OK;
}

fido_dev_t *
fido_dev_new_with_info(const fido_dev_info_t *info)
{
	(void)info;
	return authenticator_open(&usb, 0);
}

/* It is open already. */
int
fido_dev_open_with_info(fido_dev_t *dev)
{
	return dev ? FIDO_OK : FIDO_ERR_INTERNAL;
}
