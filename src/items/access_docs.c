/* SPDX-License-Identifier: MIT */
/* The access table as a document: the same rows that the engine goes by. */
#include "items/access.h"

#include <errno.h>

static const char intro[] =
    "# Who may do what\n\n"
    "Printed by `genie config --access`; the table in `src/items/access.c` is the source. It decides for the "
    "items\n"
    "API, for the steps of flows and for every endpoint alike; what isn't in it can't be reached. How "
    "somebody becomes\n"
    "somebody is told in [identity.md](identity.md).\n\n"
    "A **user** acts on own rows (where the collection belongs to users) or on all (where it is shared). A "
    "**viewer**\n"
    "has only the reading of that. An **admin** acts on all rows and sees and writes every field named here "
    "but those\n"
    "that the server sets. Letters: **r**ead, **c**reate, **u**pdate, **d**elete. A field that one may not "
    "read can't be\n"
    "filtered by, sorted by or searched either, and is refused as if it didn't exist. Passwords, tokens, "
    "second factors,\n"
    "encrypted credentials and vectors are in no row: nobody reads or writes them here.\n\n";

static void add_actions(struct buf *out, unsigned actions)
{
    static const char letters[] = "rcud";
    for (unsigned i = 0; i < 4; i++)
        if (actions & 1u << i)
            (void)buf_addf(out, "%c", letters[i]);
    if (!actions)
        (void)buf_adds(out, "–");
}

static bool column_is_for_users(const struct column *c)
{
    return (c->flags & (USER_CREATES | USER_UPDATES)) != 0;
}

static bool column_is_pro(const struct column *c)
{
    return (c->flags & EXTENDED) != 0;
}

static bool column_is_for_admins(const struct column *c)
{
    return !(c->flags & USER_SEES);
}

static bool column_is_seen(const struct column *c)
{
    return (c->flags & USER_SEES) && !(c->flags & FIXED) && !column_is_for_users(c);
}

static bool column_is_set(const struct column *c)
{
    return (c->flags & FIXED) != 0;
}

/* "| `a`, `b` " for the columns that the test takes. */
static void add_columns(struct buf *out, const struct collection *collection,
                        bool (*takes)(const struct column *))
{
    int n = 0;
    (void)buf_adds(out, "| ");
    for (const struct column *c = collection->columns; c->name; c++)
        if (takes(c))
            (void)buf_addf(out, "%s`%s`", n++ ? ", " : "", c->name);
    (void)buf_adds(out, n ? " " : "– ");
}

/* "| `a` (`table`), … " */
static void add_references(struct buf *out, const struct collection *collection)
{
    int n = 0;
    (void)buf_adds(out, "| ");
    for (const struct column *c = collection->columns; c->name; c++)
        if (c->refers)
            (void)buf_addf(out, "%s`%s` (`%s`)", n++ ? ", " : "", c->name, c->refers);
    (void)buf_adds(out, n ? " " : "– ");
}

static void add_other_fields(struct buf *out)
{
    (void)buf_adds(out, "\n## Fields that users don't write\n\n"
                        "An id that names a row must name one of the same owner's, else it names nothing.\n\n"
                        "| collection | users see, admins write | the server sets | names rows of |\n"
                        "|---|---|---|---|\n");
    for (const struct collection *c = access_table; c->name; c++) {
        (void)buf_addf(out, "| `%s` ", c->name);
        add_columns(out, c, column_is_seen);
        add_columns(out, c, column_is_set);
        add_references(out, c);
        (void)buf_adds(out, "|\n");
    }
}

static void add_notes(struct buf *out)
{
    (void)buf_adds(out, "\n## Special rules\n\n");
    for (const struct collection *c = access_table; c->name; c++) {
        if (c->elsewhere)
            (void)buf_addf(out, "- `%s`: %s.\n", c->name, c->elsewhere);
        if (c->ruled)
            (void)buf_addf(out, "- `%s`: %s.\n", c->name, c->ruled);
        if (c->held)
            (void)buf_addf(out, "- `%s`: %s.\n", c->name, c->held_why);
        if (c->visible)
            (void)buf_addf(out, "- `%s`: users see only rows where `%s`.\n", c->name, c->visible);
        for (const struct column *col = c->columns; col->name; col++) {
            if (col->user_choices)
                (void)buf_addf(out, "- `%s.%s`: a user may write only `%s`", c->name, col->name,
                               col->user_choices);
            if (col->stored_as)
                (void)buf_addf(out, ", stored as `%s`", col->stored_as);
            if (col->user_choices)
                (void)buf_adds(out, ".\n");
            if (col->flags & WEB_URL)
                (void)buf_addf(out, "- `%s.%s` must be a http or https address, and no private one.\n",
                               c->name, col->name);
            if (col->then_why)
                (void)buf_addf(out, "- `%s.%s`: %s.\n", c->name, col->name, col->then_why);
            if (col->alias)
                (void)buf_addf(out, "- `%s.%s` may be called `%s`.\n", c->name, col->name, col->alias);
        }
    }
}

int access_print_docs(struct buf *out)
{
    (void)buf_adds(out, intro);
    (void)buf_adds(
        out,
        "| collection | rows of | user | admin | a user writes | only in Pro and Studio | only admins see |\n"
        "|---|---|---|---|---|---|---|\n");
    for (const struct collection *c = access_table; c->name; c++) {
        (void)buf_addf(out, "| `%s` | %s | ", c->name, c->owner ? c->owner : "all");
        add_actions(out, c->user_actions);
        (void)buf_adds(out, " | ");
        add_actions(out, c->admin_actions);
        (void)buf_adds(out, " ");
        add_columns(out, c, column_is_for_users);
        add_columns(out, c, column_is_pro);
        add_columns(out, c, column_is_for_admins);
        (void)buf_adds(out, "|\n");
    }
    add_other_fields(out);
    add_notes(out);
    return out->failed ? -ENOMEM : 0;
}
