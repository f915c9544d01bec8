-- SPDX-License-Identifier: MIT
-- Reading of exports: what a node was made of, so that the same thing is imported once; how far the reading of
-- a user's export has come; and why the last one failed, for its owner.

ALTER TABLE user_nodes ADD COLUMN import_key TEXT; -- SHA-256 of what was read; NULL of nodes made otherwise
CREATE UNIQUE INDEX user_nodes_import_key ON user_nodes (user_id, import_key) WHERE import_key IS NOT NULL;

ALTER TABLE user_personas ADD COLUMN onboarding_reason TEXT;

CREATE TABLE export_reads (
    user_id TEXT NOT NULL PRIMARY KEY REFERENCES directus_users (id) ON DELETE CASCADE,
    job_id TEXT NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('read', 'nodes', 'edges', 'embed', 'summary', 'done')),
    position INTEGER NOT NULL DEFAULT 0, -- within the phase
    facts TEXT, -- what was counted while it was read
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    date_updated TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
