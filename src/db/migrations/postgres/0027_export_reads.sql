-- SPDX-License-Identifier: MIT
-- Reading of exports: what a node was made of, so that the same thing is imported once; how far the reading of
-- a user's export has come; and why the last one failed, for its owner.

ALTER TABLE user_nodes ADD COLUMN import_key text; -- SHA-256 of what was read; NULL of nodes made otherwise
CREATE UNIQUE INDEX user_nodes_import_key ON user_nodes (user_id, import_key) WHERE import_key IS NOT NULL;

ALTER TABLE user_personas ADD COLUMN onboarding_reason text;

CREATE TABLE export_reads (
    user_id uuid NOT NULL PRIMARY KEY REFERENCES directus_users (id) ON DELETE CASCADE,
    job_id text NOT NULL,
    phase text NOT NULL CHECK (phase IN ('read', 'nodes', 'edges', 'embed', 'summary', 'done')),
    position bigint NOT NULL DEFAULT 0, -- within the phase
    facts jsonb, -- what was counted while it was read
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    date_updated timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TRIGGER genie_tell AFTER INSERT OR UPDATE OR DELETE ON export_reads
    FOR EACH STATEMENT EXECUTE FUNCTION genie_tell();
