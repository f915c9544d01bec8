/* SPDX-License-Identifier: MIT */
/* The program's log: one line an event on standard error, JSON or text (LOG_FORMAT), each with the id of the
 * request that the thread is serving. Values are escaped, so a line is always one line. Secrets are the
 * caller's duty: only names, ids and sentences go in. Thread-safe. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* One field of a log line; made by the macros below. A NULL text is left out. */
struct log_field {
    const char *name;
    const char *text;
    int64_t number;
    bool is_number;
};

#define LOG_S(name_, text_) ((struct log_field){.name = (name_), .text = (text_)})
#define LOG_N(name_, number_) \
    ((struct log_field){.name = (name_), .number = (int64_t)(number_), .is_number = true})
#define LOG_FIELDS_END ((struct log_field){0})

void log_configure(enum log_level least, bool as_json);

/* Writes one line: log_event(LOG_WARN, "upstream failed", LOG_S("model", m), LOG_N("status", 500)). */
#define log_event(level, message, ...) \
    log_write((level), (message), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ) LOG_FIELDS_END})
void log_write(enum log_level level, const char *message, const struct log_field *fields);

/* Logs "<what>: <strerror>" as an error and returns r (a negative errno), for `return log_error(r, "open
 * store")`. */
int log_error(int r, const char *what);

/* Names the request this thread works for (copied, at most 64 characters); NULL when it is done. */
void log_set_request(const char *id);

#endif
