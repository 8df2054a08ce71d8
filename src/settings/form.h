/* The parts that pages are made of: every field has its label, its key and its name for a screen
 * reader. */
#pragma once
#include "settings/app.h"

/* A column with a heading and, unless it is WORD_COUNT, a text below it. */
GtkWidget *form_new(enum word head, enum word text);
GtkWidget *form_heading(GtkWidget *form, enum word head);
/* A line "label value"; the value's label, which can be selected. */
GtkWidget *form_value(GtkWidget *form, enum word label);
/* Any widget below its label. */
void form_labelled(GtkWidget *form, enum word label, GtkWidget *widget);
GtkWidget *form_entry(GtkWidget *form, enum word label);
/* An entry that shows dots. */
GtkWidget *form_secret(GtkWidget *form, enum word label);
/* A box that shows what is typed in both. */
void form_show_secrets(GtkWidget *form, GtkWidget *first, GtkWidget *second);
GtkWidget *form_text(GtkWidget *form, const char *text);
/* A row for buttons. */
GtkWidget *form_row(GtkWidget *form);
GtkWidget *form_button(GtkWidget *row, enum word label, GCallback on_click, gpointer user);

/* Cancel and OK; fallback is the answer to Enter. */
void form_dialog_buttons(GtkWidget *dialog, int fallback);

/* Two fields for a new password, with the agent's own rules explained while it is typed. */
struct new_password {
	struct app *app;
	GtkWidget *entry, *again, *hint, *button;
	const char *(*person)(void *user); /* NULL: the single one */
	void *user;
	guint timer, asked;
};

struct new_password_words {
	enum word first, again, save;
};

/* on_click for the button, which can be used when all is well. One in a form. */
struct new_password *form_new_password(struct app *app, GtkWidget *form,
	const struct new_password_words *words, GCallback on_click, gpointer user);
void new_password_clear(struct new_password *p);
