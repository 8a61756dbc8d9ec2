-- Room for a billion attempts. What grows with every call is in partitions by time: attempts by when their
-- contact was imported (its id is a ULID), placements and outcomes by when the placement was made (the same),
-- decisions and audit entries by the order of recording. A statement that names the key touches one partition,
-- whose indexes fit into memory while it is written to; an old partition is dumped, moved or dropped by itself.
-- Leaf hashes are in one table: they are never let go, and both its indexes grow at their right end only.
--
-- These tables reference no others, and are not referenced: each reference was a look into an index for each row
-- of each call. What they said holds by how the rows are made: a contact is never deleted; a placement, its
-- decision and its entry are inserted in the transaction that inserts its attempt; an outcome by whoever has its
-- placement at hand. The primary key of `attempt` is what makes one placement of a try.

-- The first ULID of a millisecond since 1970.
CREATE FUNCTION first_ulid(at bigint) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT (lpad(to_hex(at), 12, '0') || repeat('0', 20))::uuid
$$;

CREATE TABLE attempt_parts (LIKE attempt) PARTITION BY RANGE (contact_id);
CREATE TABLE placement_parts (LIKE placement) PARTITION BY RANGE (id);
CREATE TABLE outcome_parts (LIKE outcome INCLUDING DEFAULTS) PARTITION BY RANGE (placement_id);
CREATE TABLE audit_entry_parts (LIKE audit_entry INCLUDING IDENTITY) PARTITION BY RANGE (id);
CREATE TABLE decision_parts (LIKE decision INCLUDING IDENTITY INCLUDING CONSTRAINTS) PARTITION BY RANGE (id);

DO $$
DECLARE t text;
BEGIN
    ALTER TABLE audit_leaf DROP CONSTRAINT audit_leaf_entry_id_fkey;
    FOREACH t IN ARRAY ARRAY['decision', 'audit_entry', 'outcome', 'placement', 'attempt'] LOOP
        -- What is in no other partition: what came before there were any, and ids that are no ULIDs.
        EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', t || '_rest', t || '_parts');
        EXECUTE format('INSERT INTO %I OVERRIDING SYSTEM VALUE SELECT * FROM %I', t || '_parts', t);
        EXECUTE format('DROP TABLE %I', t);
        EXECUTE format('ALTER TABLE %I RENAME TO %I', t || '_parts', t);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO ringfence_app', t);
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', t);
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', t || '_rest');
    END LOOP;
    FOREACH t IN ARRAY ARRAY['decision', 'audit_entry'] LOOP
        EXECUTE format('ALTER SEQUENCE %I RENAME TO %I', t || '_parts_id_seq', t || '_id_seq');
        EXECUTE format('SELECT setval(%L, coalesce(max(id), 0) + 1, false) FROM %I', t || '_id_seq', t);
    END LOOP;
END $$;

ALTER TABLE attempt ADD CONSTRAINT attempt_pkey PRIMARY KEY (contact_id, try_no);
ALTER TABLE placement ADD CONSTRAINT placement_pkey PRIMARY KEY (id);
CREATE INDEX placement_contact_id_try_no_idx ON placement (contact_id, try_no);
CREATE INDEX placement_campaign_id_idx ON placement (campaign_id);
CREATE INDEX placement_node_at_idx ON placement (node, at);
ALTER TABLE outcome ADD CONSTRAINT outcome_pkey PRIMARY KEY (placement_id, revision);
ALTER TABLE audit_entry ADD CONSTRAINT audit_entry_pkey PRIMARY KEY (id);
CREATE INDEX audit_entry_contact_id_try_no_idx ON audit_entry (contact_id, try_no) WHERE contact_id IS NOT NULL;
CREATE INDEX audit_entry_placement_idx ON audit_entry (placement)
    WHERE contact_id IS NULL AND placement IS NOT NULL;
CREATE INDEX audit_entry_at_idx ON audit_entry (at) WHERE kind = 12;
ALTER TABLE decision ADD CONSTRAINT decision_pkey PRIMARY KEY (id);
CREATE INDEX decision_contact_id_id_idx ON decision (contact_id, id);
CREATE INDEX decision_campaign_id_verdict_idx ON decision (campaign_id, verdict);

-- Makes a partition of `parent` unless it is there. One whose rows would have to be fetched from the rest is
-- left out: they stay there, and the next one begins. Returns how many were made.
CREATE FUNCTION make_partition(parent text, name text, key text, low text, high text) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE there boolean;
BEGIN
    IF to_regclass('public.' || name) IS NOT NULL THEN
        RETURN 0;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM public.%I WHERE %I >= %L AND %2$I < %4$L)',
                   parent || '_rest', key, low, high) INTO there;
    IF there THEN
        RETURN 0;
    END IF;
    -- Attached, not made as a partition: whoever reads and writes the others meanwhile goes on.
    EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name, parent);
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()', name);
    EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                   parent, name, low, high);
    RETURN 1;
END $$;

-- Partitions for the two months after this one, and for the 67 million rows after those that ids are given to
-- now; the dialers call it each hour. `at_once`: those of this month and of these ids, too, which is for who lays
-- the tables before anybody writes: a row that is on its way to the rest when a partition takes its range from
-- the rest is refused. What is needed before it is made costs nothing but order: its rows go to the rest.
CREATE FUNCTION make_partitions(at_once boolean) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public SET lock_timeout = '2s' AS $$
DECLARE
    size constant bigint := 67108864; -- 20 GB of entries with their indexes
    made integer := 0;
    low timestamptz;
    ends text[];
    t text;
    next bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('ringfence make_partitions'));
    FOR ahead IN (CASE WHEN at_once THEN 0 ELSE 1 END)..2 LOOP
        low := date_trunc('month', to_timestamp(public.deployment_now() / 1000.0), 'UTC');
        low := (low AT TIME ZONE 'UTC' + make_interval(months => ahead)) AT TIME ZONE 'UTC';
        SELECT array_agg(public.first_ulid((extract(epoch FROM m AT TIME ZONE 'UTC') * 1000)::bigint)::text)
            INTO ends
            FROM unnest(ARRAY[low AT TIME ZONE 'UTC', low AT TIME ZONE 'UTC' + interval '1 month']) AS m;
        t := to_char(low AT TIME ZONE 'UTC', '_YYYY_MM');
        made := made + public.make_partition('attempt', 'attempt' || t, 'contact_id', ends[1], ends[2])
                     + public.make_partition('placement', 'placement' || t, 'id', ends[1], ends[2])
                     + public.make_partition('outcome', 'outcome' || t, 'placement_id', ends[1], ends[2]);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['audit_entry', 'decision'] LOOP
        next := coalesce(pg_sequence_last_value(('public.' || t || '_id_seq')::regclass), 0) / size;
        FOR part IN next + (CASE WHEN at_once THEN 0 ELSE 1 END)..next + 1 LOOP
            made := made + public.make_partition(t, t || '_' || lpad(part::text, 4, '0'), 'id',
                                                 (part * size)::text, ((part + 1) * size)::text);
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
REVOKE ALL ON FUNCTION make_partition(text, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION make_partitions(boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_partitions(boolean) TO ringfence_app;

-- What the tree of a checkpoint is grown from (RFC 6962: the roots of its perfect subtrees, largest first, 32
-- bytes each), so that a sequencer that begins need not read every leaf since the first.
ALTER TABLE audit_checkpoint ADD COLUMN peaks bytea CHECK (octet_length(peaks) % 32 = 0);

-- Statistics of the tables that an import fills: until Postgres looks by itself, a minute later, it takes a new
-- list for a handful of rows or for one person's, and reads it from end to end for each batch of calls.
CREATE FUNCTION refresh_statistics() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public SET lock_timeout = '2s' AS $$
BEGIN
    ANALYZE public.subject, public.subject_head, public.number, public.person, public.account, public.contact,
            public.contact_number, public.due, public.consent_event, public.suppression_event;
END $$;
REVOKE ALL ON FUNCTION refresh_statistics() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION refresh_statistics() TO ringfence_app;

UPDATE schema_version SET version = 11;
