/* What the parent has, for the modules that it is made of. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "gate/certificates.h"
#include "gate/limit.h"
#include "gate/process.h"
#include "gate/said.h"
#include "gate/settings.h"
#include "gate/switchboard.h"
#include "gate/takeover.h"
#include "gate/tell.h"
#include "gate/upgrade.h"

enum {
	WORKERS_MAX = DIRECTORY_SEATS_MAX,
	LISTENERS_MAX = 16, /* as WORKER_LISTENERS_MAX */
};

/* text: as in the settings. */
struct listening {
	int fd;
	const char *text;
};

struct worker_child {
	struct process child;
	int keeper_end; /* of its channel to the keeper: kept, so that a new keeper goes on where
			   the old one stopped */
	struct listening listeners[LISTENERS_MAX];
	size_t listener_count;
	uint64_t restart_ms; /* back-off */
	struct mono restart_at;
};

struct parent {
	const struct settings *settings;
	char program[4096]; /* our path; what lies there later is the next version */
	char *const *argv;
	char *settings_text;
	size_t settings_len;
	struct certificates certificates;
	struct process keeper;
	struct mono keeper_at; /* not started again before */
	struct worker_child workers[WORKERS_MAX];
	size_t worker_count;
	struct switchboard switchboard;
	struct limit_segment *common; /* numbers that all workers count in */
	int common_fd;
	struct management *management; /* NULL = none */
	int management_tried;
	int signals;
	struct said said; /* what the controller said */
	int draining;
	struct mono stop_at;
	struct upgrade upgrade;   /* to a new version */
	struct takeover takeover; /* from an old one */
};

/* Something came from this worker, or its end. */
void parent_on_worker(struct parent *p, struct worker_child *worker);
/* No more connections from here on. */
void parent_close_listeners(struct parent *p);
