/* SPDX-License-Identifier: MIT */
/* Files that the Directus behind DIRECTUS_URL keeps: put there, and removed again, through its own API with
 * DIRECTUS_ADMIN_TOKEN, which appears in nothing else. The file's id is ours, so that one whose upload ended
 * without an answer can be removed too. Blocking: workers only. */
#ifndef API_DIRECTUS_STORAGE_H
#define API_DIRECTUS_STORAGE_H

#include "api/app.h"
#include "base/uuid.h"

struct directus_file {
    const char *name;  /* when downloaded: UTF-8, without control characters */
    const char *title; /* UTF-8 */
    const char *type;  /* media type */
    int fd;            /* its bytes, read from the beginning; stays the caller's */
    int64_t bytes;
};

/* 0, and *ret_id (of UUID_SIZE) is a file of the administrator's. Else nothing is left there, as far as
 * Directus can be told (logged where it can't): -ENOKEY (no token is set), -EKEYREJECTED (Directus refuses
 * it), -EFBIG (too large for Directus), -ETIMEDOUT, or another negative errno: it can't be reached or failed.
 * Logs. */
int directus_storage_put(const struct app *app, const struct directus_file *file, char *ret_id);

/* Removes one, as far as Directus can be told; logs where it can't. */
void directus_storage_remove(const struct app *app, const char *id);

#endif
