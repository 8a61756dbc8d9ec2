-- What lets many nodes act as one: opt-outs that every node has heard of before the API answers, shares
-- of the trunks' rates, and a fence between a node that was taken for dead and those who go on.

-- Who is not to be called any more, as dialers hear of it: written in the transaction that moves the
-- heads. Every dialer asks for new rows many times a second; `xact` finds them whatever the order of
-- commits: what is below the xmin of a question has been seen by it. A message, not a record: rows go
-- after a day.
CREATE TABLE opt_out (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xact      xid8 NOT NULL DEFAULT pg_current_xact_id(),
    subjects  bigint[] NOT NULL,
    seller_no integer NOT NULL CHECK (seller_no >= 0), -- 0: every seller
    purpose   smallint,                                -- null: every purpose
    at        bigint NOT NULL
);
CREATE INDEX ON opt_out (xact);

-- The time of this deployment by Postgres's clock, ms since 1970: by it heartbeats are written and
-- compared, so that a node whose own clock is off takes nobody else for dead.
CREATE FUNCTION deployment_now() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint + clock_offset_ms FROM deployment
$$;

-- A node that others took for dead takes and commits nothing more, alive or not: set first, what it
-- left is finished afterwards.
ALTER TABLE node ADD COLUMN dead_at bigint;

-- What a node may send of a trunk's calls a second (dialer-limiter, `shares`). Times are Postgres's.
CREATE TABLE trunk_share (
    trunk_id     uuid NOT NULL REFERENCES trunk,
    node         uuid NOT NULL,
    calls        integer NOT NULL CHECK (calls >= 0),
    wanted       integer NOT NULL CHECK (wanted >= 0),
    until        bigint NOT NULL,
    before       integer NOT NULL CHECK (before >= 0), -- what it held, and may have sent just now
    before_until bigint NOT NULL,
    PRIMARY KEY (trunk_id, node)
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, DELETE ON opt_out TO ringfence_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON trunk_share TO ringfence_app;
