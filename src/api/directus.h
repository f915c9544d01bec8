/* SPDX-License-Identifier: MIT */
/* What the files of the Directus-compatible family share. */
#ifndef API_DIRECTUS_H
#define API_DIRECTUS_H

#include "api/app.h"
#include "items/items.h"

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

#endif
