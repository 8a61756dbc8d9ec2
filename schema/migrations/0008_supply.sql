-- Facts that somebody looked up, wrote down or counted: what rules of the kinds preference,
-- number_reassignment_check, number_type, precondition and volume_cap ask for. What is not on record is
-- unknown; the rules say what follows from that.

-- When a person does not want to be called. What was said last holds, as a whole. blocked: a time each, as
-- 'mon,tue 09:00-17:00', '2026-12-24..2026-12-26' or 'always'; none: asked, and no time is blocked.
CREATE TABLE wish_event (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seller_id      uuid NOT NULL REFERENCES seller,
    person_subject bigint NOT NULL REFERENCES person,
    blocked        text[] NOT NULL,
    at             bigint NOT NULL,           -- when it was said
    source         text NOT NULL,
    recorded_at    bigint NOT NULL
);
CREATE INDEX ON wish_event (person_subject, at, id);

-- What a look-up of a number said: a database of reassigned numbers (its id), or the line itself
-- (`line`). The answer of the last day holds.
CREATE TABLE number_check_event (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seller_id      uuid REFERENCES seller,    -- whose consent or contact it was asked about; null: every seller's
    number_subject bigint NOT NULL REFERENCES number,
    database       text NOT NULL,
    as_of          date NOT NULL,             -- UTC
    reassigned     text CHECK (reassigned IN ('no', 'yes', 'no_data')),
    line_type      smallint,
    line_class     text CHECK (line_class IN ('ordinary', 'emergency', 'hospital', 'paging', 'charged')),
    source         text NOT NULL,
    recorded_at    bigint NOT NULL,
    CHECK ((database = 'line') = (line_type IS NOT NULL)),
    CHECK ((database = 'line') = (line_class IS NOT NULL)),
    CHECK ((database = 'line') = (reassigned IS NULL))
);
CREATE INDEX ON number_check_event (number_subject);

-- Licences, registrations, approvals and certificates: of all that a seller does, of one campaign, or of
-- one script (the name of its prompt). Several may hold side by side (a renewal before the old one ends);
-- 'withdraw' ends all that were recorded before it for the same seller, campaign and script.
CREATE TABLE licence_event (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seller_id   uuid NOT NULL REFERENCES seller,
    campaign_id uuid REFERENCES campaign,
    script      text,
    licence     text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('hold', 'withdraw')),
    valid_from  date,                         -- null: always did
    valid_until date,                         -- its last day; null: without end
    source      text NOT NULL,
    recorded_at bigint NOT NULL,
    CHECK (campaign_id IS NULL OR script IS NULL),
    CHECK (kind = 'hold' OR (valid_from IS NULL AND valid_until IS NULL)),
    CHECK (valid_from <= valid_until)
);
CREATE INDEX ON licence_event (seller_id, id);
CREATE INDEX ON licence_event (recorded_at);
CREATE INDEX ON licence_event (seller_id, recorded_at) WHERE kind = 'withdraw';

-- Counts over all persons that a seller calls, by whatever means: the history, and the newest of each.
CREATE TABLE counter_event (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seller_id   uuid NOT NULL REFERENCES seller,
    counter     text NOT NULL,
    count       bigint NOT NULL CHECK (count BETWEEN 0 AND 4294967295),
    as_of       bigint NOT NULL,
    resets_at   bigint NOT NULL CHECK (resets_at > as_of),
    source      text NOT NULL,
    recorded_at bigint NOT NULL
);
CREATE INDEX ON counter_event (recorded_at);
CREATE TABLE caller_counter (
    seller_id uuid NOT NULL REFERENCES seller,
    counter   text NOT NULL,
    count     bigint NOT NULL,
    as_of     bigint NOT NULL,
    resets_at bigint NOT NULL,
    PRIMARY KEY (seller_id, counter)
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['wish_event', 'number_check_event', 'licence_event', 'counter_event'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', t);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO ringfence_app', t);
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE ON caller_counter TO ringfence_app;
