/* SPDX-License-Identifier: MIT */
/* The checks of `genie doctor`; private to src/ops. Each fills one finding; a check that has nothing to look
 * at returns false, and has no row. They run on threads of their own. */
#ifndef OPS_CHECKS_H
#define OPS_CHECKS_H

#include "ops/doctor.h"

/* Longest wait for another machine's or program's answer. */
#define CHECK_ANSWER_MS 5000

struct checkup {
    const struct config_load *load;
    const struct config *cfg;
    bool loaded; /* false: the settings are wrong, cfg isn't complete */
};

/* Writes what was found, then (printf too) how to mend it; NULL for nothing. All return true. */
bool found(struct finding *f, enum verdict v, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool mend(struct finding *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The value of a text setting by its name; NULL if it is unset, or this version has no such setting. */
const char *checkup_setting(const struct checkup *c, const char *name);

/* this machine */
bool check_settings(const struct checkup *c, struct finding *f);
bool check_settings_file(const struct checkup *c, struct finding *f);
bool check_secrets(const struct checkup *c, struct finding *f);
bool check_exposure(const struct checkup *c, struct finding *f);
bool check_data(const struct checkup *c, struct finding *f);
bool check_space(const struct checkup *c, struct finding *f);
bool check_open_files(const struct checkup *c, struct finding *f);
bool check_memory(const struct checkup *c, struct finding *f);
bool check_time(const struct checkup *c, struct finding *f);
bool check_port(const struct checkup *c, struct finding *f);

/* the store */
bool check_sqlite(const struct checkup *c, struct finding *f);
bool check_sqlite_log(const struct checkup *c, struct finding *f);
bool check_postgres(const struct checkup *c, struct finding *f);
bool check_postgres_settings(const struct checkup *c, struct finding *f);
bool check_postgres_connections(const struct checkup *c, struct finding *f);
bool check_postgres_clock(const struct checkup *c, struct finding *f);
bool check_postgres_listen(const struct checkup *c, struct finding *f);
bool check_queues(const struct checkup *c, struct finding *f);
bool check_directus_database(const struct checkup *c, struct finding *f);
bool check_collections(const struct checkup *c, struct finding *f);

/* other services */
bool check_redis(const struct checkup *c, struct finding *f);

/* What the queues in Redis hold, and how many of them are paused: 0 or negative errno. */
struct look_queues;
int redis_look_queues(const char *url, struct look_queues *ret);
bool check_directus(const struct checkup *c, struct finding *f);
bool check_directus_token(const struct checkup *c, struct finding *f);
bool check_model(const struct checkup *c, struct finding *f);
bool check_anthropic(const struct checkup *c, struct finding *f);
bool check_embedder(const struct checkup *c, struct finding *f);
bool check_stagehand(const struct checkup *c, struct finding *f);

/* programs for media */
bool check_ffmpeg(const struct checkup *c, struct finding *f);
bool check_ffprobe(const struct checkup *c, struct finding *f);
bool check_convert(const struct checkup *c, struct finding *f);
bool check_exiftool(const struct checkup *c, struct finding *f);
bool check_ytdlp(const struct checkup *c, struct finding *f);

#endif
