/* SPDX-License-Identifier: MIT */
/* What the files of the Directus-compatible family share. */
#ifndef API_DIRECTUS_H
#define API_DIRECTUS_H

#include "api/app.h"
#include "items/items.h"
#include "items/params.h"

/* {"errors":[{"message","extensions":{"code", …}}]}; takes the reference to further extensions (may be NULL).
 */
reply directus_refuse(struct request *rq, int status, const char *code, const char *message,
                      json_t *extensions);

/* The answer for what the items engine returned (r < 0). writing: a wrong value is the payload's fault, not
 * the query's. */
reply directus_refuse_items(struct request *rq, int r, const struct items_error *error, bool writing);

/* directus_auth.c */
struct login_body {
    const char *email, *password, *mode;
};
struct session_body {
    const char *refresh_token, *mode;
};
extern const struct field directus_login_fields[], directus_session_fields[];
reply directus_login(struct request *rq);
reply directus_refresh(struct request *rq);
reply directus_logout(struct request *rq);

/* Reads the query parameters; false with *ret_reply made. The caller frees p either way. */
bool directus_read_params(struct request *rq, struct items_params *p, reply *ret_reply);

/* The same for a writing, whose answer shows `fields`: those that can't be shown refuse it before it is done.
 */
bool directus_read_shown(struct request *rq, const char *collection, struct items_params *p,
                         reply *ret_reply);

/* The ids of a JSON array, in the arena: 0, or -EINVAL where they are not 1 to 500 texts. */
int directus_read_keys(struct request *rq, const json_t *keys, const char *const **ret, size_t *ret_n);

reply directus_refuse_payload(struct request *rq, const char *message);

/* Answers with rows as they are now (fields NULL: all that may be seen): an array, or the one row. */
reply directus_reply_rows(struct request *rq, const char *collection, const char *const *ids, size_t n,
                          bool many, const json_t *fields);

/* What the routes of any collection do: list by the query, read one, change by the body. */
reply directus_list(struct request *rq, const char *collection);
reply directus_read(struct request *rq, const char *collection, const char *id);
reply directus_update_one(struct request *rq, const char *collection, const char *id);
reply directus_update_many(struct request *rq, const char *collection);

/* directus_items.c */
reply directus_items_list(struct request *rq);
reply directus_items_create(struct request *rq);
reply directus_items_update(struct request *rq);
reply directus_items_delete(struct request *rq);
reply directus_item_read(struct request *rq);
reply directus_item_update(struct request *rq);
reply directus_item_delete(struct request *rq);
reply directus_me_read(struct request *rq);
reply directus_me_update(struct request *rq);

/* directus_files.c */
reply directus_files_list(struct request *rq);
reply directus_files_create(struct request *rq);
reply directus_files_update(struct request *rq);
reply directus_files_delete(struct request *rq);
reply directus_file_read(struct request *rq);
reply directus_file_update(struct request *rq);
reply directus_file_delete(struct request *rq);

/* directus_assets.c */
reply directus_asset_read(struct request *rq);

#endif
