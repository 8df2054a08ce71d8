/* engawa check (点検): what the quarantine check would find on this computer, without connecting.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "cli/command.h"
#include "cli/findings.h"
#include "client/posture.h"
#include "inspect/judge.h"

enum {
	DAY_S = 86400,
	LINE_SIZE = 160
};

static int japanese;

static const char *
words(const char *ja, const char *en)
{
	return japanese ? ja : en;
}

static void
day_text(uint64_t s, char *out, size_t size)
{
	time_t t = (time_t)s;
	struct tm tm;
	if (!s || !localtime_r(&t, &tm) || !strftime(out, size, "%Y-%m-%d", &tm))
		snprintf(out, size, "%s", words("不明", "unknown"));
}

static const char *
known_text(uint8_t known)
{
	return known == engawa_Known_KNOWN_YES  ? words("はい", "yes")
	       : known == engawa_Known_KNOWN_NO ? words("いいえ", "no")
						: words("不明", "unknown");
}

static const char *
network_text(uint8_t security)
{
	static const char *const names[] = {
		"Wi-Fi ?", "", "Wi-Fi", "Wi-Fi WEP", "Wi-Fi WPA", "Wi-Fi WPA2", "Wi-Fi WPA3"};
	return security == engawa_NetworkSecurity_NETWORK_WIRED ? words("有線", "wired")
	       : security == engawa_NetworkSecurity_NETWORK_OPEN
		       ? words("Wi-Fi 暗号化なし", "Wi-Fi without encryption")
		       : names[security];
}

static void
row(const char *ja, const char *en, const char *value)
{
	printf("  %s: %s\n", words(ja, en), value);
}

static void
print_antivirus(const struct report *r)
{
	char line[LINE_SIZE], day[32];
	for (size_t i = 0; i < r->antivirus_count; i++) {
		const struct report_antivirus *a = &r->antivirus[i];
		day_text(a->patterns_s, day, sizeof day);
		snprintf(line, sizeof line,
			japanese ? "%s、動作中 %s、定義 %s" : "%s, runs: %s, patterns of %s",
			a->name, known_text(a->running), day);
		row("ウイルス対策", "Antivirus", line);
	}
	if (!r->antivirus_count)
		row("ウイルス対策", "Antivirus", words("なし", "none"));
}

static void
print_facts(const struct report *r, const struct limits *limits)
{
	char line[LINE_SIZE], day[32];
	day_text(judge_os_end_s(r, limits), day, sizeof day);
	snprintf(line, sizeof line,
		japanese ? "%s %s (サポート期限 %s)" : "%s %s (supported until %s)", r->os,
		r->os_version, day);
	row("OS", "System", line);
	print_antivirus(r);
	day_text(r->updates_done_s, day, sizeof day);
	row("最後の更新", "Last update", day);
	day_text(r->updates_looked_s, day, sizeof day);
	row("最後の更新の確認", "Last look for updates", day);
	row("再起動待ち", "Waits for a restart", known_text(r->reboot_pending));
	for (size_t i = 0; i < r->network_count; i++)
		row("ネットワーク", "Network", network_text(r->networks[i]));
	row("ログインパスワード", "Login password", known_text(r->login_password));
	row("画面の自動ロック", "Screen lock", known_text(r->screen_lock));
	row("ディスクの暗号化", "Disk encryption", known_text(r->disk_encrypted));
}

static void
print_text(const struct report *r, const struct limits *limits, const struct findings *findings)
{
	printf("%s\n", words("この端末の状態", "State of this computer"));
	print_facts(r, limits);
	if (!findings->count) {
		printf("\n%s\n",
			words("検疫の標準の基準に適合しています。団体の規則により基準が異なることがあります。",
				"It passes with the standard limits. Your organisation's policy may have others."));
		return;
	}
	printf("\n%s\n", words("直すこと", "To be put right"));
	findings_print(
		stdout, findings->codes, findings->count, japanese ? ERR_LANG_JA : ERR_LANG_EN);
	printf("\n%s\n",
		words("標準の基準による結果です。団体の規則により基準が異なることがあります。",
			"By the standard limits. Your organisation's policy may have others."));
}

static json_t *
known_json(uint8_t known)
{
	return known == engawa_Known_KNOWN_NONE ? json_null()
						: json_boolean(known == engawa_Known_KNOWN_YES);
}

static json_t *
time_json(uint64_t s)
{
	return s ? json_integer((json_int_t)s) : json_null();
}

static json_t *
facts_json(const struct report *r)
{
	static const char *const networks[] = {
		"unknown", "wired", "open", "wep", "wpa", "wpa2", "wpa3"};
	json_t *antivirus = json_array(), *names = json_array();
	for (size_t i = 0; i < r->antivirus_count; i++)
		json_array_append_new(
			antivirus, json_pack("{s:s, s:o, s:o}", "name", r->antivirus[i].name,
					   "running", known_json(r->antivirus[i].running),
					   "patterns_s", time_json(r->antivirus[i].patterns_s)));
	for (size_t i = 0; i < r->network_count; i++)
		json_array_append_new(names, json_string(networks[r->networks[i]]));
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o}", "os",
		r->os, "os_version", r->os_version, "antivirus", antivirus, "updates_done_s",
		time_json(r->updates_done_s), "updates_looked_s", time_json(r->updates_looked_s),
		"reboot_pending", known_json(r->reboot_pending), "reboot_since_s",
		time_json(r->reboot_since_s), "networks", names, "login_password",
		known_json(r->login_password), "screen_lock", known_json(r->screen_lock),
		"lock_after_s", (int)r->lock_after_s, "disk_encrypted",
		known_json(r->disk_encrypted));
}

static void
print_json(const struct report *r, const struct findings *findings)
{
	json_t *root = json_pack("{s:b, s:o, s:o}", "passed", findings->count == 0, "findings",
		findings_json(
			findings->codes, findings->count, japanese ? ERR_LANG_JA : ERR_LANG_EN),
		"facts", facts_json(r));
	json_dumpf(root, stdout, JSON_INDENT(1));
	printf("\n");
	json_decref(root);
}

int
command_check(int argc, char **argv)
{
	int json = argc == 2 && strcmp(argv[1], "--json") == 0;
	engawa_Posture posture;
	struct report report;
	struct findings findings;
	struct limits limits;
	if (argc > 1 && !json) {
		fprintf(stderr, "engawa check [--json]\n");
		return 2;
	}
	japanese = command_language() == ERR_LANG_JA;
	posture_collect(&posture);
	posture.channel.size = REPORT_CHANNEL_BYTES; /* of no session */
	if (report_take(&posture, &report) < 0)
		return command_fail(ERR_POSTURE_BAD, NULL);
	limits_init(&limits);
	judge_report(&report, &limits, wall_s(), &findings);
	if (json)
		print_json(&report, &findings);
	else
		print_text(&report, &limits, &findings);
	limits_fini(&limits);
	return findings.count ? 1 : 0;
}
