/* SPDX-License-Identifier: MIT */
/* The items engine: filtered reads and writes on the collections of the access table (items/access.h), always
 * on behalf of somebody. Every way to a row goes through it: /api/directus/items, the directus_* steps of
 * flows, and the endpoints that show or change a user's own rows; so a right is decided in one place.
 *
 * A query is Directus's: fields, filter (_eq _neq _in _nin _lt _lte _gt _gte _null _nnull _contains _and
 * _or), sort, limit, offset, search, meta. A field that one can't read can't be filtered, sorted or searched
 * either.
 *
 * Functions return 0 or: -ENOENT (no such row, or not yours: never told apart; with ret_error->field, an id
 * in that field names nothing of the row's owner), -EACCES (the collection, action or, where it is named, the
 * field is forbidden to this user), -EINVAL (with *ret_error's sentence and field; also a query that took
 * longer than ITEMS_READ_LIMIT_MS), -EALREADY (the row's state doesn't allow it any more, with a sentence),
 * -EDQUOT (the plan's limit, with ret_error->quota), -EEXIST (a unique rule), -EBUSY (the user has
 * ITEMS_SCANS_EACH queries running that read texts whole), or the store's errors. Blocking; workers only. */
#ifndef ITEMS_ITEMS_H
#define ITEMS_ITEMS_H

#include "auth/identity.h"
#include "base/json.h"
#include "quota/quota.h"

/* What one user's reading may take of the store that all share. */
#define ITEMS_READ_LIMIT_MS 5000
#define ITEMS_SCANS_EACH 3

struct idempotency_claim;

struct items_error {
    char field[64]; /* "" if no single field is to blame */
    char sentence[200];
    struct quota_outcome quota; /* of a refusal by the plan: what reply and sentence are made of */
};

struct items_query {
    const json_t *fields;  /* array of names or NULL = all readable ("*") */
    const json_t *filter;  /* filter object or NULL */
    const json_t *sort;    /* array of names, "-name" descending; NULL = by date_created or id */
    const char *search;    /* contained in any readable text field; NULL = none */
    const char *search_in; /* "a|b": only in these of them; NULL = in all */
    int64_t limit;         /* -1 = the most allowed (1,000) */
    int64_t offset;
    bool total_count, filter_count;
};

/* Rows as a JSON array in *ret_rows (a new reference); counts in *ret_meta as an object where asked for, else
 * NULL. */
int items_read(struct db *db, const struct identity *who, const char *collection, const struct items_query *q,
               json_t **ret_rows, json_t **ret_meta, struct items_error *ret_error);

/* One row by id; fields as above. */
int items_read_one(struct db *db, const struct identity *who, const char *collection, const char *id,
                   const json_t *fields, json_t **ret_row, struct items_error *ret_error);

/* Whether a read would show these fields (as above): 0, -EACCES or -EINVAL. For who answers a writing with
 * them, and must not refuse what is done already. */
int items_check_fields(const struct identity *who, const char *collection, const json_t *fields,
                       struct items_error *ret_error);

/* Creates a row from an object (or several, all or none, from an array); *ret is what a read of it shows. */
int items_create(struct db *db, const struct identity *who, const char *collection, const json_t *values,
                 json_t **ret, struct items_error *ret_error);

/* The same for a request with an Idempotency-Key (claim NULL: without): the rows and the key's answer are one
 * unit. answer makes that answer from what *ret will be (borrowed): a new reference, or NULL without memory.
 * -ECANCELED where the claim was lost. */
int items_create_once(struct db *db, const struct identity *who, const char *collection, const json_t *values,
                      const struct idempotency_claim *claim, json_t *(*answer)(const json_t *made),
                      json_t **ret, struct items_error *ret_error);

/* Changes fields of the rows with these ids (all or none). */
int items_update(struct db *db, const struct identity *who, const char *collection, const char *const *ids,
                 size_t n, const json_t *values, struct items_error *ret_error);

int items_delete(struct db *db, const struct identity *who, const char *collection, const char *const *ids,
                 size_t n, struct items_error *ret_error);

/* For the endpoint that a collection's `elsewhere` names, which sees to the rest of it: whether this identity
 * may create a row with these values (their fields, types and limits; references are not looked at), and the
 * deletion that items_delete refuses. */
int items_check_new(const struct identity *who, const char *collection, const json_t *values,
                    struct items_error *ret_error);
int items_delete_here(struct db *db, const struct identity *who, const char *collection,
                      const char *const *ids, size_t n, struct items_error *ret_error);

/* Whether a row (or a file) with that id exists and is this user's own: 0, -ENOENT, or the store's error. For
 * ids that come in bodies and configurations. */
int items_own(struct db *db, const struct identity *who, const char *collection, const char *id);

/* Called after rows changed, so that caches over a collection can be dropped. One listener per purpose, set
 * at start. */
typedef void (*items_changed_fn)(void *ctx, const char *collection, const char *user_id);
void items_on_change(items_changed_fn fn, void *ctx);

#endif
