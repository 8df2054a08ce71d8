/* engawa connect: a session by script, for tests and for people. docs/man/engawa-connect.1.scd */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/command.h"
#include "cli/connect_answer.h"
#include "cli/connect_certificate.h"
#include "cli/connect_device.h"
#include "cli/connect_png.h"
#include "cli/connect_script.h"
#include "cli/findings.h"
#include "client/facts.h"
#include "client/monitors.h"
#include "client/posture.h"
#include "client/session.h"
#include "crypto/orgtrust.h"

enum {
	SCREEN_WIDTH_PX = 1920,
	SCREEN_HEIGHT_PX = 1080,
	PICTURE_MS = 20000, /* from Start to the first picture */
	QUIET_MS = 300,   /* without a picture after the last action: the screen has come to rest */
	SETTLE_MS = 3000, /* or never does */
};

struct connect {
	const char *org_path, *org_fingerprint, *proxy, *screenshot, *user;
	struct connect_certificate certificate_from;
	struct connect_device device;
	struct session_settings settings;
	struct answer_sources sources;
	uint64_t for_ms;
	int json;

	struct loop *loop;
	struct orgfile org;
	struct session *session;
	struct answer *answer;
	struct certificate *certificate; /* NULL = none */
	struct script *script;
	struct signal_watch *signals[2];
	struct timer *timer;
	engawa_Monitor monitors[MONITORS_MAX]; /* of --monitors */
	size_t monitor_count;
	engawa_Layout layout;
	int own_display;      /* its monitors are those of WantLayout */
	engawa_Prompt prompt; /* the last one, and its words */
	const char *words[2];
	char session_code[32];
	engawa_Notice findings; /* of the quarantine check, the last ones */
	struct mono first_picture, last_picture, script_end;
	int lost;        /* the person was told that the path is */
	int acted;       /* the script is through */
	int stopped;     /* by a signal */
	int failure;     /* of ours; else that of the session */
	int session_end; /* code of ended */
};

static int
usage(void)
{
	fprintf(stderr,
		"engawa connect --org FILE --id TERMINAL-ID [--org-fingerprint HEX] [--proxy URL] [--device-key FILE]\n"
		"               [--user NAME] [--code-command CMD] [--password-file FILE] [--screenshot FILE.png] [--json] [--for TIME] [--monitors WxH+X+Y@SCALE,...]\n"
		"               [--certificate FILE --certificate-key FILE|URI [--certificate-module FILE] [--certificate-pin-file FILE]]\n"
		"               [--token URI --token-module FILE [--token-pin-file FILE]] [--pairing-code CODE | --apply NAME]\n"
		"               [--type TEXT] [--key NAME] [--click X,Y[,BUTTON]] [--wait MS] [--layout WxH+X+Y@SCALE,...] [--latency N] ...\n");
	return 2;
}

/* The first failure of ours; the session then ends as politely as it can. */
static void
stop(struct connect *c, int code)
{
	if (c->failure == 0)
		c->failure = code;
	session_end(c->session);
}

static void
on_signal(void *user, int number)
{
	struct connect *c = user;
	(void)number;
	if (c->stopped)
		loop_stop(c->loop); /* the second one does not wait for the other side */
	c->stopped = 1;
	session_end(c->session);
}

/* Everything done, and the time that was asked for is over: a screen that came to rest is the one
 * to show. */
static void
on_timer(void *user)
{
	struct connect *c = user;
	struct mono now = mono_now();
	if (!c->first_picture.ns) {
		stop(c, -ERR_DESKTOP_FAILED);
		return;
	}
	if (session_is_lost(c->session)) {
		timer_start(c->timer, 20, 0);
		return;
	}
	int settled = mono_diff_ms(c->last_picture, now) >= QUIET_MS ||
		      mono_diff_ms(c->script_end, now) >= SETTLE_MS;
	if (c->acted && settled && mono_diff_ms(c->first_picture, now) >= c->for_ms)
		session_end(c->session);
	else
		timer_start(c->timer, 20, 0);
}

static void
on_script(void *user, int code)
{
	struct connect *c = user;
	if (code == -ERR_CLOSED)
		return; /* the session is ending: its code follows */
	if (code < 0) {
		stop(c, -ERR_INTERNAL);
		return;
	}
	c->acted = 1;
	c->script_end = c->last_picture = mono_now();
	timer_start(c->timer, 20, 0);
}

static void
on_answer(void *user, const char *text, int code)
{
	struct connect *c = user;
	int r = code;
	if (text && *text && answer_is_key(&c->prompt)) {
		fprintf(stderr, command_language() == ERR_LANG_JA
					? "セキュリティキーに触れてください。\n"
					: "Touch the security key.\n");
		r = session_use_key(
			c->session, strcmp(text, "-") == 0 ? "" : text, security_key_open, NULL);
	} else if (text) {
		r = session_reply_as(
			c->session, text, c->prompt.person ? answer_name(c->answer) : "");
	}
	if (r < 0)
		stop(c, r);
}

/* Asks again, as after a reply that was wrong. */
static void
on_key_failed(void *user, int code)
{
	struct connect *c = user;
	c->prompt.wrong = (uint32_t)-code;
	answer_start(c->answer, &c->prompt, c->words);
}

static void
on_certificate(void *user, int code)
{
	stop(user, code);
}

static void
on_prompt(void *user, const engawa_Prompt *prompt, const char *const words[2])
{
	struct connect *c = user;
	c->prompt = *prompt;
	c->words[0] = words[0];
	c->words[1] = words[1];
	if (prompt->kind != engawa_PromptKind_PROMPT_CERTIFICATE) {
		answer_start(c->answer, prompt, words);
		return;
	}
	certificate_answer(c->certificate, c->loop, c->session, on_certificate, c);
}

static void
on_started(void *user, const engawa_Start *start)
{
	struct connect *c = user;
	memcpy(c->session_code, start->session_code, sizeof c->session_code);
	c->layout = start->layout;
	c->own_display = start->own_display;
	if (*start->message && !c->json)
		fprintf(stderr, "%s\n", start->message);
	timer_start(c->timer, PICTURE_MS, 0);
}

static void
on_layout(void *user, const engawa_Layout *layout)
{
	struct connect *c = user;
	c->layout = *layout;
}

static void
on_picture(void *user)
{
	struct connect *c = user;
	c->last_picture = mono_now();
	if (!c->first_picture.ns) {
		c->first_picture = c->last_picture;
		timer_stop(c->timer);
		script_start(c->script, c->session, on_script, c);
	}
	script_picture(c->script);
}

static void
on_notice(void *user, const engawa_Notice *notice)
{
	enum err_lang lang = command_language();
	struct connect *c = user;
	int idle = notice->code == ERR_IDLE, ja = lang == ERR_LANG_JA;
	if (notice->code == ERR_INSPECTION)
		c->findings = *notice;
	/* it is well again */
	if (!notice->seconds && !notice->findings_count && (idle || notice->code == ERR_INSPECTION))
		return;
	if (idle)
		fprintf(stderr, ja ? "操作がありません。\n" : "Nothing was done for a while.\n");
	else
		fprintf(stderr, "engawa: %s (EW-%u)\n", err_text((int)notice->code, lang),
			notice->code);
	findings_print(stderr, notice->findings, notice->findings_count, lang);
	if (notice->seconds)
		fprintf(stderr,
			ja ? "あと %u 秒で接続を終了します。\n" : "The session ends in %u s.\n",
			notice->seconds);
}

static void
on_lost(void *user, int code)
{
	struct connect *c = user;
	(void)code;
	fprintf(stderr, "engawa: %s\n", err_text(ERR_RESUMING, command_language()));
	c->lost = 1;
}

/* A move to another gate that nobody notices is nobody's business. */
static void
on_resumed(void *user)
{
	struct connect *c = user;
	if (c->lost)
		fprintf(stderr,
			command_language() == ERR_LANG_JA
				? "engawa: 接続が戻りました。続きから使えます。\n"
				: "engawa: The connection is back. Go on where you were.\n");
	c->lost = 0;
}

static void
on_ended(void *user, int code)
{
	struct connect *c = user;
	c->session_end = code;
	timer_stop(c->timer);
	loop_stop(c->loop);
}

static const struct session_events events = {
	.prompt = on_prompt,
	.key_failed = on_key_failed,
	.started = on_started,
	.layout = on_layout,
	.picture = on_picture,
	.notice = on_notice,
	.lost = on_lost,
	.resumed = on_resumed,
	.ended = on_ended,
};

/* 0 when all that was asked for happened. */
static int
outcome(const struct connect *c)
{
	if (c->failure)
		return c->failure;
	if (c->session_end != -ERR_ENDED || (!c->acted && !c->stopped))
		return c->session_end ? c->session_end : -ERR_ENDED;
	return c->first_picture.ns ? 0 : -ERR_ENDED;
}

/* From stage to stage; null where it was not reached. */
static json_t *
times(const struct session_numbers *n)
{
	static const char *const names[SESSION_STAGES] = {
		"dial", "ticket", "handshake", "login", "first_picture"};
	json_t *root = json_object();
	uint64_t before = 0;
	for (size_t i = 0; i < SESSION_STAGES; i++) {
		uint64_t at = n->at_ms[i];
		json_object_set_new(
			root, names[i], at ? json_integer((json_int_t)(at - before)) : json_null());
		before = at;
	}
	return root;
}

static json_t *
latency(struct connect *c)
{
	struct script_latency l;
	script_latency(c->script, &l);
	if (l.count + l.lost == 0)
		return json_null();
	return json_pack("{s:i, s:i, s:f, s:f}", "n", (int)l.count, "lost", (int)l.lost, "median",
		l.median_ms, "p99", l.p99_ms);
}

static json_t *
picture(const struct connect *c)
{
	const struct image *image = session_image(c->session);
	if (!image)
		return json_null();
	json_t *monitors = json_array();
	for (size_t i = 0; i < c->layout.monitors_count; i++) {
		const engawa_Monitor *m = &c->layout.monitors[i];
		json_array_append_new(monitors, json_pack("[i, i, i, i]", m->x_px, m->y_px,
							(int)m->width_px, (int)m->height_px));
	}
	return json_pack("{s:i, s:i, s:o, s:b}", "width", image->width, "height", image->height,
		"monitors", monitors, "own_display", c->own_display);
}

static void
print_json(struct connect *c, int code)
{
	struct session_numbers n;
	session_numbers(c->session, &n);
	json_t *root = json_pack(
		"{s:i, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:o, s:I, s:o, s:I, s:I, s:o}", "code",
		abs(code), "name", code ? err_name(code) : "OK", "session", c->session_code, "gate",
		session_gate(c->session), "times_ms", times(&n), "bytes_in", (json_int_t)n.bytes_in,
		"bytes_out", (json_int_t)n.bytes_out, "pictures", (json_int_t)n.pictures, "screen",
		picture(c), "round_trip_ms", (json_int_t)n.round_trip_ms, "latency_ms", latency(c),
		"resumes", (json_int_t)n.resumes, "gap_ms", (json_int_t)n.gap_max_ms, "findings",
		findings_json(
			c->findings.findings, c->findings.findings_count, command_language()));
	json_dumpf(root, stdout, JSON_INDENT(1));
	printf("\n");
	json_decref(root);
}

static void
print_text(struct connect *c)
{
	struct session_numbers n;
	struct script_latency l;
	int ja = command_language() == ERR_LANG_JA;
	session_numbers(c->session, &n);
	script_latency(c->script, &l);
	printf(ja ? "セッション %s: 画面 %llu 枚、受信 %llu バイト、送信 %llu バイト\n"
		  : "session %s: %llu pictures, %llu bytes in, %llu bytes out\n",
		c->session_code, (unsigned long long)n.pictures, (unsigned long long)n.bytes_in,
		(unsigned long long)n.bytes_out);
	if (l.count)
		printf(ja ? "キーから画面まで: 中央値 %.1f ms、99%% %.1f ms (%zu 回)\n"
			  : "key to picture: median %.1f ms, 99%% %.1f ms (%zu times)\n",
			l.median_ms, l.p99_ms, l.count);
}

/* What failed, to whom to turn, and how long to wait. */
static int
print_failure(struct connect *c, int code, const char *detail)
{
	int status = command_fail(code, detail);
	int ja = command_language() == ERR_LANG_JA;
	if (code == -ERR_DEVICE_APPLIED || code == -ERR_DEVICE_UNKNOWN) {
		char number[CONNECT_NUMBER_SIZE];
		connect_device_number(&c->settings, number);
		fprintf(stderr,
			ja ? "        この端末の番号: %s\n"
			   : "        Number of this computer: %s\n",
			number);
	}
	if (session_retry_s(c->session))
		fprintf(stderr,
			ja ? "        %u 秒後にもう一度お試しください。\n"
			   : "        Try again in %u s.\n",
			session_retry_s(c->session));
	if (*session_support(c->session))
		fprintf(stderr, ja ? "        連絡先: %s\n" : "        Contact: %s\n",
			session_support(c->session));
	return status;
}

static int
finish(struct connect *c)
{
	const char *detail = *session_error(c->session) ? session_error(c->session) : NULL;
	const struct image *image = session_image(c->session);
	int code = outcome(c);
	if (code == 0 && c->screenshot && image) {
		code = png_save(image, c->screenshot);
		detail = c->screenshot;
	}
	if (c->json)
		print_json(c, code);
	else if (code == 0)
		print_text(c);
	return code ? print_failure(c, code, detail) : 0;
}

static int
run(struct connect *c)
{
	static const int numbers[2] = {SIGINT, SIGTERM};
	c->session = session_new(c->loop, &c->settings, &events, c);
	if (!c->session)
		return command_fail(ERR_INTERNAL, NULL);
	c->answer = answer_new(c->loop, &c->sources, on_answer, c);
	c->timer = timer_new(c->loop, on_timer, c);
	for (int i = 0; i < 2; i++)
		c->signals[i] = signal_new(c->loop, numbers[i], on_signal, c);
	loop_run(c->loop);
	int status = finish(c);
	answer_free(c->answer);
	session_free(c->session);
	timer_free(c->timer);
	for (int i = 0; i < 2; i++)
		signal_free(c->signals[i]);
	return status;
}

enum {
	ORG = 256,
	ORG_FINGERPRINT,
	ID,
	PROXY,
	DEVICE_KEY,
	TOKEN,
	TOKEN_MODULE,
	TOKEN_PIN_FILE,
	PAIRING_CODE,
	APPLY,
	CODE_COMMAND,
	PASSWORD_FILE,
	USER,
	CERTIFICATE,
	CERTIFICATE_KEY,
	CERTIFICATE_MODULE,
	CERTIFICATE_PIN_FILE,
	SCREENSHOT,
	MONITORS,
	JSON,
	FOR,
	ACTION
};

static const struct option options[] = {
	{"org", required_argument, NULL, ORG},
	{"org-fingerprint", required_argument, NULL, ORG_FINGERPRINT},
	{"id", required_argument, NULL, ID},
	{"proxy", required_argument, NULL, PROXY},
	{"device-key", required_argument, NULL, DEVICE_KEY},
	{"token", required_argument, NULL, TOKEN},
	{"token-module", required_argument, NULL, TOKEN_MODULE},
	{"token-pin-file", required_argument, NULL, TOKEN_PIN_FILE},
	{"pairing-code", required_argument, NULL, PAIRING_CODE},
	{"apply", required_argument, NULL, APPLY},
	{"code-command", required_argument, NULL, CODE_COMMAND},
	{"password-file", required_argument, NULL, PASSWORD_FILE},
	{"user", required_argument, NULL, USER},
	{"certificate", required_argument, NULL, CERTIFICATE},
	{"certificate-key", required_argument, NULL, CERTIFICATE_KEY},
	{"certificate-module", required_argument, NULL, CERTIFICATE_MODULE},
	{"certificate-pin-file", required_argument, NULL, CERTIFICATE_PIN_FILE},
	{"screenshot", required_argument, NULL, SCREENSHOT},
	{"monitors", required_argument, NULL, MONITORS},
	{"json", no_argument, NULL, JSON},
	{"for", required_argument, NULL, FOR},
	{"type", required_argument, NULL, ACTION + SCRIPT_TYPE},
	{"key", required_argument, NULL, ACTION + SCRIPT_KEY},
	{"click", required_argument, NULL, ACTION + SCRIPT_CLICK},
	{"wait", required_argument, NULL, ACTION + SCRIPT_WAIT},
	{"layout", required_argument, NULL, ACTION + SCRIPT_LAYOUT},
	{"latency", required_argument, NULL, ACTION + SCRIPT_LATENCY},
	{NULL, 0, NULL, 0},
};

/* 0, or the exit status after the failure was told. */
static int
take_option(struct connect *c, int option, const char *name)
{
	int r = 0;
	switch (option) {
	case ORG:
		c->org_path = optarg;
		break;
	case ORG_FINGERPRINT:
		c->org_fingerprint = optarg;
		break;
	case ID:
		if (terminal_id_parse(optarg, c->settings.terminal) < 0)
			return command_fail(ERR_TERMINAL_ID_BAD, NULL);
		break;
	case PROXY:
		c->proxy = optarg;
		break;
	case DEVICE_KEY:
		c->device.key_path = optarg;
		break;
	case TOKEN:
		c->device.token = optarg;
		break;
	case TOKEN_MODULE:
		c->device.token_module = optarg;
		break;
	case TOKEN_PIN_FILE:
		c->device.token_pin_file = optarg;
		break;
	case PAIRING_CODE:
		c->sources.pairing_code = optarg;
		break;
	case APPLY:
		c->device.apply = optarg;
		break;
	case CODE_COMMAND:
		c->sources.code_command = optarg;
		break;
	case USER:
		c->user = optarg;
		break;
	case CERTIFICATE:
		c->certificate_from.path = optarg;
		break;
	case CERTIFICATE_KEY:
		c->certificate_from.key = optarg;
		break;
	case CERTIFICATE_MODULE:
		c->certificate_from.module = optarg;
		break;
	case CERTIFICATE_PIN_FILE:
		c->certificate_from.pin_file = optarg;
		break;
	case PASSWORD_FILE:
		c->sources.password_file = optarg;
		break;
	case SCREENSHOT:
		c->screenshot = optarg;
		break;
	case MONITORS:
		r = monitors_parse(optarg, c->monitors, &c->monitor_count);
		break;
	case JSON:
		c->json = 1;
		break;
	case FOR:
		r = script_duration(optarg, 1000, &c->for_ms);
		break;
	default:
		r = option >= ACTION
			    ? script_add(c->script, (enum script_kind)(option - ACTION), optarg)
			    : -EINVAL;
	}
	if (r < 0 && option != '?')
		fprintf(stderr, "engawa connect: --%s %s?\n", name, optarg);
	return r < 0 ? usage() : 0;
}

/* What is remembered of an organisation lies beside the device key, one file for each. */
static int
trust(const struct connect *c, const char *device_path)
{
	char path[PATH_MAX];
	const char *slash = strrchr(device_path, '/');
	int dir_len = slash ? (int)(slash + 1 - device_path) : 0;
	int r = str_print(path, sizeof path, "%.*s%s.known", dir_len, device_path, c->org.id);
	if (r == 0)
		r = org_trust(path, &c->org, c->org_fingerprint, command_language());
	return r < 0 ? command_fail(r, r == -ERR_ORG_FINGERPRINT || r == -ERR_ORG_UNCONFIRMED
					       ? c->org_path
					       : path)
		     : 0;
}

static int
load(struct connect *c)
{
	char path[PATH_MAX];
	struct conf_error error = {""};
	int r = orgfile_load(c->org_path, &c->org, &error);
	if (r < 0)
		return command_fail(r, error.text[0] ? error.text : c->org_path);
	facts_collect(SCREEN_WIDTH_PX, SCREEN_HEIGHT_PX, &c->settings.facts);
	if (c->monitor_count) {
		memcpy(c->settings.facts.monitors, c->monitors, sizeof c->monitors);
		c->settings.facts.monitors_count = (pb_size_t)c->monitor_count;
	}
	if (connect_device_load(&c->device, &c->settings, path, sizeof path) != 0 ||
		trust(c, path) != 0)
		return 1;
	c->settings.org = &c->org;
	c->settings.proxy = c->proxy;
	c->settings.posture = posture_collect;
	const char *bad;
	r = certificate_load(&c->certificate_from, &c->certificate, &bad);
	if (r < 0)
		return command_fail(r, bad);
	if (c->user && str_copy(c->settings.facts.user, sizeof c->settings.facts.user, c->user) < 0)
		return command_fail(ERR_PERSON_NAME, c->user);
	return 0;
}

int
command_connect(int argc, char **argv)
{
	struct connect c = {0};
	int status = 0, index = 0, option;
	umask(077);
	c.loop = loop_new();
	c.script = script_new(c.loop);
	while (status == 0 && (option = getopt_long(argc, argv, "", options, &index)) != -1)
		status = take_option(&c, option, option == '?' ? "" : options[index].name);
	if (status == 0 && (optind != argc || !c.org_path || !c.settings.terminal[0] ||
				   !c.certificate_from.path != !c.certificate_from.key))
		status = usage();
	if (status == 0)
		status = load(&c);
	if (status == 0)
		status = run(&c);
	script_free(c.script);
	certificate_free(c.certificate);
	loop_free(c.loop);
	orgfile_fini(&c.org);
	connect_device_fini(&c.device);
	mem_wipe(&c.settings, sizeof c.settings);
	return status;
}
