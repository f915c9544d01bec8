/* SPDX-License-Identifier: MIT */
/* Walks an export's archive. What was checked when it was uploaded is held to again while it is read: the
 * file may have been changed since. Names are only looked at; nothing is written. */
#ifndef READER_ARCHIVE_H
#define READER_ARCHIVE_H

#include "base/cancel.h"
#include "onboarding/zip_check.h"
#include "reader/corpus.h"

/* After each entry: percent of the archive's bytes. */
typedef void (*archive_progress_fn)(void *ctx, int percent);

/* Reads all that can be read into the corpus. fd: the archive, a regular file; its position is changed. 0;
 * -EBADMSG with a sentence in *ret_why; -ECANCELED, within a second of the cancel; -ENOMEM; or the errno of
 * reading. Takes as long as unpacking does, and at most limits->time_ms. */
int archive_read_export(int fd, const struct zip_limits *limits, struct corpus *c, struct cancel *cancel,
                        archive_progress_fn progress, void *ctx, const char **ret_why);

#endif
