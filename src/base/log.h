/*
 * Structured log: one line per event, "time level event key=value ...", to stderr or a descriptor.
 * Values are escaped (no newline, quote or control character survives), so a peer cannot forge lines.
 * Log once, where the decision is taken; library code below the programs only at DEBUG.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

enum log_kind { LOG_END, LOG_STR, LOG_INT, LOG_HEX };

struct log_field {
	enum log_kind kind;
	const char *key;
	const void *data; /* STR: NUL-terminated or NULL; HEX: bytes */
	size_t len;       /* HEX */
	int64_t number;   /* INT */
};

#define F_STR(key, s) ((struct log_field){ LOG_STR, key, s, 0, 0 })
#define F_INT(key, n) ((struct log_field){ LOG_INT, key, NULL, 0, (int64_t)(n) })
#define F_HEX(key, p, len) ((struct log_field){ LOG_HEX, key, p, len, 0 })
/* "code=CODE_WRONG": a result by name */
#define F_ERR(key, r) F_STR(key, err_name(r))

/* LOG(INFO, "agent.up", F_HEX("agent", id, 16), F_STR("address", a)) */
#define LOG(level, ...)                                                                            \
	log_event(LOG_##level, LOG_FIRST(__VA_ARGS__, ),                                           \
		(const struct log_field[]){ LOG_REST(__VA_ARGS__, (struct log_field){ LOG_END }) })
#define LOG_FIRST(first, ...) first
#define LOG_REST(first, ...) __VA_ARGS__

/* Program name in every line, lowest level that is written, descriptor (-1 = stderr). */
void log_open(const char *program, enum log_level lowest, int fd);
int log_level_parse(const char *name, enum log_level *ret_level); /* 0 or -EINVAL */
void log_event(enum log_level level, const char *event, const struct log_field *fields);

/* At most burst events per window for lines that a peer can cause; the next one that passes says how many were held. */
struct log_limit {
	uint32_t burst, window_ms;
	uint64_t start_ns;
	uint32_t count, held;
};
/* 1 when the line may be written; *ret_held is how many were not since the last one. */
int log_limit_pass(struct log_limit *limit, uint32_t *ret_held);
