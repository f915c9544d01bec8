-- SPDX-License-Identifier: MIT
-- Leases of reservations, and the common row of those who hold a count of rows against a limit.

-- NULL: held until who made it says how it ended.
ALTER TABLE quota_reservations ADD COLUMN expires_at timestamptz(3);
CREATE INDEX quota_reservations_expiry ON quota_reservations (status, expires_at);
CREATE INDEX quota_reservations_age ON quota_reservations (status, date_updated);

CREATE TABLE quota_levels (
    user_id uuid NOT NULL REFERENCES directus_users (id) ON DELETE CASCADE,
    feature_key text NOT NULL,
    checks bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, feature_key)
);
CREATE TRIGGER genie_tell AFTER INSERT OR UPDATE OR DELETE ON quota_levels
    FOR EACH STATEMENT EXECUTE FUNCTION genie_tell();
