/* The persons who share this office PC. */
#include <string.h>

#include "agent/message.h"
#include "settings/form.h"

enum {
	NAME,
	METHOD,
	EXPIRES,
	STATE,
	IS_OFF,
	COLUMNS
};

struct users {
	struct app *app;
	GtkListStore *rows;
	GtkWidget *view, *name, *method, *expires, *toggle, *remove;
	struct new_password *fields;
	long long known; /* rows that are shown, -1: to be asked for */
	guint listing;   /* the newest time that they were asked for */
	char *chosen;    /* before that */
};

static const struct {
	const char *id;
	enum word name;
} methods[] = {
	{"password", WORD_METHOD_PASSWORD},
	{"pam", WORD_METHOD_PAM},
	{"radius", WORD_METHOD_RADIUS},
	{"ldap", WORD_METHOD_LDAP},
};
enum {
	METHODS = sizeof methods / sizeof methods[0]
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

/* The chosen row's name, NULL when there is none; g_free. */
static char *
chosen(struct users *u, gboolean *ret_off)
{
	GtkTreeModel *model;
	GtkTreeIter iter;
	char *name = NULL;
	if (gtk_tree_selection_get_selected(
		    gtk_tree_view_get_selection(GTK_TREE_VIEW(u->view)), &model, &iter))
		gtk_tree_model_get(model, &iter, NAME, &name, IS_OFF, ret_off, -1);
	return name;
}

/* One page of the list is asked for. */
struct part {
	struct users *u;
	guint listing;
	int from;
};

static void
add_row(struct users *u, const char *line)
{
	GtkTreeIter iter;
	char **field = g_strsplit(line, " ", 4);
	if (g_strv_length(field) == 4) {
		int off = strcmp(field[3], "off") == 0;
		gtk_list_store_insert_with_values(u->rows, &iter, -1, NAME, field[0], METHOD,
			method_name(field[1]), EXPIRES,
			strcmp(field[2], "-") == 0 ? word(WORD_NONE) : field[2], STATE,
			word(off ? WORD_USER_OFF : WORD_USER_ON), IS_OFF, off, -1);
		if (u->chosen && strcmp(u->chosen, field[0]) == 0)
			gtk_tree_selection_select_iter(
				gtk_tree_view_get_selection(GTK_TREE_VIEW(u->view)), &iter);
	}
	g_strfreev(field);
}

static void ask_from(struct users *u, int from);

static void
on_list(struct app *app, int code, const char *answer, void *user)
{
	struct part part = *(struct part *)user;
	struct users *u = part.u;
	char **lines = g_strsplit(code == 0 ? answer : "", "\n", -1);
	int count = 0;
	(void)app;
	g_free(user);
	if (part.listing == u->listing && part.from == 1) {
		gboolean off;
		g_free(u->chosen);
		u->chosen = chosen(u, &off);
		gtk_list_store_clear(u->rows);
	}
	for (; part.listing == u->listing && lines[count] && *lines[count]; count++)
		add_row(u, lines[count]);
	g_strfreev(lines);
	if (count)
		ask_from(u, part.from + count);
}

static void
ask_from(struct users *u, int from)
{
	struct part *part = g_new0(struct part, 1);
	char *text = g_strdup_printf("list %d", from);
	*part = (struct part){u, u->listing, from};
	app_ask(u->app, MSG_USERS, text, on_list, part);
	g_free(text);
}

static void
show(struct users *u)
{
	u->listing++;
	ask_from(u, 1);
}

static void
on_chosen(GtkTreeSelection *selection, gpointer user)
{
	struct users *u = user;
	gboolean some = gtk_tree_selection_count_selected_rows(selection) > 0;
	gtk_widget_set_sensitive(u->toggle, some);
	gtk_widget_set_sensitive(u->remove, some);
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
	gboolean off = FALSE;
	char *name = chosen(u, &off);
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
	gboolean off;
	char *name = chosen(u, &off);
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
	gboolean off;
	char *name = chosen(u, &off);
	char *question = word_name(WORD_USER_REMOVE_SURE_NAME, name ? name : "");
	(void)widget;
	if (name)
		app_sure(u->app, question, remove_chosen, u);
	g_free(question);
	g_free(name);
}

static void
build_list(struct users *u, GtkWidget *form)
{
	static const enum word titles[] = {
		WORD_USER_NAME, WORD_USER_METHOD, WORD_USER_EXPIRES, WORD_USER_STATE};
	GtkWidget *scrolled = gtk_scrolled_window_new(NULL, NULL);
	u->rows = gtk_list_store_new(COLUMNS, G_TYPE_STRING, G_TYPE_STRING, G_TYPE_STRING,
		G_TYPE_STRING, G_TYPE_BOOLEAN);
	u->view = gtk_tree_view_new_with_model(GTK_TREE_MODEL(u->rows));
	g_object_unref(u->rows);
	atk_object_set_name(gtk_widget_get_accessible(u->view), word(WORD_USERS_HEAD));
	for (int i = NAME; i <= STATE; i++)
		gtk_tree_view_insert_column_with_attributes(GTK_TREE_VIEW(u->view), -1,
			word(titles[i]), gtk_cell_renderer_text_new(), "text", i, NULL);
	gtk_widget_set_size_request(scrolled, -1, 140);
	gtk_scrolled_window_set_shadow_type(GTK_SCROLLED_WINDOW(scrolled), GTK_SHADOW_IN);
	gtk_container_add(GTK_CONTAINER(scrolled), u->view);
	gtk_box_pack_start(GTK_BOX(form), scrolled, FALSE, FALSE, 0);
	GtkWidget *row = form_row(form);
	u->toggle = form_button(row, WORD_USER_TOGGLE, G_CALLBACK(on_toggle), u);
	u->remove = form_button(row, WORD_USER_REMOVE, G_CALLBACK(on_remove), u);
	GtkTreeSelection *selection = gtk_tree_view_get_selection(GTK_TREE_VIEW(u->view));
	g_signal_connect(selection, "changed", G_CALLBACK(on_chosen), u);
	on_chosen(selection, u);
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
	char **name = g_strsplit(text_of(u->name), " ", -1), *joined = g_strjoinv("", name);
	char **day = g_strsplit(text_of(u->expires), " ", -1), *date = g_strjoinv("", day);
	int own = strcmp(method(u), "password") == 0;
	char *text = g_strdup_printf("add %s %s %s%s%s", method(u), *date ? date : "-", joined,
		own ? " " : "", own ? text_of(u->fields->entry) : "");
	(void)widget;
	app_change(u->app, MSG_USERS, text, on_added, u);
	explicit_bzero(text, strlen(text));
	g_free(text);
	g_free(joined);
	g_free(date);
	g_strfreev(name);
	g_strfreev(day);
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
	form_heading(form, WORD_USER_ADD_HEAD);
	u->name = form_entry(form, WORD_USER_ADD_NAME);
	u->method = gtk_combo_box_text_new();
	for (size_t i = 0; i < METHODS; i++)
		gtk_combo_box_text_append_text(
			GTK_COMBO_BOX_TEXT(u->method), word(methods[i].name));
	form_labelled(form, WORD_USER_ADD_METHOD, u->method);
	u->expires = form_entry(form, WORD_USER_ADD_EXPIRES);
	u->fields = form_new_password(u->app, form, WORD_USER_ADD, G_CALLBACK(on_add), u);
	u->fields->person = new_name;
	u->fields->user = u;
	g_signal_connect(u->method, "changed", G_CALLBACK(on_method), u);
	gtk_combo_box_set_active(GTK_COMBO_BOX(u->method), 0);
}

static void
users_free(gpointer user)
{
	struct users *u = user;
	g_free(u->chosen);
	g_free(u);
}

static GtkWidget *
build(struct app *app)
{
	struct users *u = g_new0(struct users, 1);
	GtkWidget *form = form_new(WORD_USERS_HEAD, WORD_USERS_TEXT);
	u->app = app;
	u->known = -1;
	build_list(u, form);
	build_new(u, form);
	g_object_set_data_full(G_OBJECT(form), "users", u, users_free);
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
	show(u);
}

const struct page page_users = {"users", WORD_USERS, build, refresh};
