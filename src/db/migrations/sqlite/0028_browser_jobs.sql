-- SPDX-License-Identifier: MIT
-- What a job that acts in a browser must remember from one attempt to the next.

CREATE TABLE browser_jobs (
    job_id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    -- The post that it publishes; NULL once another job has taken it over.
    scheduled_post_id TEXT UNIQUE REFERENCES scheduled_posts (id) ON DELETE CASCADE,
    -- What a person must do before it goes on.
    hitl_id TEXT REFERENCES hitl_action_queue (id) ON DELETE SET NULL,
    -- From then on nobody knows whether the post is out, unless the job says so.
    submit_begun_at TEXT,
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX browser_jobs_user ON browser_jobs (user_id);
CREATE INDEX browser_jobs_hitl ON browser_jobs (hitl_id);
CREATE INDEX browser_jobs_age ON browser_jobs (date_created);
