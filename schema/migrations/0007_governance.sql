-- A lawful road back. A do-not-call entry may be about one purpose, so that service calls go on after an
-- opt-out of marketing; and a later consent, given for just that and with its evidence, may lift entries
-- that it names, for the calls that it covers. `event` is what an entry or consent is called by.
ALTER TABLE suppression_event
    ADD event uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD purpose smallint;                                   -- null: every purpose
CREATE INDEX ON suppression_event (event);

ALTER TABLE consent_event
    ADD event uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD wording text,                                       -- the very words agreed to
    ADD channel text,                                       -- a web form, a paper, a call
    ADD lifts uuid[] NOT NULL DEFAULT '{}',                 -- suppression_event.event
    ADD CHECK (lifts = '{}' OR (kind = 'grant' AND wording IS NOT NULL));
CREATE INDEX ON consent_event USING gin (lifts) WHERE lifts <> '{}';
