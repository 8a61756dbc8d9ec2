-- The first floor. Times are bigint milliseconds since 1970-01-01 UTC, written by the processes
-- (never by now(): the demo's clock offset must reach every row alike). Ids are ULIDs kept as uuid.
-- Telephone numbers live encrypted in `number` and nowhere else.

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ringfence_app') THEN
        CREATE ROLE ringfence_app NOLOGIN;
    END IF;
END $$;

-- One row: what this deployment is. The clock offset exists for the demo only.
CREATE TABLE deployment (
    single          boolean PRIMARY KEY DEFAULT true CHECK (single),
    mode            text NOT NULL DEFAULT 'production' CHECK (mode IN ('production', 'demo')),
    clock_offset_ms bigint NOT NULL DEFAULT 0,
    CHECK (mode = 'demo' OR clock_offset_ms = 0)
);
INSERT INTO deployment DEFAULT VALUES;

-- Users and their API keys (only the SHA-256 of a key is kept; keys are 256 random bits).
CREATE TABLE app_user (
    id         uuid PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    role       text NOT NULL CHECK (role IN ('admin', 'campaign_manager', 'compliance', 'operator')),
    created_at bigint NOT NULL
);
CREATE TABLE api_key (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES app_user,
    hash       bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    created_at bigint NOT NULL,
    revoked_at bigint
);

-- On whose behalf calls are made. `no` is the small number in packed histories (0 = everybody).
CREATE TABLE seller (
    id         uuid PRIMARY KEY,
    no         integer GENERATED ALWAYS AS IDENTITY UNIQUE CHECK (no > 0),
    name       text NOT NULL UNIQUE,
    created_at bigint NOT NULL
);

-- What caps are counted on.
CREATE TABLE subject (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind smallint NOT NULL CHECK (kind IN (1, 2, 3)) -- 1 number, 2 account, 3 person
);
CREATE TABLE number (
    subject_id bigint PRIMARY KEY REFERENCES subject,
    keyed_hash bytea NOT NULL UNIQUE CHECK (octet_length(keyed_hash) = 32), -- HMAC-SHA256
    cipher     bytea NOT NULL,                                              -- nonce || AES-256-GCM
    line_type  smallint NOT NULL,
    created_at bigint NOT NULL
);
CREATE TABLE person (
    subject_id  bigint PRIMARY KEY REFERENCES subject,
    id          uuid NOT NULL UNIQUE,
    seller_id   uuid NOT NULL REFERENCES seller,
    external_id text NOT NULL,
    created_at  bigint NOT NULL,
    UNIQUE (seller_id, external_id)
);
CREATE TABLE account (
    subject_id  bigint PRIMARY KEY REFERENCES subject,
    seller_id   uuid NOT NULL REFERENCES seller,
    external_id text NOT NULL,
    created_at  bigint NOT NULL,
    UNIQUE (seller_id, external_id)
);

-- The truth about each subject (DESIGN section 4). `head` is dialer-limiter's encoding of the
-- whole head, token included; `token` is the column that compare-and-set compares. Updated in
-- place, hence the room in each page.
CREATE TABLE subject_head (
    subject_id bigint PRIMARY KEY REFERENCES subject,
    token      uuid NOT NULL,
    head       bytea NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE trunk (
    id             uuid PRIMARY KEY,
    name           text NOT NULL UNIQUE,
    address        text NOT NULL,            -- host:port of the next hop, UDP
    username       text,
    password       bytea,                    -- nonce || AES-256-GCM
    milli_cps      bigint NOT NULL CHECK (milli_cps > 0),
    max_concurrent integer NOT NULL CHECK (max_concurrent > 0),
    created_at     bigint NOT NULL
);

CREATE TABLE campaign (
    id              uuid PRIMARY KEY,
    no              integer GENERATED ALWAYS AS IDENTITY UNIQUE CHECK (no > 0),
    seller_id       uuid NOT NULL REFERENCES seller,
    name            text NOT NULL,
    purpose         smallint NOT NULL,
    technology      smallint NOT NULL,
    status          text NOT NULL DEFAULT 'draft'
                    CHECK (status IN ('draft', 'running', 'paused', 'stopped', 'ended')),
    caller_id       text NOT NULL,           -- the seller's own number, shown to the called party
    announces       text[] NOT NULL,         -- what the prompt says: identity, purpose, callback_number ...
    prompt          text NOT NULL,           -- name of a WAV file in the dialer's prompt folder
    milli_cps       bigint NOT NULL CHECK (milli_cps > 0),
    max_concurrent  integer NOT NULL CHECK (max_concurrent > 0),
    max_tries       smallint NOT NULL CHECK (max_tries BETWEEN 1 AND 100),
    ring_timeout_ms integer NOT NULL CHECK (ring_timeout_ms BETWEEN 5000 AND 120000),
    retry           jsonb NOT NULL,          -- disposition -> delay in seconds; absent = no retry
    created_at      bigint NOT NULL,
    UNIQUE (seller_id, name)
);
CREATE TABLE campaign_trunk (
    campaign_id uuid NOT NULL REFERENCES campaign,
    trunk_id    uuid NOT NULL REFERENCES trunk,
    priority    smallint NOT NULL DEFAULT 1,
    PRIMARY KEY (campaign_id, trunk_id)
);

-- An imported file. rows = imported + rejected + duplicates, always.
CREATE TABLE contact_list (
    id          uuid PRIMARY KEY,
    campaign_id uuid NOT NULL REFERENCES campaign,
    name        text NOT NULL,
    state       text NOT NULL CHECK (state IN ('importing', 'imported', 'failed')),
    rows        bigint NOT NULL DEFAULT 0,
    imported    bigint NOT NULL DEFAULT 0,
    rejected    bigint NOT NULL DEFAULT 0,
    duplicates  bigint NOT NULL DEFAULT 0,
    failure     text,                        -- why it is 'failed': what came before it is kept
    created_at  bigint NOT NULL,
    CHECK (rows = imported + rejected + duplicates)
);
CREATE TABLE list_fault (
    list_id uuid NOT NULL REFERENCES contact_list,
    line    bigint NOT NULL,
    field   text NOT NULL,
    reason  text NOT NULL
);
CREATE INDEX ON list_fault (list_id, line);

-- A person in a campaign's list. state: 1 waiting (not started), 2 due, 3 leased, 4 parked,
-- 5 finished. `try_no` is the number of the attempt that comes next or is under way.
CREATE TABLE contact (
    id                 uuid PRIMARY KEY,
    campaign_id        uuid NOT NULL REFERENCES campaign,
    list_id            uuid NOT NULL REFERENCES contact_list,
    person_subject     bigint NOT NULL REFERENCES person,
    account_subject    bigint REFERENCES account,
    party_type         smallint NOT NULL,
    party_role         smallint NOT NULL,
    country            text,
    region             text,
    postal_code        text,
    time_zone          text,
    relationship_kind  text CHECK (relationship_kind IN ('existing_customer', 'inquiry')),
    relationship_since date,
    state              smallint NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 5),
    try_no             smallint NOT NULL DEFAULT 1,
    made               smallint NOT NULL DEFAULT 0, -- placements that count
    next_position      smallint NOT NULL DEFAULT 0, -- which number is tried first
    node               uuid,                        -- who leased it
    last_disposition   smallint,
    finished           text,                        -- why: completed, tries_used_up, uncallable ...
    UNIQUE (campaign_id, person_subject)
) WITH (fillfactor = 80);
CREATE INDEX ON contact (node) WHERE node IS NOT NULL;
CREATE INDEX ON contact (campaign_id, state);
CREATE INDEX ON contact (person_subject);
CREATE TABLE contact_number (
    contact_id     uuid NOT NULL REFERENCES contact,
    position       smallint NOT NULL CHECK (position BETWEEN 0 AND 7),
    number_subject bigint NOT NULL REFERENCES number,
    PRIMARY KEY (contact_id, position)
);
CREATE INDEX ON contact_number (number_subject);

-- One row per contact that can be called, leased with SKIP LOCKED and deleted when taken.
CREATE TABLE due (
    contact_id  uuid PRIMARY KEY REFERENCES contact,
    campaign_id uuid NOT NULL,
    priority    smallint NOT NULL DEFAULT 0,
    due_at      bigint NOT NULL,
    because     text                          -- the rule that deferred it, or the disposition retried
);
CREATE INDEX ON due (campaign_id, priority, due_at);

-- What a refused contact waits for: consent, list:ID, suppression, address, pack, feed,
-- obligation:WORD, never. Woken when that changes.
CREATE TABLE parked (
    contact_id  uuid PRIMARY KEY REFERENCES contact,
    campaign_id uuid NOT NULL,
    cause       text NOT NULL,
    rules       text[] NOT NULL,
    since       bigint NOT NULL
);
CREATE INDEX ON parked (cause);
CREATE INDEX ON parked (campaign_id, cause);

-- Append-only from here on, but for node and audit bookkeeping.

CREATE TABLE consent_event (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seller_id      uuid NOT NULL REFERENCES seller,
    person_subject bigint NOT NULL REFERENCES person,
    number_subject bigint REFERENCES number,  -- null: every number of the person
    kind           text NOT NULL CHECK (kind IN ('grant', 'revoke')),
    form           text NOT NULL CHECK (form IN ('prior_express', 'prior_express_written', 'opt_in')),
    purpose        smallint NOT NULL,
    technology     smallint,                  -- null: any
    at             bigint NOT NULL,
    source         text NOT NULL,
    recorded_at    bigint NOT NULL
);
CREATE INDEX ON consent_event (person_subject);

CREATE TABLE suppression_event (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seller_id      uuid REFERENCES seller,    -- null: every seller
    number_subject bigint REFERENCES number,
    person_subject bigint REFERENCES person,
    kind           text NOT NULL CHECK (kind IN ('add', 'lift')),
    reason         text NOT NULL,
    at             bigint NOT NULL,
    recorded_at    bigint NOT NULL,
    CHECK (number_subject IS NOT NULL OR person_subject IS NOT NULL)
);
CREATE INDEX ON suppression_event (number_subject);
CREATE INDEX ON suppression_event (person_subject);

-- Attempts made elsewhere and conversations the person began: rules may count them too.
CREATE TABLE earlier_contact (
    id             uuid PRIMARY KEY,
    seller_id      uuid NOT NULL REFERENCES seller,
    number_subject bigint NOT NULL REFERENCES number,
    person_subject bigint REFERENCES person,
    account_subject bigint REFERENCES account,
    inbound        boolean NOT NULL,
    purpose        smallint NOT NULL,
    technology     smallint NOT NULL,
    outcome        smallint NOT NULL,
    at             bigint NOT NULL,
    recorded_at    bigint NOT NULL
);
CREATE INDEX ON earlier_contact (number_subject);

-- What the audit tree is made of: canonical bytes of dialer-audit records.
CREATE TABLE audit_entry (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          bigint NOT NULL,
    kind        smallint NOT NULL,
    campaign_id uuid,
    contact_id  uuid,
    try_no      smallint,
    placement   uuid,
    leaf        bytea NOT NULL
);
CREATE INDEX ON audit_entry (contact_id, try_no);

-- One row per judgement, permits and denials alike; the evidence is in the audit entry.
CREATE TABLE decision (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    contact_id  uuid NOT NULL REFERENCES contact,
    try_no      smallint NOT NULL,
    campaign_id uuid NOT NULL,
    at          bigint NOT NULL,
    verdict     text NOT NULL CHECK (verdict IN ('permit', 'defer', 'refuse')),
    until       bigint,
    rules       text[] NOT NULL,              -- every denying rule
    entry_id    bigint NOT NULL REFERENCES audit_entry
);
CREATE INDEX ON decision (contact_id, id);
CREATE INDEX ON decision (campaign_id, verdict);

-- The business try; (contact, try) is its id, so taking it twice is the same attempt.
CREATE TABLE attempt (
    contact_id  uuid NOT NULL REFERENCES contact,
    try_no      smallint NOT NULL,
    campaign_id uuid NOT NULL,
    seller_id   uuid NOT NULL,
    at          bigint NOT NULL,
    PRIMARY KEY (contact_id, try_no)
);
CREATE INDEX ON attempt (campaign_id, at);

-- One INVITE on one trunk to one number. Its id is also the token it left in the heads.
CREATE TABLE placement (
    id              uuid PRIMARY KEY,
    contact_id      uuid NOT NULL,
    try_no          smallint NOT NULL,
    campaign_id     uuid NOT NULL,
    number_subject  bigint NOT NULL,
    person_subject  bigint NOT NULL,
    account_subject bigint,
    trunk_id        uuid NOT NULL REFERENCES trunk,
    node            uuid NOT NULL,
    at              bigint NOT NULL,
    not_after       bigint NOT NULL,
    sip_call_id     text NOT NULL,
    UNIQUE (contact_id, try_no),              -- one placement per attempt on this floor
    FOREIGN KEY (contact_id, try_no) REFERENCES attempt
);
CREATE INDEX ON placement (node, at);
CREATE INDEX ON placement (campaign_id);

-- How a placement ended: one row each (G8). A correction is a row of its own and both stay.
CREATE TABLE outcome (
    placement_id uuid NOT NULL REFERENCES placement,
    revision     smallint NOT NULL DEFAULT 0,
    disposition  smallint NOT NULL,
    sip_code     smallint,
    q850         smallint,
    ring_ms      bigint,
    answered_at  bigint,
    ended_at     bigint NOT NULL,
    recorded_by  uuid NOT NULL,               -- node, or user for a correction
    PRIMARY KEY (placement_id, revision)
);

CREATE TABLE audit_leaf (
    index     bigint PRIMARY KEY,             -- dense, from 0
    entry_id  bigint NOT NULL UNIQUE REFERENCES audit_entry,
    leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32)
);
CREATE TABLE audit_checkpoint (
    size bigint PRIMARY KEY,
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    note text NOT NULL,
    at   bigint NOT NULL
);

-- Incarnations of dialer processes. A node whose heartbeat is old is taken for dead: its open
-- placements become "outcome unknown" and its leased contacts are due again.
CREATE TABLE node (
    id           uuid PRIMARY KEY,
    name         text NOT NULL,
    started_at   bigint NOT NULL,
    heartbeat_at bigint NOT NULL,
    stopped_at   bigint
);

-- Trunk health as each node sees it, for "stalled: no trunk".
CREATE TABLE trunk_state (
    node       uuid NOT NULL,
    trunk_id   uuid NOT NULL REFERENCES trunk,
    open       boolean NOT NULL,              -- breaker open: no INVITE
    reason     text NOT NULL,
    since      bigint NOT NULL,
    PRIMARY KEY (node, trunk_id)
);

-- Append-only by trigger and by privilege.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['consent_event', 'suppression_event', 'earlier_contact', 'audit_entry',
                             'decision', 'attempt', 'placement', 'outcome', 'audit_leaf',
                             'audit_checkpoint'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', t);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO ringfence_app', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['app_user', 'api_key', 'seller', 'subject', 'number', 'person',
                             'account', 'subject_head', 'trunk', 'campaign', 'campaign_trunk',
                             'contact_list', 'list_fault', 'contact', 'contact_number', 'node',
                             'trunk_state'] LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO ringfence_app', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['due', 'parked', 'campaign_trunk', 'trunk_state'] LOOP
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO ringfence_app', t);
    END LOOP;
END $$;
GRANT SELECT ON deployment TO ringfence_app;
