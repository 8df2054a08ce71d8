/* Which devices may come: proof, registry, applications, pairing, and what strangers can do. */
#include "crypto/sign.h"
#include "login_world.h"

enum {
	PAIRING = engawa_PromptKind_PROMPT_PAIRING
};

static const uint8_t owner[32] = {1, 2, 3, 4, 5, 6, 7, 8};
static struct evp_pkey_st *owner_key, *other_key;

static int
set_up(void **state)
{
	setup(state);
	w.policy.disable_devicecheck = 0;
	w.policy.disable_otp = 1;
	owner_key = sign_key_generate();
	other_key = sign_key_generate();
	return 0;
}

static int
tear_down(void **state)
{
	sign_key_free(owner_key);
	sign_key_free(other_key);
	return teardown(state);
}

static struct facts
make_facts(struct evp_pkey_st *key, const uint8_t *hash)
{
	struct facts f = plain_facts(APP);
	strcpy(f.computer_name, "HOME-PC");
	if (!key)
		return f;
	assert_int_equal(sign_key_point(key, f.device_key), 0);
	assert_int_equal(sign_raw(key, DEVICE_PURPOSE, hash, 32, f.device_proof), 0);
	return f;
}

/* As far as the first prompt, or the refusal. */
static int
come(const uint8_t *device, struct evp_pkey_st *key)
{
	struct facts f = make_facts(key, handshake);
	begin(device);
	return login_facts(&w.login, &f);
}

static void
register_device(const uint8_t *device, struct evp_pkey_st *key)
{
	struct facts f = make_facts(key, handshake);
	struct entry e;
	registry_take(&e, &f, device, "192.0.2.1", w.wall_s);
	assert_int_equal(registry_add(w.registry, &e), 0);
	assert_int_equal(devices_keep(w.devices, device, 1, w.wall_s), 0);
}

static void
test_registered(void **state)
{
	(void)state;
	assert_int_equal(come(owner, owner_key), -ERR_DEVICE_UNKNOWN);
	register_device(owner, owner_key);
	assert_int_equal(come(owner, owner_key), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	assert_true(w.login.admission.registered);
	/* after a restart of the agent */
	registry_free(w.registry);
	assert_int_equal(registry_open(w.path[REGISTRY], &w.registry, NULL), 0);
	assert_int_equal(come(owner, owner_key), LOGIN_WAITS);
}

/* Tried: the device key's file alone (no proof), another proof key, a signature of another session,
 * flipped bits, a point off the curve. Comes of it: refused before any prompt. */
static void
test_attack_forged_proof(void **state)
{
	(void)state;
	static const uint8_t elsewhere[32] = {8};
	register_device(owner, owner_key);
	assert_int_equal(come(owner, NULL), -ERR_DEVICE_PROOF);
	assert_int_equal(come(owner, other_key), -ERR_DEVICE_PROOF);
	struct facts f = make_facts(owner_key, elsewhere);
	begin_at(owner, "192.0.2.1");
	assert_int_equal(login_facts(&w.login, &f), -ERR_DEVICE_PROOF);
	for (size_t i = 0; i < sizeof f.device_proof; i += 7) {
		f = make_facts(owner_key, handshake);
		f.device_proof[i] ^= 1;
		begin_at(owner, "192.0.2.1");
		assert_int_equal(login_facts(&w.login, &f), -ERR_DEVICE_PROOF);
	}
	f = make_facts(owner_key, handshake);
	f.device_key[40] ^= 1;
	begin_at(owner, "192.0.2.1");
	assert_int_equal(login_facts(&w.login, &f), -ERR_DEVICE_PROOF);
	memset(f.device_proof, 0, sizeof f.device_proof);
	begin_at(owner, "192.0.2.1");
	assert_int_equal(login_facts(&w.login, &f), -ERR_DEVICE_PROOF);
	assert_int_equal(w.prompts, 0);
	/* a proof by somebody else's registered key does not make another device known */
	w.policy.disable_devicecheck = 1;
	assert_int_equal(come(stranger, owner_key), LOGIN_WAITS);
	assert_false(w.login.admission.registered);
}

static void
test_pairing(void **state)
{
	(void)state;
	char code[PAIRING_TEXT_SIZE], typed[64];
	assert_int_equal(pairing_new(&w.pairing, on_now(NULL), code), 0);
	assert_int_equal(come(owner, owner_key), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PAIRING);
	assert_int_equal(w.prompt.expires_s, PAIRING_LIFE_S + 1);
	assert_false(w.prompt.optional);
	assert_int_equal(reply(PAIRING, ""), LOGIN_WAITS);
	assert_int_equal(w.prompt.wrong, ERR_PAIRING_WRONG);
	/* small letters, no hyphen, blanks */
	snprintf(typed, sizeof typed, " %.4s %s ", code, code + 5);
	for (char *p = typed; *p; p++)
		*p |= *p >= 'A' && *p <= 'Z' ? 0x20 : 0;
	assert_int_equal(reply(PAIRING, typed), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	assert_true(w.login.admission.paired);
	assert_null(registry_find(w.registry, owner)); /* not before the whole login */
}

/* Where strangers may come too, the question can be left out. */
static void
test_pairing_optional(void **state)
{
	(void)state;
	char code[PAIRING_TEXT_SIZE];
	w.policy.disable_devicecheck = 1;
	assert_int_equal(come(owner, owner_key), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	assert_int_equal(pairing_new(&w.pairing, on_now(NULL), code), 0);
	assert_int_equal(come(owner, owner_key), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PAIRING);
	assert_true(w.prompt.optional);
	assert_int_equal(reply(PAIRING, ""), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	assert_false(w.login.admission.paired);
	assert_true(pairing_left_s(&w.pairing, on_now(NULL)) > 0);
	/* a client that cannot prove itself cannot be registered, and is not asked */
	assert_int_equal(come(stranger, NULL), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
}

/* Tried: the same pairing code again, from a second device and while two logins wait for it; a code
 * that has run out or was replaced. Comes of it: one device, once. */
static void
test_attack_pairing_twice_and_late(void **state)
{
	(void)state;
	char first[PAIRING_TEXT_SIZE], code[PAIRING_TEXT_SIZE];
	assert_int_equal(pairing_new(&w.pairing, on_now(NULL), first), 0);
	assert_int_equal(pairing_new(&w.pairing, on_now(NULL), code), 0);
	assert_int_equal(come(owner, owner_key), LOGIN_WAITS);
	assert_int_equal(reply(PAIRING, first), LOGIN_WAITS);
	assert_int_equal(w.prompt.wrong, ERR_PAIRING_WRONG);
	struct login waits = w.login;
	assert_int_equal(reply(PAIRING, code), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	w.login = waits;
	assert_int_equal(reply(PAIRING, code), LOGIN_WAITS);
	assert_int_equal(w.prompt.wrong, ERR_PAIRING_WRONG);
	assert_int_equal(come(stranger, other_key), -ERR_DEVICE_UNKNOWN);
	assert_int_equal(pairing_new(&w.pairing, on_now(NULL), code), 0);
	assert_int_equal(come(stranger, other_key), LOGIN_WAITS);
	w.mono_ms += (PAIRING_LIFE_S + 1) * 1000;
	assert_int_equal(reply(PAIRING, code), LOGIN_WAITS);
	assert_int_equal(w.prompt.wrong, ERR_PAIRING_WRONG);
	assert_int_equal(come(stranger, other_key), -ERR_DEVICE_UNKNOWN);
}

/* Tried: 10,000 guesses at a pairing code while it is open, from as many devices as one likes.
 * Comes of it: a handful are charged to the strangers, the others are asked for nothing but that
 * code, and no try ends the pairing; the owner's device comes in all the while, and the new one at
 * the end. */
static void
test_attack_pairing_guessed(void **state)
{
	(void)state;
	char code[PAIRING_TEXT_SIZE];
	uint8_t device[32] = {0x80};
	unsigned charged = 0, first = 0;
	register_device(owner, owner_key);
	assert_int_equal(pairing_new(&w.pairing, on_now(NULL), code), 0);
	for (unsigned i = 0; i < 10000; i++) {
		char guess[PAIRING_TEXT_SIZE];
		device[1] = (uint8_t)i, device[2] = (uint8_t)(i >> 8);
		snprintf(guess, sizeof guess, "%04u-%04u", i % 10000, i % 7777);
		assert_int_equal(come(device, other_key), LOGIN_WAITS);
		assert_int_equal(w.prompt.kind, PAIRING);
		if (w.login.admission.first)
			first++;
		else
			charged++;
		assert_true(reply(PAIRING, guess) != LOGIN_PASSED);
		assert_false(w.login.admission.paired);
		assert_int_equal(w.prompt.kind, PAIRING);
		w.mono_ms += 50;
		w.wall_s = 1800000000 + w.mono_ms / 1000;
		if (i % 1000 == 0)
			assert_int_equal(come(owner, owner_key), LOGIN_WAITS);
	}
	assert_int_equal(charged + first, 10000);
	assert_true(charged <= 30);
	assert_int_equal(registry_count(w.registry, ENTRY_REGISTERED), 1);
	assert_int_equal(come(stranger, other_key), LOGIN_WAITS);
	assert_int_equal(reply(PAIRING, code), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
}

/* Tried: a stranger fails until strangers are shut out. Comes of it: the registered device has its
 * own counters from the start and comes in. */
static void
test_attack_owner_not_burnt(void **state)
{
	(void)state;
	char code[PAIRING_TEXT_SIZE];
	register_device(owner, owner_key);
	w.policy.disable_devicecheck = 1;
	for (int i = 0; i < 2 * LOCKOUT_ROW_MAX; i++) {
		w.wall_s += LOCKOUT_DELAY_MAX_S + 1;
		w.mono_ms += 3601000;
		assert_int_equal(pairing_new(&w.pairing, on_now(NULL), code), 0);
		if (come(stranger, other_key) == LOGIN_WAITS)
			reply(PAIRING, "0000-0000");
	}
	pairing_end(&w.pairing);
	assert_int_equal(come(stranger, other_key), -ERR_SHUT_OUT);
	assert_int_equal(come(owner, owner_key), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
}

static void
shut_strangers_out(void)
{
	struct lockout_rule rule = {5, 60};
	struct tries before;
	for (int i = 0; i < LOCKOUT_ROW_MAX; i++)
		assert_int_equal(devices_charge(w.devices, stranger, &rule, w.wall_s, &before), 0);
}

/* Tried: a stranger shuts all strangers out, to keep the owner from pairing a new device. Comes of
 * it: while a pairing is open at the office PC, its code is asked for first; who has it goes on,
 * whoever has not is told what he would be told anyway, and no mail goes out for him. */
static void
test_attack_pairing_kept_out(void **state)
{
	(void)state;
	char code[PAIRING_TEXT_SIZE];
	shut_strangers_out();
	assert_int_equal(come(owner, owner_key), -ERR_DEVICE_UNKNOWN);
	w.policy.disable_devicecheck = 1;
	assert_int_equal(come(owner, owner_key), -ERR_SHUT_OUT);
	assert_int_equal(pairing_new(&w.pairing, on_now(NULL), code), 0);
	assert_int_equal(come(owner, NULL), -ERR_SHUT_OUT); /* cannot be registered */
	for (int required = 0; required < 2; required++) {
		w.policy.disable_devicecheck = !required;
		assert_int_equal(come(stranger, other_key), LOGIN_WAITS);
		assert_int_equal(w.prompt.kind, PAIRING);
		assert_false(w.prompt.optional);
		assert_int_equal(reply(PAIRING, ""), -ERR_SHUT_OUT);
		assert_int_equal(come(stranger, other_key), LOGIN_WAITS);
		for (int i = 1; i < LOGIN_TRIES_MAX; i++) {
			assert_int_equal(reply(PAIRING, "0000-0000"), LOGIN_WAITS);
			assert_int_equal(w.prompt.kind, PAIRING);
			assert_int_equal(w.prompt.wrong, ERR_PAIRING_WRONG);
		}
		assert_int_equal(reply(PAIRING, "0000-0000"), -ERR_SHUT_OUT);
	}
	assert_int_equal(come(owner, owner_key), LOGIN_WAITS);
	assert_int_equal(reply(PAIRING, code), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	assert_int_equal(reply(PASSWORD, "secret"), LOGIN_WAITS);
	assert_int_equal(login_checked(&w.login, 0), LOGIN_PASSED);
	assert_true(w.login.admission.paired);
}

/* Tried: a stranger asks for all the codes that strangers are mailed, to keep the owner from
 * pairing a new device. Comes of it: its pairing code is asked for first, and then it gets a code
 * of its own; who has no pairing code is told to wait, and gets none. */
static void
test_attack_pairing_without_mails(void **state)
{
	(void)state;
	char code[PAIRING_TEXT_SIZE];
	w.policy.disable_otp = 0;
	w.policy.disable_devicecheck = 1;
	w.policy.otp_mail_strangers = 1;
	assert_int_equal(come(stranger, other_key), LOGIN_WAITS);
	assert_int_equal(w.login.wait, LOGIN_WAIT_MAIL);
	assert_int_equal(come(owner, owner_key), -ERR_LIMIT);
	assert_int_equal(pairing_new(&w.pairing, on_now(NULL), code), 0);
	assert_int_equal(come(stranger, other_key), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PAIRING);
	assert_int_equal(reply(PAIRING, ""), -ERR_LIMIT);
	assert_int_equal(come(stranger, other_key), LOGIN_WAITS);
	for (int i = 1; i < LOGIN_TRIES_MAX; i++)
		assert_int_equal(reply(PAIRING, "0000-0000"), LOGIN_WAITS);
	assert_int_equal(reply(PAIRING, "0000-0000"), -ERR_PAIRING_WRONG);
	assert_int_equal(w.mails, 1);
	assert_int_equal(come(owner, owner_key), LOGIN_WAITS);
	assert_int_equal(reply(PAIRING, code), LOGIN_WAITS);
	assert_int_equal(w.mails, 2);
	assert_int_equal(login_mailed(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, CODE);
	/* where nothing is mailed nobody is asked for it first */
	w.policy.disable_otp = 1;
	assert_int_equal(pairing_new(&w.pairing, on_now(NULL), code), 0);
	assert_int_equal(come(stranger, other_key), LOGIN_WAITS);
	assert_false(w.login.admission.first);
}

/* Tried: whoever has learned a pairing code guesses at the password with it, with one code after
 * the other. Comes of it: these tries have a counter of their own, which outlives the codes and a
 * restart, and ends like the others'; strangers and owner are not concerned. */
static void
test_attack_guesses_with_a_pairing_code(void **state)
{
	(void)state;
	char code[PAIRING_TEXT_SIZE];
	unsigned judged = 0;
	int r = 0;
	register_device(owner, owner_key);
	for (int i = 0; i < 2 * LOCKOUT_ROW_MAX; i++) {
		w.wall_s += LOCKOUT_DELAY_MAX_S + 1;
		w.mono_ms += 3601000;
		assert_int_equal(pairing_new(&w.pairing, on_now(NULL), code), 0);
		assert_int_equal(come(stranger, other_key), LOGIN_WAITS);
		r = reply(PAIRING, code);
		while (r == LOGIN_WAITS && w.prompt.kind == PASSWORD) {
			judged++;
			assert_int_equal(reply(PASSWORD, "guess"), LOGIN_WAITS);
			r = login_checked(&w.login, -ERR_PASSWORD_WRONG);
		}
		devices_free(w.devices);
		assert_int_equal(devices_open(w.path[DEVICES], &w.devices, NULL), 0);
		devices_mark_kept(w.devices, owner);
	}
	assert_int_equal(r, -ERR_SHUT_OUT);
	assert_int_equal(judged, LOCKOUT_ROW_MAX);
	assert_false(devices_strangers_shut(w.devices));
	assert_int_equal(come(owner, owner_key), LOGIN_WAITS);
	assert_int_equal(devices_unlock(w.devices), 0);
	assert_int_equal(pairing_new(&w.pairing, on_now(NULL), code), 0);
	assert_int_equal(come(stranger, other_key), LOGIN_WAITS);
	assert_int_equal(reply(PAIRING, code), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
}

/* ---- applications ---- */

static int
apply(const uint8_t *device, const char *name, const char *address)
{
	struct facts f = make_facts(owner_key, handshake);
	strcpy(f.apply, name);
	begin_at(device, address);
	return login_facts(&w.login, &f);
}

/* Tried: applications while strangers are shut out and a pairing is open. Comes of it: none is
 * written down; who pairs does not apply. */
static void
test_attack_application_while_shut_out(void **state)
{
	(void)state;
	char code[PAIRING_TEXT_SIZE];
	shut_strangers_out();
	assert_int_equal(pairing_new(&w.pairing, on_now(NULL), code), 0);
	assert_int_equal(apply(stranger, "flood", "192.0.2.1"), -ERR_SHUT_OUT);
	assert_int_equal(registry_count(w.registry, ENTRY_APPLIED), 0);
	assert_int_equal(w.prompts, 0);
}

static void
test_application(void **state)
{
	(void)state;
	const struct entry *e;
	assert_int_equal(apply(owner, "田中 自宅", "192.0.2.1"), -ERR_DEVICE_APPLIED);
	assert_int_equal(w.prompts, 0);
	assert_int_equal(registry_search(w.registry, ENTRY_APPLIED, "0102030405060708", &e), 0);
	assert_string_equal(e->name, "田中 自宅");
	assert_string_equal(e->computer, "HOME-PC");
	assert_int_equal(e->mac_count, 1);
	assert_int_equal(come(owner, owner_key), -ERR_DEVICE_UNKNOWN); /* not approved yet */
	struct entry approved = *e;
	assert_int_equal(registry_add(w.registry, &approved), 0);
	assert_int_equal(come(owner, owner_key), LOGIN_WAITS);
	/* applying again changes nothing */
	assert_int_equal(apply(owner, "x", "192.0.2.1"), LOGIN_WAITS);
	assert_string_equal(registry_find(w.registry, owner)->name, "田中 自宅");
	assert_int_equal(registry_search(w.registry, ENTRY_REGISTERED, "0102-0304", &e), 0);
	assert_int_equal(
		registry_search(w.registry, ENTRY_REGISTERED, "0102-03", &e), -ERR_NOT_FOUND);
	assert_int_equal(registry_search(w.registry, ENTRY_REGISTERED, "田中 自宅", &e), 0);
}

/* Tried: 1,000 applications of as many devices from one address, and from as many addresses. Comes
 * of it: a bounded file and list, few writes, and the honest one that was there stays. */
static void
test_attack_application_flood(void **state)
{
	(void)state;
	uint8_t device[32] = {0x80};
	char address[64];
	assert_int_equal(apply(owner, "honest", "192.0.2.1"), -ERR_DEVICE_APPLIED);
	for (unsigned i = 0; i < 1000; i++) {
		device[1] = (uint8_t)i, device[2] = (uint8_t)(i >> 8);
		w.wall_s += 60; /* slowly, so that the hourly limit does not do all the work */
		snprintf(address, sizeof address, "198.51.100.%u", i % 2 ? 1 : i % 7);
		int r = apply(device, "flood", address);
		assert_true(r == -ERR_DEVICE_APPLIED || r == -ERR_LIMIT);
		assert_true(registry_count(w.registry, ENTRY_APPLIED) <= APPLICATIONS_MAX);
	}
	assert_non_null(registry_find(w.registry, owner));
	unsigned written = 0;
	for (unsigned i = 0; i < 1000; i++) {
		device[3] = 1, device[1] = (uint8_t)i, device[2] = (uint8_t)(i >> 8);
		written += apply(device, "flood", "203.0.113.9") == -ERR_DEVICE_APPLIED;
	}
	assert_true(written <= APPLICATIONS_HOUR_MAX);
	assert_int_equal(w.prompts, 0);
	assert_int_equal(registry_count(w.registry, ENTRY_REGISTERED), 0);
}

/* Tried: a device that was removed comes back, with its key, with an application, under a policy
 * that lets strangers in. Comes of it: refused; only a pairing code brings it back. */
static void
test_attack_removed(void **state)
{
	(void)state;
	char code[PAIRING_TEXT_SIZE];
	register_device(owner, owner_key);
	assert_int_equal(registry_remove(w.registry, owner, w.wall_s), 0);
	assert_int_equal(devices_keep(w.devices, owner, 0, w.wall_s), 0);
	w.policy.disable_devicecheck = 1;
	assert_int_equal(come(owner, owner_key), -ERR_DEVICE_UNKNOWN);
	assert_int_equal(come(owner, NULL), -ERR_DEVICE_UNKNOWN);
	assert_int_equal(apply(owner, "again", "192.0.2.1"), -ERR_DEVICE_UNKNOWN);
	assert_int_equal(registry_count(w.registry, ENTRY_REMOVED), 1);
	assert_int_equal(come(stranger, other_key), LOGIN_WAITS);
	assert_int_equal(pairing_new(&w.pairing, on_now(NULL), code), 0);
	assert_int_equal(come(owner, owner_key), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PAIRING);
	assert_false(w.prompt.optional);
}

/* Tried: names with line ends, escapes and blanks, to write lines into the registry. Comes of it:
 * the file reads back to the same entries. */
static void
test_attack_names(void **state)
{
	(void)state;
	static const char *const names[] = {
		"a\nDEVICE registered", "\033[2J", "  ", " x ", "MAC 00"};
	uint8_t device[32] = {0x70};
	struct facts f = make_facts(owner_key, handshake);
	struct entry e;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		device[1] = (uint8_t)i;
		snprintf(f.computer_name, sizeof f.computer_name, "%s", names[i]);
		snprintf(f.apply, sizeof f.apply, "%s", names[i]);
		registry_take(&e, &f, device, "192.0.2.1", w.wall_s);
		assert_null(strchr(e.computer, '\n'));
		assert_int_equal(registry_add(w.registry, &e), 0);
	}
	registry_free(w.registry);
	assert_int_equal(registry_open(w.path[REGISTRY], &w.registry, NULL), 0);
	assert_int_equal(registry_count(w.registry, ENTRY_REGISTERED), 5);
	device[1] = 0;
	assert_string_equal(registry_find(w.registry, device)->computer, "");
	device[1] = 3;
	assert_string_equal(registry_find(w.registry, device)->name, "x");
}

static void
test_limits(void **state)
{
	(void)state;
	uint8_t device[32] = {0x60};
	struct facts f = make_facts(owner_key, handshake);
	struct entry e;
	for (unsigned i = 0; i <= REGISTRY_MAX; i++) {
		device[1] = (uint8_t)i;
		registry_take(&e, &f, device, "192.0.2.1", w.wall_s);
		assert_int_equal(registry_add(w.registry, &e), i < REGISTRY_MAX ? 0 : -ERR_LIMIT);
		if (i < REGISTRY_MAX)
			assert_int_equal(devices_keep(w.devices, device, 1, w.wall_s), 0);
	}
	assert_int_equal(registry_count(w.registry, ENTRY_REGISTERED), REGISTRY_MAX);
	/* however many others log in, a registered device keeps its counters */
	for (unsigned i = 0; i < 3 * DEVICES_MAX; i++) {
		uint8_t other[32] = {0x61, (uint8_t)i};
		assert_int_equal(devices_login(w.devices, other, "", w.wall_s + i), 0);
	}
	device[1] = 0;
	assert_true(devices_known(w.devices, device));
	assert_int_equal(devices_keep(w.devices, device, 0, w.wall_s), 0);
	assert_false(devices_known(w.devices, device));
	for (int i = 0; i < PAIRING_HOUR_MAX; i++) {
		char code[PAIRING_TEXT_SIZE];
		assert_int_equal(pairing_new(&w.pairing, on_now(NULL), code), 0);
	}
	char code[PAIRING_TEXT_SIZE];
	assert_int_equal(pairing_new(&w.pairing, on_now(NULL), code), -ERR_LIMIT);
}

static void
test_damaged(void **state)
{
	(void)state;
	static const char *const bad[] = {"NAME x\n", "DEVICE registered 00 04 1\n", "FOO 1\n"};
	struct registry *r = calloc(1, sizeof *r);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(registry_parse(bad[i], strlen(bad[i]), r), -ERR_SETTING);
	free(r);
}

/* Which list counts, and which question is asked at all. */
static void
test_mac_addresses(void **state)
{
	(void)state;
	static const char own[] = "00-01-02-03-04-05\n";
	char code[PAIRING_TEXT_SIZE];
	struct conf_error error;
	w.policy.disable_maccheck = 0;
	w.policy.disable_devicecheck = 1;
	assert_int_equal(come(stranger, other_key), -ERR_MAC_DENIED);
	assert_int_equal(w.prompts, 0);
	assert_int_equal(maclist_parse(own, strlen(own), &w.macs, &error), 0);
	assert_int_equal(come(stranger, other_key), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	/* the organisation's list alone */
	w.policy.client_mac_list = strdup("https://lists.example/");
	w.policy.no_local_mac_list = 1;
	assert_int_equal(come(stranger, other_key), LOGIN_WAITS);
	assert_int_equal(w.lists, 1);
	assert_int_equal(w.asked_list, MAC_LIST_CLIENT);
	assert_int_equal(login_checked(&w.login, -ERR_MAC_LIST), -ERR_MAC_DENIED);
	assert_int_equal(come(stranger, other_key), LOGIN_WAITS);
	assert_int_equal(login_checked(&w.login, -ERR_MAC_DENIED), -ERR_MAC_DENIED);
	assert_int_equal(come(stranger, other_key), LOGIN_WAITS);
	assert_int_equal(login_checked(&w.login, 0), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	/* what was recorded with a registered device is the office PC's own knowledge too */
	w.policy.no_local_mac_list = 0;
	maclist_fini(&w.macs);
	register_device(owner, owner_key);
	assert_int_equal(come(owner, owner_key), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
	assert_int_equal(w.lists, 3);
	assert_int_equal(w.asked_list, MAC_LIST_CLIENT);
	/* and so is who pairs */
	free(w.policy.client_mac_list);
	w.policy.client_mac_list = NULL;
	assert_int_equal(pairing_new(&w.pairing, on_now(NULL), code), 0);
	assert_int_equal(come(stranger, other_key), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PAIRING);
	struct login asked = w.login;
	assert_int_equal(reply(PAIRING, ""), -ERR_MAC_DENIED);
	w.login = asked;
	assert_int_equal(reply(PAIRING, code), LOGIN_WAITS);
	assert_int_equal(w.prompt.kind, PASSWORD);
}

/* Tried: a device claims a computer name that policy exempts from the closed network. Comes of it:
 * nothing; only the name it was registered with counts. */
static void
test_attack_exempt_name(void **state)
{
	(void)state;
	w.policy.disable_limited_firewall = 0;
	w.policy.firewall_exempt = strdup(" kiosk-,;\thome-pc2 HOME-P");
	register_device(owner, owner_key); /* HOME-PC */
	assert_int_equal(come(owner, owner_key), LOGIN_WAITS);
	w.policy.disable_devicecheck = 1;
	assert_int_equal(come(stranger, other_key), -ERR_FIREWALL_REQUIRED);
	assert_true(policy_firewall_exempt(&w.policy, "Kiosk-1"));
	assert_false(policy_firewall_exempt(&w.policy, "kios"));
	assert_false(policy_firewall_exempt(&w.policy, ""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(test_registered),
		T(test_attack_forged_proof),
		T(test_pairing),
		T(test_pairing_optional),
		T(test_attack_pairing_twice_and_late),
		T(test_attack_pairing_guessed),
		T(test_attack_owner_not_burnt),
		T(test_attack_pairing_kept_out),
		T(test_attack_pairing_without_mails),
		T(test_attack_guesses_with_a_pairing_code),
		T(test_attack_application_while_shut_out),
		T(test_application),
		T(test_attack_application_flood),
		T(test_attack_removed),
		T(test_attack_names),
		T(test_limits),
		T(test_damaged),
		T(test_mac_addresses),
		T(test_attack_exempt_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
