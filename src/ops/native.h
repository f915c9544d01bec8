/* SPDX-License-Identifier: MIT */
/* What AnythingLLM's tables hold of one of its users, as an export shows it; private to src/ops. */
#ifndef OPS_NATIVE_H
#define OPS_NATIVE_H

#include "items/access.h"

/* Workspaces that ?1 (an AnythingLLM user) is the only member of. */
#define OWN_WORKSPACES \
    "(SELECT workspace_id FROM workspace_users WHERE user_id = ?1 AND workspace_id NOT IN" \
    " (SELECT workspace_id FROM workspace_users WHERE user_id <> ?1))"

struct native_table {
    const char *name;
    const struct column *columns;
    const char *where; /* SQL on rows, with ?1 the user's id */
};

/* Ended by one without a name. */
extern const struct native_table native_tables[];

/* Of directus_files: where the bytes are. */
extern const struct column stored_file_columns[];

#endif
