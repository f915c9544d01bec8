-- SPDX-License-Identifier: MIT
-- Leases of reservations, and the common row of those who hold a count of rows against a limit.

-- NULL: held until who made it says how it ended.
ALTER TABLE quota_reservations ADD COLUMN expires_at TEXT;
CREATE INDEX quota_reservations_expiry ON quota_reservations (status, expires_at);
CREATE INDEX quota_reservations_age ON quota_reservations (status, date_updated);

CREATE TABLE quota_levels (
    user_id TEXT NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    feature_key TEXT NOT NULL,
    checks INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, feature_key)
) STRICT;
