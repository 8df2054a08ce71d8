/* engawa org create | list | suspend | resume | quota | weight | file | rekey | fingerprint |
 * policy sign: organisations, their keys and their signed files. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"
#include "cli/admin.h"
#include "cli/args.h"
#include "cli/command.h"
#include "cli/org_file.h"
#include "cli/org_policy.h"
#include "cli/table.h"

enum { /* as the controller has them */
	QUOTA_MAX = 1000000,
	WEIGHT_MAX = 1000,
};

struct settings {
	char *socket, *ca, *dir, *id, *name, *support;
	int64_t prefecture, quota, weight, days, json;
	struct conf_list gates;
};

#define AT(field) offsetof(struct settings, field)
static const struct conf_option options[] = {
	{"SOCKET", CONF_STR, AT(socket), NULL, 0, 0, "the controller's admin.sock"},
	{"CA", CONF_STR, AT(ca), NULL, 0, 0, "directory that engawa ca init made (create, file)"},
	{"DIR", CONF_STR, AT(dir), NULL, 0, 0,
		"directory of the organisation's keys and file (create, file, policy)"},
	{"ID", CONF_STR, AT(id), NULL, 0, 0, "a to z, 0 to 9 and hyphens (create)"},
	{"NAME", CONF_STR, AT(name), NULL, 0, 0, "name for people (create, file)"},
	{"PREFECTURE", CONF_INT, AT(prefecture), "0", 0, 47, "JIS X 0401, 0 = none (create)"},
	{"QUOTA", CONF_INT, AT(quota), "100", 0, QUOTA_MAX, "how many office PCs (create)"},
	{"WEIGHT", CONF_INT, AT(weight), "1", 1, WEIGHT_MAX,
		"its part when gates share something, beside others' (create)"},
	{"GATE", CONF_LIST, AT(gates), NULL, 0, 0, "NAME=HOST:PORT (create, file)"},
	{"SUPPORT", CONF_STR, AT(support), NULL, 0, 0,
		"contact shown with every refusal (create, file)"},
	{"DAYS", CONF_INT, AT(days), "365", 1, 3660, "how long the file is valid (create, file)"},
	{"JSON", CONF_BOOL, AT(json), "no", 0, 0, "for machines"},
	CONF_OPTIONS_END,
};

static int
fail(int r, const char *dir, const char *at, const char *words)
{
	char detail[PATH_MAX];
	if (str_print(detail, sizeof detail, "%s%s%s%s%s", dir, *dir ? "/" : "", at,
		    *words ? ": " : "", words) < 0)
		return command_fail(command_error(r), at);
	return command_fail(command_error(r), detail);
}

/* "NAME=HOST:PORT" of every --gate. 0 or 1 after command_fail. */
static int
take_gates(const struct conf_list *list, struct orgfile_gate *gates)
{
	if (list->count > ORGFILE_GATES_MAX)
		return command_fail(ERR_SETTING, "--gate");
	for (size_t i = 0; i < list->count; i++) {
		const char *equals = strchr(list->items[i], '=');
		size_t len = equals ? (size_t)(equals - list->items[i]) : 0;
		if (len == 0 || len >= sizeof gates[i].name ||
			str_copy(gates[i].target, sizeof gates[i].target, equals + 1) < 0)
			return command_fail(ERR_SETTING, list->items[i]);
		memcpy(gates[i].name, list->items[i], len);
		gates[i].name[len] = '\0';
	}
	return 0;
}

static void
take_back(const char *dir, int with_policy)
{
	static const char *const made[] = {
		ORG_POLICY, "organisation.engawa", ORG_WATERMARK_KEY, "policy.key", "signing.key"};
	char path[PATH_MAX];
	for (size_t i = with_policy ? 0 : 1; i < sizeof made / sizeof made[0]; i++)
		if (org_path(path, sizeof path, dir, made[i]) == 0)
			unlink(path);
	rmdir(dir); /* stays when there is something else in it */
}

static int
create(const struct settings *s, const struct args *args)
{
	struct orgfile_gate gates[ORGFILE_GATES_MAX] = {0};
	struct conf_error error = {""};
	const char *at;
	if (args->count > 0 || !s->ca || !s->dir || !s->id || !s->name || !s->support ||
		s->gates.count == 0)
		return 2;
	if (take_gates(&s->gates, gates) != 0)
		return 1;
	struct org_file file = {
		s->ca, s->dir, s->id, s->name, s->support, gates, s->gates.count, 1, s->days};
	int r = org_file_keys(s->dir, &at);
	if (r < 0) /* keys that are there are somebody's: they stay */
		return fail(r, s->dir, at, "");
	r = org_file_write(&file, &at, &error);
	int made = 0;
	if (r == 0) {
		at = ORG_POLICY;
		r = made = org_policy_first(s->dir, s->days, &error);
	}
	int status =
		r < 0 ? fail(r, s->dir, at, error.text)
		      : admin_call(s->socket, "POST", "/orgs",
				json_pack("{s:s, s:s, s:I, s:I, s:I}", "id", s->id, "name", s->name,
					"prefecture", (json_int_t)s->prefecture, "quota",
					(json_int_t)s->quota, "weight", (json_int_t)s->weight),
				NULL);
	if (status != 0)
		take_back(s->dir, made > 0);
	return status;
}

/* Again, with the keys that are there: a new issuer, gate, contact or date. */
static int
file(const struct settings *s, const struct args *args)
{
	struct orgfile_gate gates[ORGFILE_GATES_MAX] = {0};
	struct conf_error error = {""};
	struct orgfile old;
	char path[PATH_MAX];
	const char *at = "organisation.engawa";
	if (args->count > 0 || !s->ca || !s->dir)
		return 2;
	if (take_gates(&s->gates, gates) != 0)
		return 1;
	int r = org_path(path, sizeof path, s->dir, at);
	if (r == 0)
		r = orgfile_load(path, &old, &error);
	if (r < 0)
		return fail(r, s->dir, at, error.text);
	struct org_file new = {s->ca, s->dir, old.id, s->name ? s->name : old.name,
		s->support ? s->support : old.support, s->gates.count ? gates : old.gates,
		s->gates.count ? s->gates.count : old.gate_count, old.revision + 1, s->days};
	r = org_file_write(&new, &at, &error);
	orgfile_fini(&old);
	return r < 0 ? fail(r, s->dir, at, error.text) : 0;
}

/* Another signing key, and the file that leads to it from the one before. */
static int
rekey(const struct settings *s, const struct args *args)
{
	char path[PATH_MAX], kept[64];
	struct conf_error error = {""};
	struct orgfile org;
	const char *at = "organisation.engawa";
	if (args->count > 0 || !s->ca || !s->dir)
		return 2;
	int r = org_path(path, sizeof path, s->dir, at);
	if (r == 0)
		r = orgfile_load(path, &org, &error);
	if (r < 0)
		return fail(r, s->dir, at, error.text);
	str_print(kept, sizeof kept, "signing-%llu.key", (unsigned long long)org.revision);
	r = org_file_rekey(s->dir, org.id, kept, &at);
	orgfile_fini(&org);
	return r < 0 ? fail(r, s->dir, at, "") : file(s, args);
}

/* What people compare when they use the file for the first time. */
static int
fingerprint(const struct settings *s, const struct args *args)
{
	char text[ORGFILE_FINGERPRINT_SIZE];
	struct conf_error error = {""};
	struct orgfile org;
	(void)s;
	if (args->count != 1)
		return 2;
	int r = orgfile_load(args->words[0], &org, &error);
	if (r < 0)
		return fail(r, "", args->words[0], error.text);
	orgfile_fingerprint(&org, text);
	orgfile_fini(&org);
	printf("%s\n", text);
	return 0;
}

static int
list(const struct settings *s, const struct args *args)
{
	static const struct table_column columns[] = {
		{"id", TABLE_TEXT, {"団体", "ORGANISATION"}},
		{"name", TABLE_TEXT, {"名称", "NAME"}},
		{"prefecture", TABLE_NUMBER, {"都道府県", "PREFECTURE"}},
		{"agents", TABLE_NUMBER, {"台数", "OFFICE PCS"}},
		{"quota", TABLE_NUMBER, {"上限", "QUOTA"}},
		{"weight", TABLE_NUMBER, {"重み", "WEIGHT"}},
		{"suspended", TABLE_BOOL, {"停止", "SUSPENDED"}},
		{"created_s", TABLE_TIME, {"登録", "SINCE"}},
		{NULL, TABLE_TEXT, {NULL, NULL}},
	};
	if (args->count > 0)
		return 2;
	return table_ask(s->socket, "/orgs", columns, (int)s->json);
}

static int
change(const struct settings *s, const char *id, json_t *body)
{
	char path[256];
	if (admin_path(path, sizeof path, "orgs", id, NULL) < 0) {
		json_decref(body);
		return command_fail(ERR_TOO_LONG, id);
	}
	return admin_call(s->socket, "POST", path, body, NULL);
}

static int
suspend(const struct settings *s, const struct args *args)
{
	return args->count == 1 ? change(s, args->words[0], json_pack("{s:b}", "suspended", 1)) : 2;
}

static int
resume(const struct settings *s, const struct args *args)
{
	return args->count == 1 ? change(s, args->words[0], json_pack("{s:b}", "suspended", 0)) : 2;
}

static int
change_number(const struct settings *s, const struct args *args, const char *key, int64_t least,
	int64_t most)
{
	int64_t n;
	if (args->count != 2 || str_int(args->words[1], least, most, &n) < 0)
		return 2;
	return change(s, args->words[0], json_pack("{s:I}", key, (json_int_t)n));
}

static int
quota(const struct settings *s, const struct args *args)
{
	return change_number(s, args, "quota", 0, QUOTA_MAX);
}

static int
weight(const struct settings *s, const struct args *args)
{
	return change_number(s, args, "weight", 1, WEIGHT_MAX);
}

static const char *const policy_notes[ORG_NOTE_COUNT][2] = {
	[ORG_NOTE_ONE_FACTOR] =
		{"注意: この規則では、パスワードだけで接続できます。二要素認証には、確認コード・端末の登録・証明書のいずれかが必要です。",
			"Note: with this policy a password alone lets in. Two factors need a one-time code, registered devices, or certificates."},
	[ORG_NOTE_MINIMUM_BUILD] =
		{"注意: REQUIRE_MINIMUM_CLIENT_BUILD が、この版の番号より大きくなっています。庁内PCは、自分の版までしか求めません。",
			"Note: REQUIRE_MINIMUM_CLIENT_BUILD is above the build of this version. Office PCs demand no more than their own."},
	[ORG_NOTE_LONG_SESSION] =
		{"注意: MAX_SESSION が24時間、または IDLE_TIMEOUT が1時間を超えています(0は無制限)。NIST SP 800-63B (AAL2) は、それぞれ24時間と1時間までとしています。",
			"Note: MAX_SESSION is above 24 hours, or IDLE_TIMEOUT above one hour (0: without end). NIST SP 800-63B (AAL2) has at most 24 hours and one hour."},
	[ORG_NOTE_STRANGERS] =
		{"注意: OTP_MAIL_STRANGERS が3を超えています。中継の MAIL_BURST (既定は5) より十分に小さくないと、未知の端末からの要求だけで、登録した端末の確認コードも届かなくなります。",
			"Note: OTP_MAIL_STRANGERS is above 3. Unless the relay's MAIL_BURST (5 by default) is well above it, unknown devices can use up the codes of known ones."},
};

static int
policy(const struct settings *s, const struct args *args)
{
	struct conf_error error = {""};
	const char *dir, *at;
	if (args->count != 2 || strcmp(args->words[0], "sign") != 0 || !s->dir)
		return 2;
	unsigned notes = 0;
	int r = org_policy_sign(s->dir, args->words[1], &notes, &dir, &at, &error);
	if (r < 0)
		return fail(r, dir, at, error.text);
	for (unsigned i = 0; i < ORG_NOTE_COUNT; i++)
		if (notes >> i & 1)
			fprintf(stderr, "%s\n", policy_notes[i][command_language() != ERR_LANG_JA]);
	return 0;
}

static int
usage(void)
{
	fprintf(stderr,
		"engawa org create --ca DIR --dir ORGDIR --id ID --name NAME --support TEXT --gate NAME=HOST:PORT...\n"
		"                  [--prefecture N] [--quota N] [--weight N] [--days N]\n"
		"engawa org list [--json]\n"
		"engawa org suspend|resume ID\n"
		"engawa org quota|weight ID N\n"
		"engawa org file|rekey --ca DIR --dir ORGDIR [--name NAME] [--support TEXT] [--gate NAME=HOST:PORT]... [--days N]\n"
		"engawa org fingerprint FILE\n"
		"engawa org policy sign --dir ORGDIR FILE\n");
	return 2;
}

int
command_org(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct settings *s, const struct args *args);
	} actions[] = {{"create", create}, {"list", list}, {"suspend", suspend}, {"resume", resume},
		{"quota", quota}, {"weight", weight}, {"file", file}, {"rekey", rekey},
		{"fingerprint", fingerprint}, {"policy", policy}};
	struct settings settings = {0};
	struct args args;
	int status = 2;
	for (size_t i = 0; argc > 1 && i < sizeof actions / sizeof actions[0]; i++) {
		if (strcmp(argv[1], actions[i].name) != 0)
			continue;
		int r = args_take(options, &settings, "engawa org", argc - 1, argv + 1, &args);
		umask(077);
		status = r < 0 ? 2 : r > 0 ? 0 : actions[i].run(&settings, &args);
		conf_free(options, &settings);
	}
	return status == 2 ? usage() : status;
}
