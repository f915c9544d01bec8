-- SPDX-License-Identifier: MIT
-- What was tagged together since the taxonomy last learned from it: each row is consumed by the nightly duty.

CREATE TABLE taxonomy_tag_sets (
    id TEXT NOT NULL PRIMARY KEY,
    tags TEXT NOT NULL, -- names of tags, as a JSON list
    date_created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
CREATE INDEX taxonomy_tag_sets_age ON taxonomy_tag_sets (date_created);

-- The nightly duties find what is left of a run by these dates.
CREATE INDEX taxonomy_edges_age ON taxonomy_edges (type, date_updated);
CREATE INDEX user_nodes_decay ON user_nodes (status, last_decayed_at);
