/* Settings of the gate: the one option table, and their way to the worker and keeper processes. */
#pragma once
#include "base/conf.h"

struct settings {
	struct conf_list listen, issuers, sites, proxy_from;
	char *run_directory, *name, *certificate, *key, *page_certificate, *page_key, *user,
		*log_level;
	int64_t workers;
	/* life of a connection */
	int64_t keepalive_s, silence_s, handshake_s, hello_s, frame_s, answer_s, controller_s,
		session_silence_s;
	int64_t half_closed_s, drain_s;
	/* limits */
	int64_t connections_max, half_open_max, source_max, source_half_open_max, splice_max,
		asks_max, memory_max_mib;
	int64_t organisation_agents_max, organisation_sessions_max, organisation_handshakes_s,
		organisation_reserve_percent;
	int64_t agent_faults_per_minute, device_faults_per_minute, source_faults_per_minute;
	int64_t organisation_rate_bytes_s, prefecture_rate_bytes_s, rate_burst_ms;
	char *metrics_socket;
	int64_t pipe_high_bytes, client_rate_bytes_s, client_burst_bytes, signs_max_s;
};

extern const struct conf_option settings_table[];

/* What the table cannot say: required keys, keys that must fit each other. 0 or -ERR_SETTING. */
int settings_check(const struct settings *settings, struct conf_error *error);

/* How many workers: as set, or what 0 means. */
int64_t settings_workers(const struct settings *settings);

/* As text for another process; *ret_text is the heap. 0 or -ENOMEM. */
int settings_pack(const struct settings *settings, char **ret_text, size_t *ret_len);
/* settings must be zeroed. 0 or -ERR_SETTING. */
int settings_unpack(const char *text, size_t len, struct settings *settings);
void settings_free(struct settings *settings);
