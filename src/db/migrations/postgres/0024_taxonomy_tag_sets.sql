-- SPDX-License-Identifier: MIT
-- What was tagged together since the taxonomy last learned from it: each row is consumed by the nightly duty.

CREATE TABLE taxonomy_tag_sets (
    id uuid PRIMARY KEY,
    tags jsonb NOT NULL, -- names of tags, as a JSON list
    date_created timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX taxonomy_tag_sets_age ON taxonomy_tag_sets (date_created);
CREATE TRIGGER genie_tell AFTER INSERT OR UPDATE OR DELETE ON taxonomy_tag_sets
    FOR EACH STATEMENT EXECUTE FUNCTION genie_tell();

-- The nightly duties find what is left of a run by these dates.
CREATE INDEX taxonomy_edges_age ON taxonomy_edges (type, date_updated);
CREATE INDEX user_nodes_decay ON user_nodes (status, last_decayed_at);
