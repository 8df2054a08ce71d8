/* The persons who share this office PC. */
#include <string.h>

#include "agent/message.h"
#include "settings/rows.h"

struct users {
	struct app *app;
	struct rows *rows;
	GtkWidget *name, *method, *expires, *last_day;
	struct new_password *fields, *change;
	long long known; /* rows that are shown, -1: to be asked for */
};

static const struct {
	const char *id;
	enum word name;
} methods[] = {
	{"password", WORD_METHOD_PASSWORD}, {"pam", WORD_METHOD_PAM},
	{"radius", WORD_METHOD_RADIUS}, {"ldap", WORD_METHOD_LDAP},
	{"certificate", WORD_METHOD_CERTIFICATE},
	{"pinned", WORD_METHOD_PINNED}, /* chosen on the terminal, where the certificate is */
};
enum {
	METHODS = sizeof methods / sizeof methods[0],
	METHODS_TO_ADD = METHODS - 1
};

/* ---- list ---- */

static const char *
method_name(const char *id)
{
	for (size_t i = 0; i < METHODS; i++)
		if (strcmp(methods[i].id, id) == 0)
			return word(methods[i].name);
	return id;
}

/* "NAME METHOD LAST-DAY on|off" */
static int
take_row(const char *line, char cells[ROWS_COLUMNS_MAX][ROWS_CELL_SIZE],
	char id[static ROWS_CELL_SIZE], int *ret_off)
{
	char **field = g_strsplit(line, " ", 4);
	int ok = g_strv_length(field) == 4;
	if (ok) {
		*ret_off = strcmp(field[3], "off") == 0;
		g_strlcpy(id, field[0], ROWS_CELL_SIZE);
		g_strlcpy(cells[0], field[0], ROWS_CELL_SIZE);
		g_strlcpy(cells[1], method_name(field[1]), ROWS_CELL_SIZE);
		g_strlcpy(cells[2], strcmp(field[2], "-") == 0 ? word(WORD_NONE) : field[2],
			ROWS_CELL_SIZE);
		g_strlcpy(cells[3], word(*ret_off ? WORD_USER_OFF : WORD_USER_ON), ROWS_CELL_SIZE);
	}
	g_strfreev(field);
	return ok;
}

static void
on_changed(struct app *app, int code, const char *answer, void *user)
{
	struct users *u = user;
	(void)app, (void)answer;
	if (code == 0)
		u->known = -1; /* the status that follows has them shown */
}

static void
on_toggle(GtkWidget *widget, gpointer user)
{
	struct users *u = user;
	int off = FALSE;
	char *name = rows_chosen(u->rows, &off);
	char *text = g_strdup_printf("%s %s", off ? "enable" : "disable", name ? name : "");
	(void)widget;
	if (name)
		app_change(u->app, MSG_USERS, text, on_changed, u);
	g_free(text);
	g_free(name);
}

static void
remove_chosen(void *user)
{
	struct users *u = user;
	int off;
	char *name = rows_chosen(u->rows, &off);
	char *text = g_strdup_printf("remove %s", name ? name : "");
	if (name)
		app_change(u->app, MSG_USERS, text, on_changed, u);
	g_free(text);
	g_free(name);
}

static void
on_remove(GtkWidget *widget, gpointer user)
{
	struct users *u = user;
	int off;
	char *name = rows_chosen(u->rows, &off);
	char *question = word_name(WORD_USER_REMOVE_SURE_NAME, name ? name : "");
	(void)widget;
	if (name)
		app_sure(u->app, question, remove_chosen, u);
	g_free(question);
	g_free(name);
}

/* ---- the chosen one ---- */

static char *
without_blanks(const char *text)
{
	char **parts = g_strsplit(text, " ", -1), *joined = g_strjoinv("", parts);
	g_strfreev(parts);
	return joined;
}

static void
on_expired(struct app *app, int code, const char *answer, void *user)
{
	struct users *u = user;
	if (code == 0)
		gtk_entry_set_text(GTK_ENTRY(u->last_day), "");
	on_changed(app, code, answer, user);
}

static void
on_expire(GtkWidget *widget, gpointer user)
{
	struct users *u = user;
	int off;
	char *name = rows_chosen(u->rows, &off);
	char *day = without_blanks(gtk_entry_get_text(GTK_ENTRY(u->last_day)));
	char *text = g_strdup_printf("expire %s %s", name ? name : "", *day ? day : "-");
	(void)widget;
	if (name)
		app_change(u->app, MSG_USERS, text, on_expired, u);
	g_free(text);
	g_free(day);
	g_free(name);
}

static const char *
chosen_name(void *user)
{
	static char kept[ROWS_CELL_SIZE]; /* for as long as one question takes to be written */
	const struct users *u = user;
	int off;
	char *name = rows_chosen(u->rows, &off);
	g_strlcpy(kept, name ? name : "", sizeof kept);
	g_free(name);
	return kept;
}

static void
on_password_changed(struct app *app, int code, const char *answer, void *user)
{
	struct users *u = user;
	(void)app, (void)answer;
	if (code == 0)
		new_password_clear(u->change);
}

static void
on_password(GtkWidget *widget, gpointer user)
{
	struct users *u = user;
	const char *name = chosen_name(u);
	char *text = g_strdup_printf(
		"password %s %s", name, gtk_entry_get_text(GTK_ENTRY(u->change->entry)));
	(void)widget;
	if (*name)
		app_change_person(u->app, name, MSG_USERS, text, on_password_changed, u);
	explicit_bzero(text, strlen(text));
	g_free(text);
}

static void
build_change(struct users *u, GtkWidget *form)
{
	static const struct new_password_words words = {
		WORD_USER_PASSWORD_NEW, WORD_USER_PASSWORD_AGAIN, WORD_USER_PASSWORD};
	GtkWidget *part = gtk_box_new(GTK_ORIENTATION_VERTICAL, 8);
	form_heading(form, WORD_USER_CHANGE_HEAD);
	u->last_day = form_entry(form, WORD_USER_EXPIRES_NEW);
	rows_button(
		u->rows, form_button(form_row(form), WORD_USER_EXPIRE, G_CALLBACK(on_expire), u));
	u->change = form_new_password(u->app, part, &words, G_CALLBACK(on_password), u);
	u->change->person = chosen_name;
	u->change->user = u;
	gtk_box_pack_start(GTK_BOX(form), part, FALSE, FALSE, 0);
}

static void
build_list(struct users *u, GtkWidget *form)
{
	static const enum word titles[] = {
		WORD_USER_NAME, WORD_USER_METHOD, WORD_USER_EXPIRES, WORD_USER_STATE};
	u->rows = rows_new(u->app, form, WORD_USERS_HEAD, MSG_USERS, titles, 4, take_row);
	GtkWidget *row = form_row(form);
	rows_button(u->rows, form_button(row, WORD_USER_TOGGLE, G_CALLBACK(on_toggle), u));
	rows_button(u->rows, form_button(row, WORD_USER_REMOVE, G_CALLBACK(on_remove), u));
}

/* ---- one more ---- */

static const char *
text_of(GtkWidget *entry)
{
	return gtk_entry_get_text(GTK_ENTRY(entry));
}

static const char *
new_name(void *user)
{
	const struct users *u = user;
	return strchr(text_of(u->name), ' ') ? "" : text_of(u->name);
}

static const char *
method(const struct users *u)
{
	int i = gtk_combo_box_get_active(GTK_COMBO_BOX(u->method));
	return methods[i < 0 ? 0 : i].id;
}

static void
on_added(struct app *app, int code, const char *answer, void *user)
{
	struct users *u = user;
	(void)app, (void)answer;
	if (code < 0)
		return;
	gtk_entry_set_text(GTK_ENTRY(u->name), "");
	gtk_entry_set_text(GTK_ENTRY(u->expires), "");
	new_password_clear(u->fields);
	u->known = -1;
}

/* A blank in a name or date would make another question of it: left out. */
static void
on_add(GtkWidget *widget, gpointer user)
{
	struct users *u = user;
	char *joined = without_blanks(text_of(u->name)),
	     *date = without_blanks(text_of(u->expires));
	int own = strcmp(method(u), "password") == 0;
	char *text = g_strdup_printf("add %s %s %s%s%s", method(u), *date ? date : "-", joined,
		own ? " " : "", own ? text_of(u->fields->entry) : "");
	(void)widget;
	app_change(u->app, MSG_USERS, text, on_added, u);
	explicit_bzero(text, strlen(text));
	g_free(text);
	g_free(joined);
	g_free(date);
}

/* Elsewhere checked: no password to choose. */
static void
on_method(GtkWidget *widget, gpointer user)
{
	struct users *u = user;
	int own = strcmp(method(u), "password") == 0;
	(void)widget;
	gtk_widget_set_sensitive(u->fields->entry, own);
	gtk_widget_set_sensitive(u->fields->again, own);
	gtk_widget_set_sensitive(u->fields->button, !own);
	new_password_clear(u->fields);
	if (!own)
		gtk_widget_set_sensitive(u->fields->button, TRUE);
}

static void
build_new(struct users *u, GtkWidget *form)
{
	static const struct new_password_words words = {
		WORD_PASSWORD_NEW, WORD_PASSWORD_AGAIN, WORD_USER_ADD};
	form_heading(form, WORD_USER_ADD_HEAD);
	u->name = form_entry(form, WORD_USER_ADD_NAME);
	u->method = gtk_combo_box_text_new();
	for (size_t i = 0; i < METHODS_TO_ADD; i++)
		gtk_combo_box_text_append_text(
			GTK_COMBO_BOX_TEXT(u->method), word(methods[i].name));
	form_labelled(form, WORD_USER_ADD_METHOD, u->method);
	u->expires = form_entry(form, WORD_USER_ADD_EXPIRES);
	u->fields = form_new_password(u->app, form, &words, G_CALLBACK(on_add), u);
	u->fields->person = new_name;
	u->fields->user = u;
	g_signal_connect(u->method, "changed", G_CALLBACK(on_method), u);
	gtk_combo_box_set_active(GTK_COMBO_BOX(u->method), 0);
}

static GtkWidget *
build(struct app *app)
{
	struct users *u = g_new0(struct users, 1);
	GtkWidget *form = form_new(WORD_USERS_HEAD, WORD_USERS_TEXT);
	u->app = app;
	u->known = -1;
	build_list(u, form);
	build_change(u, form);
	build_new(u, form);
	g_object_set_data_full(G_OBJECT(form), "users", u, g_free);
	return form;
}

/* Asked for when their number is another: somebody may have used the terminal. */
static void
refresh(struct app *app, GtkWidget *page, const json_t *status)
{
	struct users *u = g_object_get_data(G_OBJECT(page), "users");
	long long count = json_integer_value(json_object_get(status, "users"));
	(void)app;
	if (!status || count == u->known)
		return;
	u->known = count;
	rows_show(u->rows);
}

const struct page page_users = {"users", WORD_USERS, build, refresh};
