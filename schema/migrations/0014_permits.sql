-- The gate as a service: permits for dialers that are not ours.

-- Who calls the contacts of a campaign: our dialers by its trunks, or the owner's dialer by permits. One of the
-- two, so that neither calls whom the other is calling.
ALTER TABLE campaign ADD COLUMN dialed_by text NOT NULL DEFAULT 'dialer'
    CHECK (dialed_by IN ('dialer', 'permits'));

-- A process of the API leases contacts and commits placements, too, behind the same fence (`dead_at`). It is no
-- dialer: it has no share of a trunk, and dialers neither count nor bury it.
ALTER TABLE node ADD COLUMN kind text NOT NULL DEFAULT 'dialer' CHECK (kind IN ('dialer', 'api'));

-- A placement by permit has the nil trunk: by which trunk its owner calls is not ours to know.
ALTER TABLE placement DROP CONSTRAINT IF EXISTS placement_trunk_id_fkey;

-- A permit that was asked for. The row is there before its placement is committed, and only one with a placement
-- is a permit: what was refused or never committed is deleted, at the latest by who cleans up.
CREATE TABLE permit (
    id         uuid PRIMARY KEY,          -- the placement
    node       uuid NOT NULL,             -- which process commits it
    user_id    uuid NOT NULL REFERENCES app_user,
    key        text NOT NULL,             -- the caller's idempotency key; its own id where none was given
    asked      bytea NOT NULL CHECK (octet_length(asked) = 32), -- hash of the request that the key was used for
    contact_id uuid NOT NULL REFERENCES contact,
    duties     text NOT NULL DEFAULT '[]', -- what was told of the obligations, JSON
    sent_at    bigint,                    -- confirmed: the call left, ms since 1970
    said       text,                      -- how it ended, as it was told, JSON
    close_at   bigint,                    -- when it is closed if nothing more is heard; null: it is over
    UNIQUE (user_id, key)
);
CREATE INDEX ON permit (close_at) WHERE close_at IS NOT NULL;
CREATE INDEX ON permit (contact_id) WHERE close_at IS NOT NULL;

-- Whether an opt-out came after a permit is asked at each look at one.
CREATE INDEX ON opt_out (at);

-- What asks for permits can do nothing else.
ALTER TABLE app_user DROP CONSTRAINT app_user_role_check;
ALTER TABLE app_user ADD CONSTRAINT app_user_role_check
    CHECK (role IN ('admin', 'campaign_manager', 'compliance', 'operator', 'dialer'));

GRANT SELECT, INSERT, UPDATE, DELETE ON permit TO ringfence_app;
UPDATE schema_version SET version = 14;
