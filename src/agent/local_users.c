#include "agent/local_users.h"

#include <errno.h>
#include <string.h>

#include "agent/admit.h"
#include "agent/local_peer.h"
#include "agent/local_proof.h"
#include "agent/persons.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	WORD_SIZE = 192
};

/* The next word; what follows the space behind it stays. */
static const char *
take_word(const char *text, char out[static WORD_SIZE])
{
	size_t len = strcspn(text, " ");
	if (len >= WORD_SIZE)
		len = 0;
	memcpy(out, text, len);
	out[len] = '\0';
	return text + len + (text[len] == ' ');
}

static const char *
method_name(const struct user *user)
{
	if (user_method_fit(user->verifier) || strcmp(user->verifier, USER_CERTIFICATE) == 0)
		return user->verifier;
	return user_by_certificate(user) ? "pinned" : "password";
}

static int
list(const struct users *users, size_t from, char *out, size_t size)
{
	size_t len = 0;
	for (size_t i = from; i < users->count; i++) {
		const struct user *u = &users->list[i];
		if (str_print(out + len, size - len, "%s %s %s %s\n", u->name, method_name(u),
			    u->expires[0] ? u->expires : "-", u->disabled ? "off" : "on") < 0)
			break; /* the rest is asked for next */
		len += strlen(out + len);
	}
	return 0;
}

static int
take_date(const char *date, struct user *row)
{
	row->expires[0] = '\0';
	if (strcmp(date, "-") == 0)
		return 0;
	return user_date_fit(date) ? str_copy(row->expires, sizeof row->expires, date)
				   : -ERR_SETTING;
}

/* METHOD LAST-DAY NAME[ PASSWORD] */
static int
add(const char *rest, struct local_user *user)
{
	char method[WORD_SIZE], date[WORD_SIZE], name[WORD_SIZE];
	rest = take_word(rest, method);
	rest = take_word(rest, date);
	rest = take_word(rest, name);
	int hashed = strcmp(method, "password") == 0, pinned = strncmp(method, USER_PIN, 4) == 0;
	int r = take_date(date, &user->row);
	if (r == 0)
		r = user_fold(name, user->row.name);
	if (r < 0)
		return r;
	if ((!hashed && !user_method_fit(method) && !user_certificate_fit(method)) ||
		(!hashed && *rest) ||
		((hashed || pinned) && strcmp(user->row.name, USER_EVERYBODY) == 0))
		return -ERR_SETTING;
	user->password = rest;
	return hashed ? 1 : str_copy(user->row.verifier, sizeof user->row.verifier, method);
}

/* Everything about a row that is there already. 1: its password is to be hashed. */
static int
change(const char *what, const struct user *old, const char *rest, struct local_user *user)
{
	user->row = *old;
	if (strcmp(what, "password") == 0 && password_is_hash(old->verifier)) {
		user->password = rest;
		return 1;
	}
	if (strcmp(what, "expire") == 0)
		return take_date(rest, &user->row);
	if (strcmp(what, "disable") == 0 || strcmp(what, "enable") == 0) {
		user->row.disabled = what[0] == 'd';
		return *rest ? -ERR_SETTING : 0;
	}
	return -ERR_SETTING;
}

/* Takes the place of the row of that name, or the last one. */
static int
put(struct agent *agent, const struct user *row, int remove)
{
	struct users *users = mem_new(sizeof *users);
	*users = *agent->users;
	struct user *place = users_row(users, row->name);
	const struct user *same = strncmp(row->verifier, USER_PIN, 4) == 0
					  ? users_verifier(users, row->verifier)
					  : NULL;
	int r = !remove && same && same != place ? -ERR_EXISTS : 0;
	if (r < 0)
		;
	else if (remove)
		*place = users->list[--users->count];
	else if (place)
		*place = *row;
	else if (users->count == USERS_MAX)
		r = -ERR_LIMIT;
	else
		users->list[users->count++] = *row;
	if (r == 0)
		r = persons_save(agent, users);
	if (r == 0)
		admit_persons(agent);
	mem_wipe_free(users, sizeof *users);
	return r;
}

int
local_users_put(struct agent *agent, const struct user *row)
{
	int r = put(agent, row, 0);
	LOG(INFO, "settings.user", F_STR("name", row->name), F_ERR("code", r));
	return r;
}

int
local_users_may(struct peer *peer, const char *text)
{
	char what[WORD_SIZE], name[WORD_SIZE], folded[USER_NAME_SIZE];
	const char *rest = take_word(text, what);
	take_word(rest, name);
	if (strcmp(what, "list") == 0)
		return 0;
	if (strcmp(what, "password") == 0 && user_fold(name, folded) == 0)
		return local_may_change(peer, folded);
	return local_may_manage(peer);
}

int
local_users(struct agent *agent, const char *text, char *ret_answer, size_t size,
	struct local_user *ret_user)
{
	char what[WORD_SIZE], name[WORD_SIZE], folded[USER_NAME_SIZE];
	int64_t from;
	*ret_user = (struct local_user){.password = ""};
	const char *rest = take_word(text, what);
	if (strcmp(what, "list") == 0)
		return str_int(rest, 1, USERS_MAX + 1, &from) < 0
			       ? -ERR_SETTING
			       : list(agent->users, (size_t)from - 1, ret_answer, size);
	int r;
	if (strcmp(what, "add") == 0) {
		r = add(rest, ret_user);
		return r == 0 ? local_users_put(agent, &ret_user->row) : r;
	}
	rest = take_word(rest, name);
	if (user_fold(name, folded) < 0)
		return -ERR_PERSON_NAME;
	const struct user *old = users_row(agent->users, folded);
	if (!old)
		return -ERR_NOT_FOUND;
	if (strcmp(what, "remove") != 0) {
		r = change(what, old, rest, ret_user);
		return r == 0 ? local_users_put(agent, &ret_user->row) : r;
	}
	struct user gone = *old;
	r = *rest ? -ERR_SETTING : put(agent, &gone, 1);
	LOG(INFO, "settings.user", F_STR("name", folded), F_STR("change", "removed"),
		F_ERR("code", r));
	return r;
}
