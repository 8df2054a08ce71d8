/*
 * engawa-settings: the settings of this office PC for the person at it. A window with a page for
 * each concern; every page asks the agent (agent/local.h) and shows what it says. Nothing is kept
 * here, and nothing is decided here.
 */
#pragma once
#include <gtk/gtk.h>
#include <jansson.h>
#include <stdint.h>

#include "settings/asker.h"
#include "settings/words.h"

struct app;

/* A page's files have one of these; its widgets hang on the container that build returns. */
struct page {
	const char *name; /* of the stack's child */
	enum word title;
	GtkWidget *(*build)(struct app *app);
	/* The agent's state is known anew; NULL when it could not be asked. */
	void (*refresh)(struct app *app, GtkWidget *page, const json_t *status);
};

extern const struct page page_state, page_mail, page_password, page_authenticator, page_keys,
	page_devices, page_users, page_lock;

typedef void done_fn(struct app *app, int code, const char *answer, void *user);

/* window.c */
struct app *app_new(GtkApplication *gtk, struct asker *asker);
void app_free(struct app *app);

/* A change: the pages wait, a spinner turns, the settings password is asked for when it is needed,
 * and what came of it is told in words. done (may be NULL) is called at the end, also after a
 * failure. quiet: a good result is shown by the page itself. */
void app_change(struct app *app, uint16_t type, const char *text, done_fn *done, void *user);
/* Of this person's password; the present one is asked for when the agent wants it. */
void app_change_person(struct app *app, const char *name, uint16_t type, const char *text,
	done_fn *done, void *user);
void app_change_quiet(struct app *app, uint16_t type, const char *text, done_fn *done, void *user);
/* A question that changes nothing; a failure is told. */
void app_ask(struct app *app, uint16_t type, const char *text, done_fn *done, void *user);
/* Like it, and the failure is the page's to tell. */
void app_look(struct app *app, uint16_t type, const char *text, done_fn *done, void *user);

/* In words, with the code; 0: that it was changed. */
void app_tell(struct app *app, int code);
void app_tell_text(struct app *app, const char *text);
GtkWindow *app_window(struct app *app);
/* yes is called when the person says so. */
void app_sure(struct app *app, const char *question, void (*yes)(void *user), void *user);

/* What happened, what to do, "(EW-…)"; g_free. */
char *app_words(int code);
