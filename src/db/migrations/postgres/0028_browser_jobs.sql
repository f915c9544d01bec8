-- SPDX-License-Identifier: MIT
-- What a job that acts in a browser must remember from one attempt to the next.

CREATE TABLE browser_jobs (
    job_id text NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    -- The post that it publishes; NULL once another job has taken it over.
    scheduled_post_id uuid UNIQUE REFERENCES scheduled_posts (id) ON DELETE CASCADE,
    -- What a person must do before it goes on.
    hitl_id uuid REFERENCES hitl_action_queue (id) ON DELETE SET NULL,
    -- From then on nobody knows whether the post is out, unless the job says so.
    submit_begun_at timestamptz(3),
    date_created timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX browser_jobs_user ON browser_jobs (user_id);
CREATE INDEX browser_jobs_hitl ON browser_jobs (hitl_id);
CREATE INDEX browser_jobs_age ON browser_jobs (date_created);
CREATE TRIGGER genie_tell AFTER INSERT OR UPDATE OR DELETE ON browser_jobs
    FOR EACH STATEMENT EXECUTE FUNCTION genie_tell();
