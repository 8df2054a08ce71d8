/* What proves this computer to the office PC, as the options of "engawa connect" name it: a key in
 * a file, or one on a token. */
#pragma once
#include "client/session.h"

struct connect_device {
	/* options; NULL = not given */
	const char *key_path, *token, *token_module, *token_pin_file, *apply;
	/* by connect_device_load */
	struct token_question question;
	struct evp_pkey_st *proof_key;
};

/* Fills in the settings' device, proof_key or token, and application. ret_path is the device key's
 * file. 0, or the exit status after the failure was told. */
int connect_device_load(struct connect_device *device, struct session_settings *settings,
	char *ret_path, size_t size);
/* Wipes. */
void connect_device_fini(struct connect_device *device);
/* The number that whoever approves needs: "AB12-CD34-EF56-7890". */
enum {
	CONNECT_NUMBER_SIZE = sizeof "AB12-CD34-EF56-7890"
};
void connect_device_number(
	const struct session_settings *settings, char ret_number[static CONNECT_NUMBER_SIZE]);
