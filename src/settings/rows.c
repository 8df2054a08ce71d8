#include "settings/rows.h"

#include <string.h>

enum {
	ID = ROWS_COLUMNS_MAX,
	STATE,
	ALL_COLUMNS,
	BUTTONS_MAX = 4
};

struct rows {
	struct app *app;
	uint16_t type;
	row_fn *fn;
	GtkListStore *store;
	GtkWidget *view, *buttons[BUTTONS_MAX];
	int button_count;
	guint listing; /* the newest time that they were asked for */
	char *chosen;  /* before that */
};

/* One page of the list is asked for. */
struct part {
	struct rows *rows;
	guint listing;
	int from;
};

static GtkTreeSelection *
selection(const struct rows *r)
{
	return gtk_tree_view_get_selection(GTK_TREE_VIEW(r->view));
}

char *
rows_chosen(struct rows *r, int *ret_state)
{
	GtkTreeModel *model;
	GtkTreeIter iter;
	char *id = NULL;
	if (gtk_tree_selection_get_selected(selection(r), &model, &iter))
		gtk_tree_model_get(model, &iter, ID, &id, STATE, ret_state, -1);
	return id;
}

static void
add_row(struct rows *r, const char *line)
{
	char cells[ROWS_COLUMNS_MAX][ROWS_CELL_SIZE] = {""}, id[ROWS_CELL_SIZE] = "";
	GtkTreeIter iter;
	int state = 0;
	if (!r->fn(line, cells, id, &state))
		return;
	gtk_list_store_insert_with_values(r->store, &iter, -1, ID, id, STATE, state, -1);
	for (int i = 0; i < ROWS_COLUMNS_MAX; i++)
		gtk_list_store_set(r->store, &iter, i, cells[i], -1);
	if (r->chosen && strcmp(r->chosen, id) == 0)
		gtk_tree_selection_select_iter(selection(r), &iter);
}

static void ask_from(struct rows *r, int from);

static void
on_list(struct app *app, int code, const char *answer, void *user)
{
	struct part part = *(struct part *)user;
	struct rows *r = part.rows;
	char **lines = g_strsplit(code == 0 ? answer : "", "\n", -1);
	int count = 0, state;
	(void)app;
	g_free(user);
	if (part.listing == r->listing && part.from == 1) {
		g_free(r->chosen);
		r->chosen = rows_chosen(r, &state);
		gtk_list_store_clear(r->store);
	}
	for (; part.listing == r->listing && lines[count] && *lines[count]; count++)
		add_row(r, lines[count]);
	g_strfreev(lines);
	if (count)
		ask_from(r, part.from + count);
}

static void
ask_from(struct rows *r, int from)
{
	struct part *part = g_new0(struct part, 1);
	char *text = g_strdup_printf("list %d", from);
	*part = (struct part){r, r->listing, from};
	app_look(r->app, r->type, text, on_list, part);
	g_free(text);
}

void
rows_show(struct rows *r)
{
	r->listing++;
	ask_from(r, 1);
}

static void
on_chosen(GtkTreeSelection *chosen, gpointer user)
{
	struct rows *r = user;
	gboolean some = gtk_tree_selection_count_selected_rows(chosen) > 0;
	for (int i = 0; i < r->button_count; i++)
		gtk_widget_set_sensitive(r->buttons[i], some);
}

void
rows_button(struct rows *r, GtkWidget *button)
{
	g_assert(r->button_count < BUTTONS_MAX);
	r->buttons[r->button_count++] = button;
	on_chosen(selection(r), r);
}

static void
rows_free(gpointer user)
{
	struct rows *r = user;
	g_free(r->chosen);
	g_free(r);
}

struct rows *
rows_new(struct app *app, GtkWidget *form, enum word name, uint16_t type, const enum word *titles,
	int columns, row_fn *fn)
{
	GType types[ALL_COLUMNS] = {[STATE] = G_TYPE_INT};
	struct rows *r = g_new0(struct rows, 1);
	GtkWidget *scrolled = gtk_scrolled_window_new(NULL, NULL);
	for (int i = 0; i <= ID; i++)
		types[i] = G_TYPE_STRING;
	r->app = app;
	r->type = type;
	r->fn = fn;
	r->store = gtk_list_store_newv(ALL_COLUMNS, types);
	r->view = gtk_tree_view_new_with_model(GTK_TREE_MODEL(r->store));
	g_object_unref(r->store);
	atk_object_set_name(gtk_widget_get_accessible(r->view), word(name));
	for (int i = 0; i < columns; i++)
		gtk_tree_view_insert_column_with_attributes(GTK_TREE_VIEW(r->view), -1,
			word(titles[i]), gtk_cell_renderer_text_new(), "text", i, NULL);
	gtk_widget_set_size_request(scrolled, -1, 150);
	gtk_scrolled_window_set_shadow_type(GTK_SCROLLED_WINDOW(scrolled), GTK_SHADOW_IN);
	gtk_container_add(GTK_CONTAINER(scrolled), r->view);
	gtk_box_pack_start(GTK_BOX(form), scrolled, FALSE, FALSE, 0);
	g_signal_connect(selection(r), "changed", G_CALLBACK(on_chosen), r);
	g_object_set_data_full(G_OBJECT(r->view), "rows", r, rows_free);
	return r;
}
