-- Who works for a key: a late one can't settle what another has claimed since.
ALTER TABLE idempotency_keys ADD COLUMN claim uuid;
