/* SPDX-License-Identifier: MIT */
/* Who may do what to which collection and column: one table, read by the items engine, by the steps of flows,
 * by the tests and by docs/access.md. What isn't in it can't be reached. Columns that nobody may see here
 * (passwords, tokens, encrypted credentials, embeddings) have no row at all. */
#ifndef ITEMS_ACCESS_H
#define ITEMS_ACCESS_H

#include "auth/identity.h"
#include "base/buf.h"
#include "quota/tiers.h"

#define PLATFORMS "onlyfans|fansly|instagram|tiktok|x|reddit|youtube|snapchat|facebook"

struct quota;

enum action { ACTION_READ = 1, ACTION_CREATE = 2, ACTION_UPDATE = 4, ACTION_DELETE = 8 };

enum column_type {
    COLUMN_UUID,
    COLUMN_TEXT, /* at most `max` bytes */
    COLUMN_INT,  /* from `min` to `max` */
    COLUMN_REAL, /* likewise */
    COLUMN_BOOL,
    COLUMN_TIME,   /* ISO 8601 */
    COLUMN_CHOICE, /* one of `choices` */
    COLUMN_TAGS,   /* JSON array of short texts */
    COLUMN_JSON,   /* any JSON of at most `max` bytes */
};

enum column_flag {
    USER_SEES = 1,    /* users read, filter, sort and search it */
    USER_CREATES = 2, /* users may give it when they create a row */
    USER_UPDATES = 4, /* users may change it */
    NEEDED = 8,       /* a row can't be created without it */
    NULLABLE = 16,    /* may be null */
    EXTENDED = 32,    /* users: only in the tiers pro and studio */
    FIXED = 64,       /* set by the engine; not even admins write it */
    EMBEDDED = 128,   /* what the collection's `stale` column is worked out from */
    WEB_URL = 256,    /* a text that is opened later: http or https, and no private address (net/guard.h) */
};

struct column {
    const char *name;
    enum column_type type;
    unsigned flags;
    double min, max;
    const char *choices;      /* "a|b|c" */
    const char *user_choices; /* what a user may write, where that is less */
    const char *stored_as;    /* what a user's value becomes, whichever of user_choices it was */
    const char *refers;       /* the collection that an id in it names: the row must be the same owner's */
    const char *alias;        /* a second name that clients use */
    const char *stamp_value;  /* an update to this value sets … */
    const char *stamp;        /* … this column to now */
    const char *then;         /* SQL that follows an update of it, in the unit: ?1 is now, ?2 the row's id */
    const char *then_why;     /* what that does */
};

struct collection {
    const char *name;    /* also the table's */
    const char *owner;   /* the column that holds the owner's id; NULL = shared by all */
    const char *visible; /* SQL on rows: what others than admins see; NULL = all that the owner rule leaves */
    unsigned user_actions; /* enum action; a viewer has ACTION_READ of them */
    unsigned admin_actions;
    const char *elsewhere;      /* why some of this isn't done through the engine; NULL = all is */
    unsigned elsewhere_actions; /* what */
    const char *ruled; /* what rules of its own (items/rules.h) decide beside this table; NULL = none. Nothing
                           is written before they are set */
    const char *held;  /* SQL on rows that can't be deleted now; NULL = none */
    const char *held_why;
    const char *stale;            /* column that is emptied when an EMBEDDED one changes */
    const struct column *columns; /* ended by one without a name */
};

/* Ended by one without a name. */
extern const struct collection access_table[];

/* NULL if there is none, whoever asks. */
const struct collection *access_collection(const char *name);

/* By its name or alias; NULL if there is none, whoever asks. */
const struct column *access_column(const struct collection *collection, const char *name);

/* The actions this identity has on a collection at all (on which rows is another question). */
unsigned access_actions(const struct collection *collection, const struct identity *who);

bool access_reads(const struct column *column, const struct identity *who);

/* Whether EXTENDED columns are open to a tier's users. */
bool access_tier_is_extended(enum tier tier);

/* From now on the tiers in force say which plan a user's tier stands for, and with it which fields are read;
 * before, the names that every tiers file has. At start; quota must outlive all reading. */
void access_use_tiers(struct quota *quota);

/* action: ACTION_CREATE or ACTION_UPDATE. */
bool access_writes(const struct column *column, enum action action, const struct identity *who);

/* Appends docs/access.md. 0 or -ENOMEM. */
int access_print_docs(struct buf *out);

/* Whether a "a|b|c" list has that choice. */
bool access_choice(const char *choices, const char *value);

#endif
