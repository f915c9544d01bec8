/* SPDX-License-Identifier: MIT */
#include "../auth/people.h"
#include "../support/temp_dir.h"

#include "media/jobs.h"
#include "media/settle.h"
#include "queue/queue.h"

#include <errno.h>

#define JOB "00000000-0000-4000-8000-000000000001" /* no letter in it */
#define FILE_ID "00000000-0000-4000-8000-0000000000f2"

struct place {
    struct store *store;
    struct db *db;
    struct config cfg;
    struct queue *queue;
    struct quota *quota;
    struct media_jobs media;
    struct account anna;
    struct arena arena;
};

static void prepare(struct place *p, void **state)
{
    *p = (struct place){.store = *state, .db = ((struct store *)*state)->db};
    arena_init(&p->arena, 1024 * 1024);
    assert_int_equal(queue_open(&p->cfg, p->db, &p->queue), 0);
    assert_int_equal(quota_open(&p->cfg, p->db, &p->quota), 0);
    p->media = (struct media_jobs){&p->cfg, p->db, p->queue, p->quota};
    p->anna = person(p->db, "anna@example.com", "Creator");
    run_sql(p->db,
            "INSERT INTO directus_files (id, storage, filename_download, uploaded_by) VALUES ('" FILE_ID
            "', 'local', 'a.png', '%s')",
            p->anna.user_id);
    run_sql(p->db,
            "INSERT INTO media_jobs (id, user_id, operation, input_file_id) VALUES ('" JOB
            "', '%s', 'resize_image', '" FILE_ID "')",
            p->anna.user_id);
}

static void leave(struct place *p)
{
    queue_close(p->queue);
    quota_close(p->quota);
    arena_free(&p->arena);
}

static struct media_answer enqueue(struct place *p)
{
    struct media_answer answer;
    json_t *params = json_pack("{s:i}", "width", 10);
    struct media_ask ask = {.user_id = p->anna.user_id,
                            .job_id = JOB,
                            .operation = "resize_image",
                            .params = params,
                            .priority = MEDIA_PRIORITY_DEFAULT};
    assert_int_equal(media_enqueue(&p->media, &ask, &p->arena, &answer), 0);
    json_decref(params);
    return answer;
}

static int64_t units(struct place *p)
{
    return store_int(p->db, "SELECT CAST(coalesce(sum(count), 0) AS BIGINT) FROM user_usage_counts");
}

/* ---- moves */

struct moving {
    const char *run, *error;
    enum queue_move move;
    int attempt;
};

static int move_unit(struct db_conn *c, void *arg)
{
    const struct moving *m = arg;
    json_t *data = json_pack("{s:s}", "jobId", JOB), *result = json_pack("{s:i}", "n", 1);
    struct queue_job job = {
        .id = m->run, .operation = "resize_image", .data = data, .attempt = m->attempt, .max_attempts = 3};
    int r = media_moved(c, NULL, &job, m->move, m->move == QUEUE_COMPLETED ? result : NULL, m->error, NULL);
    json_decref(data);
    json_decref(result);
    return r;
}

static void move(struct place *p, const char *run, enum queue_move how, const char *error, int attempt)
{
    struct moving m = {run, error, how, attempt};
    assert_int_equal(db_write(p->db, move_unit, &m), 0);
}

static int is_unit(struct db_conn *c, void *arg)
{
    return db_query_int(c, "SELECT 1 FROM media_jobs WHERE status = ?1", DB_ARGS(DB_TEXT(arg)),
                        &(int64_t){0});
}

static void assert_status(struct place *p, const char *status)
{
    assert_int_equal(db_read(p->db, is_unit, (void *)(uintptr_t)status), 1);
}

static void a_run_goes_its_way_and_ends_once(void **state)
{
    struct place p;
    prepare(&p, state);
    assert_int_equal(enqueue(&p).error, ERR_NONE);
    assert_int_equal(units(&p), 1);
    move(&p, JOB "-1", QUEUE_STARTED, NULL, 1);
    assert_status(&p, "processing");
    move(&p, JOB "-1", QUEUE_RETRIED, "full", 1);
    assert_status(&p, "queued");
    assert_int_equal(store_int(p.db, "SELECT retry_count FROM media_jobs WHERE error_message = 'full'"), 1);
    move(&p, JOB "-1", QUEUE_STARTED, NULL, 2);
    move(&p, JOB "-1", QUEUE_RETURNED, NULL, 2);
    assert_status(&p, "queued");
    for (int i = 0; i < 2; i++) {
        move(&p, JOB "-1", QUEUE_COMPLETED, NULL, 2);
        assert_status(&p, "completed");
    }
    move(&p, JOB "-1", QUEUE_FAILED, "late", 3);
    move(&p, JOB "-1", QUEUE_STARTED, NULL, 3);
    assert_status(&p, "completed");
    assert_int_equal(store_int(p.db, "SELECT progress FROM media_jobs WHERE error_message IS NULL"), 100);
    assert_int_equal(units(&p), 1);
    assert_int_equal(enqueue(&p).error, ERR_JOB_QUEUED);
    leave(&p);
}

static void a_failure_gives_its_unit_back_once(void **state)
{
    struct place p;
    prepare(&p, state);
    assert_int_equal(enqueue(&p).error, ERR_NONE);
    for (int i = 0; i < 2; i++)
        move(&p, JOB "-1", QUEUE_FAILED, "no picture", 1);
    assert_status(&p, "failed");
    assert_int_equal(units(&p), 0);
    leave(&p);
}

static void a_run_that_was_overtaken_changes_nothing(void **state)
{
    struct place p;
    prepare(&p, state);
    assert_int_equal(enqueue(&p).error, ERR_NONE);
    move(&p, JOB "-1", QUEUE_FAILED, "no picture", 1);
    struct media_answer answer = enqueue(&p);
    assert_string_equal(answer.run_id, JOB "-2");
    assert_int_equal(units(&p), 1);
    static const enum queue_move late[] = {QUEUE_STARTED, QUEUE_RETRIED, QUEUE_COMPLETED, QUEUE_CANCELLED};
    for (size_t i = 0; i < ARRAY_LEN(late); i++) {
        move(&p, JOB "-1", late[i], "late", 1);
        assert_status(&p, "queued");
    }
    assert_int_equal(units(&p), 1);
    leave(&p);
}

static void a_job_that_another_program_enqueued_becomes_the_rows(void **state)
{
    struct place p;
    prepare(&p, state);
    move(&p, "of-another-program", QUEUE_STARTED, NULL, 1);
    assert_status(&p, "processing");
    move(&p, "of-a-third", QUEUE_FAILED, "late", 1);
    assert_status(&p, "processing");
    move(&p, "of-another-program", QUEUE_COMPLETED, NULL, 1);
    assert_status(&p, "completed");
    leave(&p);
}

static void what_could_not_be_confirmed_is_answered_again_with_the_same_run(void **state)
{
    struct place p;
    prepare(&p, state);
    assert_int_equal(enqueue(&p).error, ERR_NONE);
    assert_int_equal(enqueue(&p).error, ERR_JOB_QUEUED);
    run_sql(p.db, "UPDATE queue_jobs SET unconfirmed = TRUE");
    for (int i = 0; i < 2; i++) {
        struct media_answer again = enqueue(&p);
        assert_int_equal(again.error, ERR_NONE);
        assert_string_equal(again.run_id, JOB "-1");
    }
    assert_int_equal(units(&p), 1);
    assert_int_equal(store_int(p.db, "SELECT count(*) FROM queue_jobs"), 1);
    leave(&p);
}

static void retrying_takes_only_what_failed(void **state)
{
    struct place p;
    struct media_answer answer;
    prepare(&p, state);
    struct media_whose whose = {.user_id = p.anna.user_id, .id = JOB};
    assert_int_equal(media_retry(&p.media, &whose, NULL, NULL, &p.arena, &answer), 0);
    assert_int_equal(answer.error, ERR_JOB_NOT_FAILED);
    assert_int_equal(enqueue(&p).error, ERR_NONE);
    move(&p, JOB "-1", QUEUE_FAILED, "no picture", 1);
    whose.user_id = "00000000-0000-4000-8000-00000000000b";
    assert_int_equal(media_retry(&p.media, &whose, NULL, NULL, &p.arena, &answer), 0);
    assert_int_equal(answer.error, ERR_NOT_FOUND);
    whose.any = true;
    whose.id = JOB "-1";
    assert_int_equal(media_retry(&p.media, &whose, NULL, NULL, &p.arena, &answer), 0);
    assert_int_equal(answer.error, ERR_NONE);
    assert_string_equal(answer.run_id, JOB "-2");
    assert_int_equal(store_int(p.db, "SELECT count(*) FROM queue_jobs WHERE priority = 5"), 1);
    leave(&p);
}

/* ---- room */

struct ending {
    struct files *files;
    const struct account *owner;
    const char *job, *run;
    struct media_finish finish;
};

static int end_unit(struct db_conn *c, void *arg)
{
    struct ending *e = arg;
    json_t *data = json_pack("{s:s}", "jobId", e->job);
    struct queue_job job = {
        .id = e->run, .operation = "resize_image", .data = data, .attempt = 1, .max_attempts = 3};
    int r = media_moved(c, NULL, &job, QUEUE_COMPLETED, NULL, NULL, &e->finish);
    json_decref(data);
    return r;
}

static int end(struct place *p, struct files *files, const char *run, const char *file, bool *ret_settled)
{
    static const struct media_output output = {.kind = "image", .bytes = 600 * 1024};
    struct ending e = {.job = JOB, .run = run, .finish = {.files = files, .n = 1}};
    memcpy(e.finish.user_id, p->anna.user_id, UUID_SIZE);
    e.finish.made[0] = (struct media_made){
        .name = "a.png", .kind = {.type = "image/png", .bytes = output.bytes}, .output = &output};
    memcpy(e.finish.made[0].file_id, file, UUID_SIZE);
    memcpy(e.finish.made[0].asset_id, file, UUID_SIZE);
    int r = db_write(p->db, end_unit, &e);
    *ret_settled = e.finish.settled;
    return r;
}

/* Both were told that there was room. */
static void of_two_that_end_at_once_one_has_the_room(void **state)
{
    struct place p;
    struct files *files;
    char dir[] = "/tmp/genie-jobs-XXXXXX";
    bool settled;
    prepare(&p, state);
    assert_non_null(mkdtemp(dir));
    const struct config cfg = {.data_dir = dir, .max_storage_mb_per_user = 1};
    assert_int_equal(files_open(&cfg, p.db, &files), 0);
    assert_int_equal(enqueue(&p).error, ERR_NONE);
    assert_int_equal(end(&p, files, JOB "-1", "00000000-0000-4000-8000-0000000000a1", &settled), 0);
    assert_true(settled);
    assert_status(&p, "completed");
    run_sql(p.db, "UPDATE media_jobs SET status = 'failed'");
    assert_int_equal(enqueue(&p).error, ERR_NONE);
    assert_int_equal(end(&p, files, JOB "-2", "00000000-0000-4000-8000-0000000000a2", &settled), -EDQUOT);
    assert_false(settled); /* so its bytes are removed */
    assert_status(&p, "queued");
    assert_int_equal(store_int(p.db, "SELECT count(*) FROM media_job_outputs"), 1);
    assert_int_equal(units(&p), 2);
    move(&p, JOB "-2", QUEUE_FAILED, "no room", 1);
    assert_status(&p, "failed");
    assert_int_equal(units(&p), 1);
    files_close(files);
    remove_dir(dir);
    leave(&p);
}

int main(void)
{
    log_configure(LOG_ERROR, false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_goes_its_way_and_ends_once, store_set_up_migrated,
                                        store_tear_down),
        cmocka_unit_test_setup_teardown(a_failure_gives_its_unit_back_once, store_set_up_migrated,
                                        store_tear_down),
        cmocka_unit_test_setup_teardown(a_run_that_was_overtaken_changes_nothing, store_set_up_migrated,
                                        store_tear_down),
        cmocka_unit_test_setup_teardown(a_job_that_another_program_enqueued_becomes_the_rows,
                                        store_set_up_migrated, store_tear_down),
        cmocka_unit_test_setup_teardown(what_could_not_be_confirmed_is_answered_again_with_the_same_run,
                                        store_set_up_migrated, store_tear_down),
        cmocka_unit_test_setup_teardown(retrying_takes_only_what_failed, store_set_up_migrated,
                                        store_tear_down),
        cmocka_unit_test_setup_teardown(of_two_that_end_at_once_one_has_the_room, store_set_up_migrated,
                                        store_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
