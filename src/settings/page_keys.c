/* Security keys: what is registered, and a code with which one more registers itself from home. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/message.h"
#include "settings/rows.h"

struct keys {
	struct app *app;
	struct rows *rows;
	GtkWidget *label, *person, *open, *code;
};

static void
put_day(const char *seconds, char *out)
{
	time_t when = (time_t)strtoll(seconds, NULL, 10);
	struct tm day;
	if (when <= 0 || !localtime_r(&when, &day) ||
		strftime(out, ROWS_CELL_SIZE, "%Y-%m-%d", &day) == 0)
		g_strlcpy(out, "-", ROWS_CELL_SIZE);
}

/* "N made used person|- label" */
static int
take_row(const char *line, char cells[ROWS_COLUMNS_MAX][ROWS_CELL_SIZE],
	char id[static ROWS_CELL_SIZE], int *ret_state)
{
	char **field = g_strsplit(line, " ", 5);
	int ok = g_strv_length(field) == 5;
	*ret_state = 0;
	if (ok) {
		g_strlcpy(id, field[0], ROWS_CELL_SIZE);
		g_strlcpy(cells[0], field[4], ROWS_CELL_SIZE);
		g_strlcpy(cells[1], field[3], ROWS_CELL_SIZE);
		put_day(field[1], cells[2]);
		put_day(field[2], cells[3]);
	}
	g_strfreev(field);
	return ok;
}

static void
show_code(struct keys *k, const char *code)
{
	gtk_label_set_text(GTK_LABEL(k->code), code);
	gtk_widget_set_visible(k->open, *code != '\0');
}

static void
on_added(struct app *app, int code, const char *answer, void *user)
{
	struct keys *k = user;
	(void)app;
	if (code < 0)
		return;
	gtk_entry_set_text(GTK_ENTRY(k->label), "");
	show_code(k, answer);
}

/* Blanks may stand in the label only. */
static void
on_add(GtkWidget *widget, gpointer user)
{
	struct keys *k = user;
	char **parts = g_strsplit(gtk_entry_get_text(GTK_ENTRY(k->person)), " ", -1);
	char *person = g_strjoinv("_", parts);
	char *text = g_strdup_printf(
		"add %s %s", *person ? person : "-", gtk_entry_get_text(GTK_ENTRY(k->label)));
	(void)widget;
	app_change_quiet(k->app, MSG_KEY, text, on_added, k);
	g_free(text);
	g_free(person);
	g_strfreev(parts);
}

static void
on_cancelled(struct app *app, int code, const char *answer, void *user)
{
	(void)app, (void)answer;
	if (code == 0)
		show_code(user, "");
}

static void
on_cancel(GtkWidget *widget, gpointer user)
{
	struct keys *k = user;
	(void)widget;
	app_change(k->app, MSG_KEY, "cancel", on_cancelled, k);
}

static void
on_removed(struct app *app, int code, const char *answer, void *user)
{
	struct keys *k = user;
	(void)app, (void)answer;
	if (code == 0)
		rows_show(k->rows);
}

static void
remove_chosen(void *user)
{
	struct keys *k = user;
	int state;
	char *id = rows_chosen(k->rows, &state);
	char *text = g_strdup_printf("remove %s", id ? id : "");
	if (id)
		app_change(k->app, MSG_KEY, text, on_removed, k);
	g_free(text);
	g_free(id);
}

static void
on_remove(GtkWidget *widget, gpointer user)
{
	struct keys *k = user;
	(void)widget;
	app_sure(k->app, word(WORD_KEY_REMOVE_SURE), remove_chosen, k);
}

/* Looked at anew whenever the page is: a key may have come from home. */
static void
on_map(GtkWidget *widget, gpointer user)
{
	struct keys *k = user;
	(void)widget;
	rows_show(k->rows);
}

static GtkWidget *
build(struct app *app)
{
	static const enum word titles[] = {
		WORD_KEY_NAME, WORD_KEY_PERSON, WORD_KEY_MADE, WORD_KEY_USED};
	struct keys *k = g_new0(struct keys, 1);
	GtkWidget *form = form_new(WORD_KEYS_HEAD, WORD_KEYS_TEXT);
	k->app = app;
	k->rows = rows_new(app, form, WORD_KEYS_HEAD, MSG_KEY, titles, 4, take_row);
	rows_button(
		k->rows, form_button(form_row(form), WORD_KEY_REMOVE, G_CALLBACK(on_remove), k));
	k->label = form_entry(form, WORD_KEY_NEW);
	k->person = form_entry(form, WORD_KEY_NEW_PERSON);
	form_button(form_row(form), WORD_KEY_ADD, G_CALLBACK(on_add), k);
	k->open = gtk_box_new(GTK_ORIENTATION_VERTICAL, 8);
	k->code = form_value(k->open, WORD_KEY_CODE);
	gtk_style_context_add_class(gtk_widget_get_style_context(k->code), "large");
	form_button(form_row(k->open), WORD_KEY_CANCEL, G_CALLBACK(on_cancel), k);
	gtk_box_pack_start(GTK_BOX(form), k->open, FALSE, FALSE, 0);
	gtk_widget_show_all(k->open);
	gtk_widget_set_no_show_all(k->open, TRUE);
	gtk_widget_hide(k->open);
	g_signal_connect(form, "map", G_CALLBACK(on_map), k);
	g_object_set_data_full(G_OBJECT(form), "keys", k, g_free);
	return form;
}

const struct page page_keys = {"keys", WORD_KEYS, build, NULL};
