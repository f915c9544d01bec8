-- Who works for a key, and until when nobody else may: a late one can't settle what another has claimed since.
ALTER TABLE idempotency_keys ADD COLUMN claim uuid;
ALTER TABLE idempotency_keys ADD COLUMN claimed_until timestamptz(3);
