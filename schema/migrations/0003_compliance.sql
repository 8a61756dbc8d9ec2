-- For the compliance officer: why an outcome was corrected, and the way from an attempt to the
-- records that the wire wrote (they know their placement only).
ALTER TABLE outcome ADD COLUMN reason text;
CREATE INDEX ON audit_entry (placement) WHERE contact_id IS NULL AND placement IS NOT NULL;
