-- Imports that survive real files: what was repaired, what was kept out, and why, in every language.

-- repaired are among imported, quarantined among rejected; blank rows are not rows. touched_at is
-- when the import last stored something: one that is 'importing' and was not touched for long was
-- interrupted. failure_said is the sentence of `failure` as a template with its fillings (JSON).
ALTER TABLE contact_list
    ADD repaired     bigint NOT NULL DEFAULT 0,
    ADD quarantined  bigint NOT NULL DEFAULT 0,
    ADD blank        bigint NOT NULL DEFAULT 0,
    ADD touched_at   bigint NOT NULL DEFAULT 0,
    ADD failure_said text,
    ADD CONSTRAINT contact_list_repaired_check CHECK (repaired BETWEEN 0 AND imported),
    ADD CONSTRAINT contact_list_quarantined_check CHECK (quarantined BETWEEN 0 AND rejected);
CREATE INDEX ON contact_list (touched_at) WHERE state = 'importing';

-- fault and card: why a row was rejected; repair: what was changed in an imported one; duplicate:
-- why a row made no contact. said: the reason as a template with its fillings (JSON).
ALTER TABLE list_fault
    ADD kind text NOT NULL DEFAULT 'fault'
        CONSTRAINT list_fault_kind_check CHECK (kind IN ('fault', 'card', 'repair', 'duplicate')),
    ADD said text;

-- Personal data that no rule needs (street, city, the file's own columns): one JSON object a
-- contact, nonce || AES-256-GCM under the cipher key of the numbers.
CREATE TABLE contact_field (
    contact_id uuid PRIMARY KEY REFERENCES contact,
    cipher     bytea NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON contact_field TO ringfence_app;
