/* SPDX-License-Identifier: MIT */
#include "directus/fields.h"

#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define LINE_MOST_BYTES 4096 /* longer texts are edited in several lines */
#define TEMPLATE_OF_USERS "{{ email }}"

/* What each type of column looks like, unless it names a row or has a meaning of its own. */
static const struct look {
    const char *special, *interface, *display, *width;
} looks[] = {
    [COLUMN_UUID] = {NULL, "input", NULL, "half"},
    [COLUMN_TEXT] = {NULL, "input", NULL, "half"},
    [COLUMN_INT] = {NULL, "input", NULL, "half"},
    [COLUMN_REAL] = {NULL, "input", NULL, "half"},
    [COLUMN_BOOL] = {"cast-boolean", "boolean", "boolean", "half"},
    [COLUMN_TIME] = {NULL, "datetime", "datetime", "half"},
    [COLUMN_CHOICE] = {NULL, "select-dropdown", "labels", "half"},
    [COLUMN_TAGS] = {"cast-json", "tags", "labels", "full"},
    [COLUMN_JSON] = {"cast-json", "input-code", "raw", "full"},
};

static const struct {
    const char *column, *special;
} meanings[] = {{"id", "uuid"}, {"date_created", "date-created"}, {"date_updated", "date-updated"}};

static bool is_owner(const struct collection *collection, const struct column *column)
{
    return str_equal(collection->owner, column->name) && strcmp(column->name, "id") != 0;
}

const char *directus_related(const struct collection *collection, const struct column *column)
{
    return is_owner(collection, column) ? "directus_users" : column->refers;
}

/* A built value as text in the arena; frees it. */
static int to_text(struct arena *a, json_t *value, const char **ret)
{
    *ret = value ? json_text(a, value) : NULL;
    json_decref(value);
    return *ret ? 0 : -ENOMEM;
}

static int choices(struct arena *a, const char *list, const char **ret)
{
    json_t *all = json_array();
    for (const char *at = list; *at; at += *at == '|') {
        size_t len = strcspn(at, "|");
        (void)json_array_append_new(all, json_pack("{s:s%, s:s%}", "text", at, len, "value", at, len));
        at += len;
    }
    return to_text(a, json_pack("{s:o}", "choices", all), ret);
}

static int look_as_relation(const char *related, struct arena *a, struct directus_field *ret)
{
    const struct directus_collection *to = directus_collection(related);
    bool file = strcmp(related, "directus_files") == 0;
    const char *template = to && to->display ? to->display : TEMPLATE_OF_USERS;
    ret->special = file ? "file" : "m2o";
    ret->interface = file ? "file" : "select-dropdown-m2o";
    ret->display = file ? "file" : "related-values";
    if (file)
        return 0;
    int r = to_text(a, json_pack("{s:s}", "template", template), &ret->options);
    ret->display_options = ret->options;
    return r;
}

static int look_as_type(const struct column *column, struct arena *a, struct directus_field *ret)
{
    const struct look *look = &looks[column->type];
    ret->special = look->special;
    ret->interface = look->interface;
    ret->display = look->display;
    ret->width = look->width;
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
        if (strcmp(meanings[i].column, column->name) == 0)
            ret->special = meanings[i].special;
    if (column->type == COLUMN_TEXT && column->max > LINE_MOST_BYTES) {
        ret->interface = "input-multiline";
        ret->width = "full";
    }
    if (column->type == COLUMN_JSON)
        ret->options = "{\"language\":\"json\"}";
    return column->type == COLUMN_CHOICE ? choices(a, column->choices, &ret->options) : 0;
}

int directus_field_of(const struct collection *collection, const struct column *column, int sort,
                      struct arena *a, struct directus_field *ret)
{
    const char *related = directus_related(collection, column);
    const char *note = directus_column_note(collection->name, column->name);
    *ret = (struct directus_field){
        .collection = collection->name,
        .field = column->name,
        .width = "half",
        .readonly = (column->flags & FIXED) != 0,
        .hidden = strcmp(column->name, "id") == 0,
        .required = (column->flags & NEEDED) != 0,
        .note = note                       ? note
                : column->flags & EXTENDED ? "Shown to creators of the tiers Pro and Studio"
                                           : NULL,
        .sort = sort,
    };
    return related ? look_as_relation(related, a, ret) : look_as_type(column, a, ret);
}

void directus_field_concealed(const struct directus_concealed *concealed, struct directus_field *ret)
{
    *ret = (struct directus_field){
        .collection = concealed->collection,
        .field = concealed->field,
        .special = "conceal",
        .interface = "input",
        .note = concealed->note,
        .width = "full",
        .readonly = true,
        .hidden = true,
    };
}
