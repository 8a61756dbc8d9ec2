-- The schema as one text: what the migrations make. Written by
--   cargo test -p schema --test equivalence -- --ignored
-- and compared with the migrations by the other test of that file.

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ringfence_app') THEN
        CREATE ROLE ringfence_app NOLOGIN;
    END IF;
END $$;

SET check_function_bodies = false;


CREATE FUNCTION public.commit_placements(by_node uuid, facts_read_ms bigint, placements uuid[], contacts uuid[], tries smallint[], campaigns uuid[], sellers uuid[], numbers bigint[], persons bigint[], accounts bigint[], trunks uuid[], judged bigint[], ends bigint[], calls text[], subjects bigint[], bases uuid[], movers uuid[], heads bytea[], moments bigint[], kinds smallint[], for_campaigns uuid[], for_contacts uuid[], for_tries smallint[], for_placements uuid[], leaves bytea[], denials integer[], verdicts text[], untils bigint[], denied_by text[], OUT written boolean, OUT stand uuid[]) RETURNS record
    LANGUAGE plpgsql
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    changed bigint;
BEGIN
    written := false;
    BEGIN
        UPDATE subject_head h SET token = n.token, head = n.head
        FROM unnest(subjects, bases, movers, heads) AS n(subject_id, base, token, head)
        WHERE h.subject_id = n.subject_id AND h.token = n.base;
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed < cardinality(subjects) THEN
            RAISE SQLSTATE 'RF001';
        END IF;
        INSERT INTO attempt (contact_id, try_no, campaign_id, seller_id, at)
        SELECT n.* FROM unnest(contacts, tries, campaigns, sellers, judged)
            AS n(contact_id, try_no, campaign_id, seller_id, at)
        -- Nothing is committed for a seller of whom a licence was withdrawn since the facts were read: it is judged
        -- again. Licences have no head that would have moved.
        WHERE NOT EXISTS (SELECT FROM licence_event e WHERE e.seller_id = n.seller_id AND e.kind = 'withdraw'
                          AND e.recorded_at > n.at - facts_read_ms)
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed < cardinality(placements) THEN
            RAISE SQLSTATE 'RF001';
        END IF;
        -- Nothing is committed by a node that others took for dead: the row is held until this is over, so whoever
        -- buries the node waits for it. After the heads: who waits for one does not hold up the node's heartbeat.
        PERFORM FROM node WHERE id = by_node AND dead_at IS NULL AND stopped_at IS NULL FOR SHARE;
        IF NOT FOUND THEN
            RAISE SQLSTATE 'RF002';
        END IF;
    EXCEPTION
        WHEN SQLSTATE 'RF001' THEN
            SELECT coalesce(array_agg(n.id), '{}') INTO stand
            FROM unnest(placements, contacts, tries, sellers, judged) AS n(id, contact_id, try_no, seller_id, at)
            WHERE NOT EXISTS (SELECT FROM unnest(subjects, bases, movers) AS c(subject_id, base, mover)
                              WHERE c.mover = n.id
                                AND NOT EXISTS (SELECT FROM subject_head h
                                                WHERE h.subject_id = c.subject_id AND h.token = c.base))
              AND NOT EXISTS (SELECT FROM attempt a WHERE a.contact_id = n.contact_id AND a.try_no = n.try_no)
              AND NOT EXISTS (SELECT FROM licence_event e WHERE e.seller_id = n.seller_id AND e.kind = 'withdraw'
                              AND e.recorded_at > n.at - facts_read_ms);
            RETURN;
        WHEN SQLSTATE 'RF002' THEN
            stand := '{}';
            RETURN;
    END;
    INSERT INTO placement (id, contact_id, try_no, campaign_id, number_subject, person_subject, account_subject,
                           trunk_id, at, not_after, sip_call_id, node)
    SELECT n.*, by_node FROM unnest(placements, contacts, tries, campaigns, numbers, persons, accounts, trunks,
                                    judged, ends, calls) AS n;
    IF cardinality(denials) = 0 THEN
        INSERT INTO audit_entry (at, kind, campaign_id, contact_id, try_no, placement, leaf)
        SELECT n.at, n.kind, n.campaign_id, n.contact_id, n.try_no, n.placement, n.leaf
        FROM unnest(moments, kinds, for_campaigns, for_contacts, for_tries, for_placements, leaves)
            WITH ORDINALITY AS n(at, kind, campaign_id, contact_id, try_no, placement, leaf, place)
        ORDER BY n.place;
    ELSE
        WITH entered AS (
            INSERT INTO audit_entry (at, kind, campaign_id, contact_id, try_no, placement, leaf)
            SELECT n.at, n.kind, n.campaign_id, n.contact_id, n.try_no, n.placement, n.leaf
            FROM unnest(moments, kinds, for_campaigns, for_contacts, for_tries, for_placements, leaves)
                WITH ORDINALITY AS n(at, kind, campaign_id, contact_id, try_no, placement, leaf, place)
            ORDER BY n.place RETURNING id)
        -- Ids are given in the order of recording.
        INSERT INTO decision (contact_id, try_no, campaign_id, at, verdict, until, rules, entry_id)
        SELECT for_contacts[d.place], for_tries[d.place], for_campaigns[d.place], moments[d.place], d.verdict,
               d.until, string_to_array(d.rules, ','), e.id
        FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM entered) e
        JOIN unnest(denials, verdicts, untils, denied_by) AS d(place, verdict, until, rules) USING (place);
    END IF;
    written := true;
    stand := placements;
END $$;

CREATE FUNCTION public.deployment_now() RETURNS bigint
    LANGUAGE sql
    AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint + clock_offset_ms FROM deployment
$$;

CREATE FUNCTION public.first_ulid(at bigint) RETURNS uuid
    LANGUAGE sql IMMUTABLE STRICT
    AS $$
    SELECT (lpad(to_hex(at), 12, '0') || repeat('0', 20))::uuid
$$;

CREATE FUNCTION public.make_partition(parent text, name text, key text, low text, high text) RETURNS integer
    LANGUAGE plpgsql
    AS $_$
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
END $_$;

CREATE FUNCTION public.make_partitions(at_once boolean) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public'
    SET lock_timeout TO '2s'
    AS $$
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

CREATE FUNCTION public.refresh_statistics() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public'
    SET lock_timeout TO '2s'
    AS $$
BEGIN
    ANALYZE public.subject, public.subject_head, public.number, public.person, public.account, public.contact,
            public.contact_number, public.due, public.consent_event, public.suppression_event;
END $$;

CREATE FUNCTION public.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TABLE public.account (
    subject_id bigint NOT NULL,
    seller_id uuid NOT NULL,
    external_id text NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE public.api_key (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    hash bytea NOT NULL,
    created_at bigint NOT NULL,
    revoked_at bigint,
    CONSTRAINT api_key_hash_check CHECK ((octet_length(hash) = 32))
);

CREATE TABLE public.app_user (
    id uuid NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT app_user_role_check CHECK ((role = ANY (ARRAY['admin'::text, 'campaign_manager'::text, 'compliance'::text, 'operator'::text, 'dialer'::text])))
);

CREATE TABLE public.attempt (
    contact_id uuid NOT NULL,
    try_no smallint NOT NULL,
    campaign_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    at bigint NOT NULL
)
PARTITION BY RANGE (contact_id);

CREATE TABLE public.attempt_rest (
    contact_id uuid NOT NULL,
    try_no smallint NOT NULL,
    campaign_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    at bigint NOT NULL
);

CREATE TABLE public.audit_checkpoint (
    size bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    at bigint NOT NULL,
    peaks bytea,
    CONSTRAINT audit_checkpoint_peaks_check CHECK (((octet_length(peaks) % 32) = 0)),
    CONSTRAINT audit_checkpoint_root_check CHECK ((octet_length(root) = 32))
);

CREATE TABLE public.audit_entry (
    id bigint NOT NULL,
    at bigint NOT NULL,
    kind smallint NOT NULL,
    campaign_id uuid,
    contact_id uuid,
    try_no smallint,
    placement uuid,
    leaf bytea NOT NULL
)
PARTITION BY RANGE (id);

ALTER TABLE public.audit_entry ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_entry_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.audit_entry_rest (
    id bigint NOT NULL,
    at bigint NOT NULL,
    kind smallint NOT NULL,
    campaign_id uuid,
    contact_id uuid,
    try_no smallint,
    placement uuid,
    leaf bytea NOT NULL
);

CREATE TABLE public.audit_leaf (
    index bigint NOT NULL,
    entry_id bigint NOT NULL,
    leaf_hash bytea NOT NULL,
    CONSTRAINT audit_leaf_leaf_hash_check CHECK ((octet_length(leaf_hash) = 32))
);

CREATE TABLE public.caller_counter (
    seller_id uuid NOT NULL,
    counter text NOT NULL,
    count bigint NOT NULL,
    as_of bigint NOT NULL,
    resets_at bigint NOT NULL
);

CREATE TABLE public.campaign (
    id uuid NOT NULL,
    no integer NOT NULL,
    seller_id uuid NOT NULL,
    name text NOT NULL,
    purpose smallint NOT NULL,
    technology smallint NOT NULL,
    status text DEFAULT 'draft'::text NOT NULL,
    caller_id text NOT NULL,
    announces text[] NOT NULL,
    prompt text NOT NULL,
    milli_cps bigint NOT NULL,
    max_concurrent integer NOT NULL,
    max_tries smallint NOT NULL,
    ring_timeout_ms integer NOT NULL,
    retry jsonb NOT NULL,
    created_at bigint NOT NULL,
    dialed_by text DEFAULT 'dialer'::text NOT NULL,
    CONSTRAINT campaign_dialed_by_check CHECK ((dialed_by = ANY (ARRAY['dialer'::text, 'permits'::text]))),
    CONSTRAINT campaign_max_concurrent_check CHECK ((max_concurrent > 0)),
    CONSTRAINT campaign_max_tries_check CHECK (((max_tries >= 1) AND (max_tries <= 100))),
    CONSTRAINT campaign_milli_cps_check CHECK ((milli_cps > 0)),
    CONSTRAINT campaign_no_check CHECK ((no > 0)),
    CONSTRAINT campaign_ring_timeout_ms_check CHECK (((ring_timeout_ms >= 5000) AND (ring_timeout_ms <= 120000))),
    CONSTRAINT campaign_status_check CHECK ((status = ANY (ARRAY['draft'::text, 'running'::text, 'paused'::text, 'stopped'::text, 'ended'::text])))
);

ALTER TABLE public.campaign ALTER COLUMN no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.campaign_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.campaign_trunk (
    campaign_id uuid NOT NULL,
    trunk_id uuid NOT NULL,
    priority smallint DEFAULT 1 NOT NULL
);

CREATE TABLE public.consent_event (
    id bigint NOT NULL,
    seller_id uuid NOT NULL,
    person_subject bigint NOT NULL,
    number_subject bigint,
    kind text NOT NULL,
    form text NOT NULL,
    purpose smallint NOT NULL,
    technology smallint,
    at bigint NOT NULL,
    source text NOT NULL,
    recorded_at bigint NOT NULL,
    event uuid DEFAULT gen_random_uuid() NOT NULL,
    wording text,
    channel text,
    lifts uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    CONSTRAINT consent_event_check CHECK (((lifts = '{}'::uuid[]) OR ((kind = 'grant'::text) AND (wording IS NOT NULL)))),
    CONSTRAINT consent_event_form_check CHECK ((form = ANY (ARRAY['prior_express'::text, 'prior_express_written'::text, 'opt_in'::text]))),
    CONSTRAINT consent_event_kind_check CHECK ((kind = ANY (ARRAY['grant'::text, 'revoke'::text])))
);

ALTER TABLE public.consent_event ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.consent_event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.contact (
    id uuid NOT NULL,
    campaign_id uuid NOT NULL,
    list_id uuid NOT NULL,
    person_subject bigint NOT NULL,
    account_subject bigint,
    party_type smallint NOT NULL,
    party_role smallint NOT NULL,
    country text,
    region text,
    postal_code text,
    time_zone text,
    relationship_kind text,
    relationship_since date,
    state smallint DEFAULT 1 NOT NULL,
    try_no smallint DEFAULT 1 NOT NULL,
    made smallint DEFAULT 0 NOT NULL,
    next_position smallint DEFAULT 0 NOT NULL,
    node uuid,
    last_disposition smallint,
    finished text,
    address_verified boolean DEFAULT false NOT NULL,
    CONSTRAINT contact_relationship_kind_check CHECK ((relationship_kind = ANY (ARRAY['existing_customer'::text, 'inquiry'::text]))),
    CONSTRAINT contact_state_check CHECK (((state >= 1) AND (state <= 5)))
)
WITH (fillfactor='80');

CREATE TABLE public.contact_field (
    contact_id uuid NOT NULL,
    cipher bytea NOT NULL
);

CREATE TABLE public.contact_list (
    id uuid NOT NULL,
    campaign_id uuid NOT NULL,
    name text NOT NULL,
    state text NOT NULL,
    rows bigint DEFAULT 0 NOT NULL,
    imported bigint DEFAULT 0 NOT NULL,
    rejected bigint DEFAULT 0 NOT NULL,
    duplicates bigint DEFAULT 0 NOT NULL,
    failure text,
    created_at bigint NOT NULL,
    repaired bigint DEFAULT 0 NOT NULL,
    quarantined bigint DEFAULT 0 NOT NULL,
    blank bigint DEFAULT 0 NOT NULL,
    touched_at bigint DEFAULT 0 NOT NULL,
    failure_said text,
    CONSTRAINT contact_list_check CHECK ((rows = ((imported + rejected) + duplicates))),
    CONSTRAINT contact_list_quarantined_check CHECK (((quarantined >= 0) AND (quarantined <= rejected))),
    CONSTRAINT contact_list_repaired_check CHECK (((repaired >= 0) AND (repaired <= imported))),
    CONSTRAINT contact_list_state_check CHECK ((state = ANY (ARRAY['importing'::text, 'imported'::text, 'failed'::text])))
);

CREATE TABLE public.contact_number (
    contact_id uuid NOT NULL,
    "position" smallint NOT NULL,
    number_subject bigint NOT NULL,
    CONSTRAINT contact_number_position_check CHECK ((("position" >= 0) AND ("position" <= 7)))
);

CREATE TABLE public.counter_event (
    id bigint NOT NULL,
    seller_id uuid NOT NULL,
    counter text NOT NULL,
    count bigint NOT NULL,
    as_of bigint NOT NULL,
    resets_at bigint NOT NULL,
    source text NOT NULL,
    recorded_at bigint NOT NULL,
    CONSTRAINT counter_event_check CHECK ((resets_at > as_of)),
    CONSTRAINT counter_event_count_check CHECK (((count >= 0) AND (count <= '4294967295'::bigint)))
);

ALTER TABLE public.counter_event ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.counter_event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.decision (
    id bigint NOT NULL,
    contact_id uuid NOT NULL,
    try_no smallint NOT NULL,
    campaign_id uuid NOT NULL,
    at bigint NOT NULL,
    verdict text NOT NULL,
    until bigint,
    rules text[] NOT NULL,
    entry_id bigint NOT NULL,
    CONSTRAINT decision_verdict_check CHECK ((verdict = ANY (ARRAY['permit'::text, 'defer'::text, 'refuse'::text])))
)
PARTITION BY RANGE (id);

ALTER TABLE public.decision ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.decision_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.decision_rest (
    id bigint NOT NULL,
    contact_id uuid NOT NULL,
    try_no smallint NOT NULL,
    campaign_id uuid NOT NULL,
    at bigint NOT NULL,
    verdict text NOT NULL,
    until bigint,
    rules text[] NOT NULL,
    entry_id bigint NOT NULL,
    CONSTRAINT decision_verdict_check CHECK ((verdict = ANY (ARRAY['permit'::text, 'defer'::text, 'refuse'::text])))
);

CREATE TABLE public.deployment (
    single boolean DEFAULT true NOT NULL,
    mode text DEFAULT 'production'::text NOT NULL,
    clock_offset_ms bigint DEFAULT 0 NOT NULL,
    CONSTRAINT deployment_check CHECK (((mode = 'demo'::text) OR (clock_offset_ms = 0))),
    CONSTRAINT deployment_mode_check CHECK ((mode = ANY (ARRAY['production'::text, 'demo'::text]))),
    CONSTRAINT deployment_single_check CHECK (single)
);

CREATE TABLE public.due (
    contact_id uuid NOT NULL,
    campaign_id uuid NOT NULL,
    priority smallint DEFAULT 0 NOT NULL,
    due_at bigint NOT NULL,
    because text,
    judged_at bigint
);

CREATE TABLE public.earlier_contact (
    id uuid NOT NULL,
    seller_id uuid NOT NULL,
    number_subject bigint NOT NULL,
    person_subject bigint,
    account_subject bigint,
    inbound boolean NOT NULL,
    purpose smallint NOT NULL,
    technology smallint NOT NULL,
    outcome smallint NOT NULL,
    at bigint NOT NULL,
    recorded_at bigint NOT NULL
);

CREATE TABLE public.ledger_mark (
    node uuid NOT NULL,
    batch bigint NOT NULL,
    CONSTRAINT ledger_mark_batch_check CHECK ((batch > 0))
)
WITH (fillfactor='50');

CREATE TABLE public.licence_event (
    id bigint NOT NULL,
    seller_id uuid NOT NULL,
    campaign_id uuid,
    script text,
    licence text NOT NULL,
    kind text NOT NULL,
    valid_from date,
    valid_until date,
    source text NOT NULL,
    recorded_at bigint NOT NULL,
    CONSTRAINT licence_event_check CHECK (((campaign_id IS NULL) OR (script IS NULL))),
    CONSTRAINT licence_event_check1 CHECK (((kind = 'hold'::text) OR ((valid_from IS NULL) AND (valid_until IS NULL)))),
    CONSTRAINT licence_event_check2 CHECK ((valid_from <= valid_until)),
    CONSTRAINT licence_event_kind_check CHECK ((kind = ANY (ARRAY['hold'::text, 'withdraw'::text])))
);

ALTER TABLE public.licence_event ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.licence_event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.list_fault (
    list_id uuid NOT NULL,
    line bigint NOT NULL,
    field text NOT NULL,
    reason text NOT NULL,
    kind text DEFAULT 'fault'::text NOT NULL,
    said text,
    CONSTRAINT list_fault_kind_check CHECK ((kind = ANY (ARRAY['fault'::text, 'card'::text, 'repair'::text, 'duplicate'::text])))
);

CREATE TABLE public.node (
    id uuid NOT NULL,
    name text NOT NULL,
    started_at bigint NOT NULL,
    heartbeat_at bigint NOT NULL,
    stopped_at bigint,
    ruleset bytea,
    ruleset_since bigint,
    dead_at bigint,
    kind text DEFAULT 'dialer'::text NOT NULL,
    CONSTRAINT node_check CHECK (((ruleset_since IS NULL) = (ruleset IS NULL))),
    CONSTRAINT node_kind_check CHECK ((kind = ANY (ARRAY['dialer'::text, 'api'::text]))),
    CONSTRAINT node_ruleset_check CHECK ((octet_length(ruleset) = 32))
);

CREATE TABLE public.number (
    subject_id bigint NOT NULL,
    keyed_hash bytea NOT NULL,
    cipher bytea NOT NULL,
    line_type smallint NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT number_keyed_hash_check CHECK ((octet_length(keyed_hash) = 32))
);

CREATE TABLE public.number_check_event (
    id bigint NOT NULL,
    seller_id uuid,
    number_subject bigint NOT NULL,
    database text NOT NULL,
    as_of date NOT NULL,
    reassigned text,
    line_type smallint,
    line_class text,
    source text NOT NULL,
    recorded_at bigint NOT NULL,
    CONSTRAINT number_check_event_check CHECK (((database = 'line'::text) = (line_type IS NOT NULL))),
    CONSTRAINT number_check_event_check1 CHECK (((database = 'line'::text) = (line_class IS NOT NULL))),
    CONSTRAINT number_check_event_check2 CHECK (((database = 'line'::text) = (reassigned IS NULL))),
    CONSTRAINT number_check_event_line_class_check CHECK ((line_class = ANY (ARRAY['ordinary'::text, 'emergency'::text, 'hospital'::text, 'paging'::text, 'charged'::text]))),
    CONSTRAINT number_check_event_reassigned_check CHECK ((reassigned = ANY (ARRAY['no'::text, 'yes'::text, 'no_data'::text])))
);

ALTER TABLE public.number_check_event ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.number_check_event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.opt_out (
    id bigint NOT NULL,
    xact xid8 DEFAULT pg_current_xact_id() NOT NULL,
    subjects bigint[] NOT NULL,
    seller_no integer NOT NULL,
    purpose smallint,
    at bigint NOT NULL,
    CONSTRAINT opt_out_seller_no_check CHECK ((seller_no >= 0))
);

ALTER TABLE public.opt_out ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.opt_out_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.outcome (
    placement_id uuid NOT NULL,
    revision smallint DEFAULT 0 NOT NULL,
    disposition smallint NOT NULL,
    sip_code smallint,
    q850 smallint,
    ring_ms bigint,
    answered_at bigint,
    ended_at bigint NOT NULL,
    recorded_by uuid NOT NULL,
    reason text
)
PARTITION BY RANGE (placement_id);

CREATE TABLE public.outcome_rest (
    placement_id uuid NOT NULL,
    revision smallint DEFAULT 0 NOT NULL,
    disposition smallint NOT NULL,
    sip_code smallint,
    q850 smallint,
    ring_ms bigint,
    answered_at bigint,
    ended_at bigint NOT NULL,
    recorded_by uuid NOT NULL,
    reason text
);

CREATE TABLE public.parked (
    contact_id uuid NOT NULL,
    campaign_id uuid NOT NULL,
    cause text NOT NULL,
    rules text[] NOT NULL,
    since bigint NOT NULL
);

CREATE TABLE public.permit (
    id uuid NOT NULL,
    node uuid NOT NULL,
    user_id uuid NOT NULL,
    key text NOT NULL,
    asked bytea NOT NULL,
    contact_id uuid NOT NULL,
    duties text DEFAULT '[]'::text NOT NULL,
    sent_at bigint,
    said text,
    close_at bigint,
    CONSTRAINT permit_asked_check CHECK ((octet_length(asked) = 32))
);

CREATE TABLE public.person (
    subject_id bigint NOT NULL,
    id uuid NOT NULL,
    seller_id uuid NOT NULL,
    external_id text NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE public.placement (
    id uuid NOT NULL,
    contact_id uuid NOT NULL,
    try_no smallint NOT NULL,
    campaign_id uuid NOT NULL,
    number_subject bigint NOT NULL,
    person_subject bigint NOT NULL,
    account_subject bigint,
    trunk_id uuid NOT NULL,
    node uuid NOT NULL,
    at bigint NOT NULL,
    not_after bigint NOT NULL,
    sip_call_id text NOT NULL
)
PARTITION BY RANGE (id);

CREATE TABLE public.placement_rest (
    id uuid NOT NULL,
    contact_id uuid NOT NULL,
    try_no smallint NOT NULL,
    campaign_id uuid NOT NULL,
    number_subject bigint NOT NULL,
    person_subject bigint NOT NULL,
    account_subject bigint,
    trunk_id uuid NOT NULL,
    node uuid NOT NULL,
    at bigint NOT NULL,
    not_after bigint NOT NULL,
    sip_call_id text NOT NULL
);

CREATE TABLE public.prompt_state (
    node uuid NOT NULL,
    campaign_id uuid NOT NULL,
    reason text NOT NULL,
    since bigint NOT NULL
);

CREATE TABLE public.schema_version (
    single boolean DEFAULT true NOT NULL,
    version integer NOT NULL,
    oldest integer NOT NULL,
    CONSTRAINT schema_version_check CHECK ((oldest <= version)),
    CONSTRAINT schema_version_single_check CHECK (single)
);

CREATE TABLE public.seller (
    id uuid NOT NULL,
    no integer NOT NULL,
    name text NOT NULL,
    created_at bigint NOT NULL,
    narrows_by_verified_address boolean DEFAULT false NOT NULL,
    CONSTRAINT seller_no_check CHECK ((no > 0))
);

ALTER TABLE public.seller ALTER COLUMN no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.seller_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.subject (
    id bigint NOT NULL,
    kind smallint NOT NULL,
    CONSTRAINT subject_kind_check CHECK ((kind = ANY (ARRAY[1, 2, 3])))
);

CREATE TABLE public.subject_head (
    subject_id bigint NOT NULL,
    token uuid NOT NULL,
    head bytea NOT NULL
)
WITH (fillfactor='70');

ALTER TABLE public.subject ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.subject_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.suppression_event (
    id bigint NOT NULL,
    seller_id uuid,
    number_subject bigint,
    person_subject bigint,
    kind text NOT NULL,
    reason text NOT NULL,
    at bigint NOT NULL,
    recorded_at bigint NOT NULL,
    event uuid DEFAULT gen_random_uuid() NOT NULL,
    purpose smallint,
    CONSTRAINT suppression_event_check CHECK (((number_subject IS NOT NULL) OR (person_subject IS NOT NULL))),
    CONSTRAINT suppression_event_kind_check CHECK ((kind = ANY (ARRAY['add'::text, 'lift'::text])))
);

ALTER TABLE public.suppression_event ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.suppression_event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.trunk (
    id uuid NOT NULL,
    name text NOT NULL,
    address text NOT NULL,
    username text,
    password bytea,
    milli_cps bigint NOT NULL,
    max_concurrent integer NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT trunk_max_concurrent_check CHECK ((max_concurrent > 0)),
    CONSTRAINT trunk_milli_cps_check CHECK ((milli_cps > 0))
);

CREATE TABLE public.trunk_share (
    trunk_id uuid NOT NULL,
    node uuid NOT NULL,
    calls integer NOT NULL,
    wanted integer NOT NULL,
    until bigint NOT NULL,
    before integer NOT NULL,
    before_until bigint NOT NULL,
    CONSTRAINT trunk_share_before_check CHECK ((before >= 0)),
    CONSTRAINT trunk_share_calls_check CHECK ((calls >= 0)),
    CONSTRAINT trunk_share_wanted_check CHECK ((wanted >= 0))
)
WITH (fillfactor='50');

CREATE TABLE public.trunk_state (
    node uuid NOT NULL,
    trunk_id uuid NOT NULL,
    open boolean NOT NULL,
    reason text NOT NULL,
    since bigint NOT NULL
);

CREATE TABLE public.wish_event (
    id bigint NOT NULL,
    seller_id uuid NOT NULL,
    person_subject bigint NOT NULL,
    blocked text[] NOT NULL,
    at bigint NOT NULL,
    source text NOT NULL,
    recorded_at bigint NOT NULL
);

ALTER TABLE public.wish_event ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.wish_event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY public.attempt ATTACH PARTITION public.attempt_rest DEFAULT;

ALTER TABLE ONLY public.audit_entry ATTACH PARTITION public.audit_entry_rest DEFAULT;

ALTER TABLE ONLY public.decision ATTACH PARTITION public.decision_rest DEFAULT;

ALTER TABLE ONLY public.outcome ATTACH PARTITION public.outcome_rest DEFAULT;

ALTER TABLE ONLY public.placement ATTACH PARTITION public.placement_rest DEFAULT;

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (subject_id);

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_seller_id_external_id_key UNIQUE (seller_id, external_id);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_hash_key UNIQUE (hash);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.app_user
    ADD CONSTRAINT app_user_name_key UNIQUE (name);

ALTER TABLE ONLY public.app_user
    ADD CONSTRAINT app_user_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.attempt
    ADD CONSTRAINT attempt_pkey PRIMARY KEY (contact_id, try_no);

ALTER TABLE ONLY public.attempt_rest
    ADD CONSTRAINT attempt_rest_pkey PRIMARY KEY (contact_id, try_no);

ALTER TABLE ONLY public.audit_checkpoint
    ADD CONSTRAINT audit_checkpoint_pkey PRIMARY KEY (size);

ALTER TABLE ONLY public.audit_entry
    ADD CONSTRAINT audit_entry_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.audit_entry_rest
    ADD CONSTRAINT audit_entry_rest_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.audit_leaf
    ADD CONSTRAINT audit_leaf_entry_id_key UNIQUE (entry_id);

ALTER TABLE ONLY public.audit_leaf
    ADD CONSTRAINT audit_leaf_pkey PRIMARY KEY (index);

ALTER TABLE ONLY public.caller_counter
    ADD CONSTRAINT caller_counter_pkey PRIMARY KEY (seller_id, counter);

ALTER TABLE ONLY public.campaign
    ADD CONSTRAINT campaign_no_key UNIQUE (no);

ALTER TABLE ONLY public.campaign
    ADD CONSTRAINT campaign_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.campaign
    ADD CONSTRAINT campaign_seller_id_name_key UNIQUE (seller_id, name);

ALTER TABLE ONLY public.campaign_trunk
    ADD CONSTRAINT campaign_trunk_pkey PRIMARY KEY (campaign_id, trunk_id);

ALTER TABLE ONLY public.consent_event
    ADD CONSTRAINT consent_event_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.contact
    ADD CONSTRAINT contact_campaign_id_person_subject_key UNIQUE (campaign_id, person_subject);

ALTER TABLE ONLY public.contact_field
    ADD CONSTRAINT contact_field_pkey PRIMARY KEY (contact_id);

ALTER TABLE ONLY public.contact_list
    ADD CONSTRAINT contact_list_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.contact_number
    ADD CONSTRAINT contact_number_pkey PRIMARY KEY (contact_id, "position");

ALTER TABLE ONLY public.contact
    ADD CONSTRAINT contact_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.counter_event
    ADD CONSTRAINT counter_event_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.decision
    ADD CONSTRAINT decision_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.decision_rest
    ADD CONSTRAINT decision_rest_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.deployment
    ADD CONSTRAINT deployment_pkey PRIMARY KEY (single);

ALTER TABLE ONLY public.due
    ADD CONSTRAINT due_pkey PRIMARY KEY (contact_id);

ALTER TABLE ONLY public.earlier_contact
    ADD CONSTRAINT earlier_contact_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ledger_mark
    ADD CONSTRAINT ledger_mark_pkey PRIMARY KEY (node);

ALTER TABLE ONLY public.licence_event
    ADD CONSTRAINT licence_event_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.node
    ADD CONSTRAINT node_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.number_check_event
    ADD CONSTRAINT number_check_event_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.number
    ADD CONSTRAINT number_keyed_hash_key UNIQUE (keyed_hash);

ALTER TABLE ONLY public.number
    ADD CONSTRAINT number_pkey PRIMARY KEY (subject_id);

ALTER TABLE ONLY public.opt_out
    ADD CONSTRAINT opt_out_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.outcome
    ADD CONSTRAINT outcome_pkey PRIMARY KEY (placement_id, revision);

ALTER TABLE ONLY public.outcome_rest
    ADD CONSTRAINT outcome_rest_pkey PRIMARY KEY (placement_id, revision);

ALTER TABLE ONLY public.parked
    ADD CONSTRAINT parked_pkey PRIMARY KEY (contact_id);

ALTER TABLE ONLY public.permit
    ADD CONSTRAINT permit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.permit
    ADD CONSTRAINT permit_user_id_key_key UNIQUE (user_id, key);

ALTER TABLE ONLY public.person
    ADD CONSTRAINT person_id_key UNIQUE (id);

ALTER TABLE ONLY public.person
    ADD CONSTRAINT person_pkey PRIMARY KEY (subject_id);

ALTER TABLE ONLY public.person
    ADD CONSTRAINT person_seller_id_external_id_key UNIQUE (seller_id, external_id);

ALTER TABLE ONLY public.placement
    ADD CONSTRAINT placement_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.placement_rest
    ADD CONSTRAINT placement_rest_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.prompt_state
    ADD CONSTRAINT prompt_state_pkey PRIMARY KEY (node, campaign_id);

ALTER TABLE ONLY public.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (single);

ALTER TABLE ONLY public.seller
    ADD CONSTRAINT seller_name_key UNIQUE (name);

ALTER TABLE ONLY public.seller
    ADD CONSTRAINT seller_no_key UNIQUE (no);

ALTER TABLE ONLY public.seller
    ADD CONSTRAINT seller_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.subject_head
    ADD CONSTRAINT subject_head_pkey PRIMARY KEY (subject_id);

ALTER TABLE ONLY public.subject
    ADD CONSTRAINT subject_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.suppression_event
    ADD CONSTRAINT suppression_event_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trunk
    ADD CONSTRAINT trunk_name_key UNIQUE (name);

ALTER TABLE ONLY public.trunk
    ADD CONSTRAINT trunk_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trunk_share
    ADD CONSTRAINT trunk_share_pkey PRIMARY KEY (trunk_id, node);

ALTER TABLE ONLY public.trunk_state
    ADD CONSTRAINT trunk_state_pkey PRIMARY KEY (node, trunk_id);

ALTER TABLE ONLY public.wish_event
    ADD CONSTRAINT wish_event_pkey PRIMARY KEY (id);

CREATE INDEX audit_entry_at_idx ON ONLY public.audit_entry USING btree (at) WHERE (kind = 12);

CREATE INDEX audit_entry_contact_id_try_no_idx ON ONLY public.audit_entry USING btree (contact_id, try_no) WHERE (contact_id IS NOT NULL);

CREATE INDEX audit_entry_grounds ON ONLY public.audit_entry USING btree (sha256(('\x00'::bytea || leaf))) WHERE (kind = 14);

CREATE INDEX audit_entry_placement_idx ON ONLY public.audit_entry USING btree (placement) WHERE ((contact_id IS NULL) AND (placement IS NOT NULL));

CREATE INDEX audit_entry_rest_at_idx ON public.audit_entry_rest USING btree (at) WHERE (kind = 12);

CREATE INDEX audit_entry_rest_contact_id_try_no_idx ON public.audit_entry_rest USING btree (contact_id, try_no) WHERE (contact_id IS NOT NULL);

CREATE INDEX audit_entry_rest_placement_idx ON public.audit_entry_rest USING btree (placement) WHERE ((contact_id IS NULL) AND (placement IS NOT NULL));

CREATE INDEX audit_entry_rest_sha256_idx ON public.audit_entry_rest USING btree (sha256(('\x00'::bytea || leaf))) WHERE (kind = 14);

CREATE INDEX consent_event_lifts_idx ON public.consent_event USING gin (lifts) WHERE (lifts <> '{}'::uuid[]);

CREATE INDEX consent_event_person_subject_idx ON public.consent_event USING btree (person_subject);

CREATE INDEX contact_campaign_id_state_idx ON public.contact USING btree (campaign_id, state);

CREATE INDEX contact_list_touched_at_idx ON public.contact_list USING btree (touched_at) WHERE (state = 'importing'::text);

CREATE INDEX contact_node_idx ON public.contact USING btree (node) WHERE (node IS NOT NULL);

CREATE INDEX contact_number_number_subject_idx ON public.contact_number USING btree (number_subject);

CREATE INDEX contact_person_subject_idx ON public.contact USING btree (person_subject);

CREATE INDEX counter_event_recorded_at_idx ON public.counter_event USING btree (recorded_at);

CREATE INDEX decision_campaign_id_verdict_idx ON ONLY public.decision USING btree (campaign_id, verdict);

CREATE INDEX decision_contact_id_id_idx ON ONLY public.decision USING btree (contact_id, id);

CREATE INDEX decision_rest_campaign_id_verdict_idx ON public.decision_rest USING btree (campaign_id, verdict);

CREATE INDEX decision_rest_contact_id_id_idx ON public.decision_rest USING btree (contact_id, id);

CREATE INDEX due_campaign_id_priority_due_at_idx ON public.due USING btree (campaign_id, priority, due_at);

CREATE INDEX due_judged_at_idx ON public.due USING btree (judged_at) WHERE (judged_at IS NOT NULL);

CREATE INDEX earlier_contact_number_subject_idx ON public.earlier_contact USING btree (number_subject);

CREATE INDEX licence_event_recorded_at_idx ON public.licence_event USING btree (recorded_at);

CREATE INDEX licence_event_seller_id_id_idx ON public.licence_event USING btree (seller_id, id);

CREATE INDEX licence_event_seller_id_recorded_at_idx ON public.licence_event USING btree (seller_id, recorded_at) WHERE (kind = 'withdraw'::text);

CREATE INDEX list_fault_list_id_line_idx ON public.list_fault USING btree (list_id, line);

CREATE INDEX number_check_event_number_subject_idx ON public.number_check_event USING btree (number_subject);

CREATE INDEX opt_out_at_idx ON public.opt_out USING btree (at);

CREATE INDEX opt_out_xact_idx ON public.opt_out USING btree (xact);

CREATE INDEX parked_campaign_id_cause_idx ON public.parked USING btree (campaign_id, cause);

CREATE INDEX parked_cause_idx ON public.parked USING btree (cause);

CREATE INDEX parked_since_idx ON public.parked USING btree (since);

CREATE INDEX permit_close_at_idx ON public.permit USING btree (close_at) WHERE (close_at IS NOT NULL);

CREATE INDEX permit_contact_id_idx ON public.permit USING btree (contact_id) WHERE (close_at IS NOT NULL);

CREATE INDEX placement_campaign_id_idx ON ONLY public.placement USING btree (campaign_id);

CREATE INDEX placement_contact_id_try_no_idx ON ONLY public.placement USING btree (contact_id, try_no);

CREATE INDEX placement_node_at_idx ON ONLY public.placement USING btree (node, at);

CREATE INDEX placement_rest_campaign_id_idx ON public.placement_rest USING btree (campaign_id);

CREATE INDEX placement_rest_contact_id_try_no_idx ON public.placement_rest USING btree (contact_id, try_no);

CREATE INDEX placement_rest_node_at_idx ON public.placement_rest USING btree (node, at);

CREATE INDEX suppression_event_event_idx ON public.suppression_event USING btree (event);

CREATE INDEX suppression_event_number_subject_idx ON public.suppression_event USING btree (number_subject);

CREATE INDEX suppression_event_person_subject_idx ON public.suppression_event USING btree (person_subject);

CREATE INDEX wish_event_person_subject_at_id_idx ON public.wish_event USING btree (person_subject, at, id);

ALTER INDEX public.attempt_pkey ATTACH PARTITION public.attempt_rest_pkey;

ALTER INDEX public.audit_entry_at_idx ATTACH PARTITION public.audit_entry_rest_at_idx;

ALTER INDEX public.audit_entry_contact_id_try_no_idx ATTACH PARTITION public.audit_entry_rest_contact_id_try_no_idx;

ALTER INDEX public.audit_entry_pkey ATTACH PARTITION public.audit_entry_rest_pkey;

ALTER INDEX public.audit_entry_placement_idx ATTACH PARTITION public.audit_entry_rest_placement_idx;

ALTER INDEX public.audit_entry_grounds ATTACH PARTITION public.audit_entry_rest_sha256_idx;

ALTER INDEX public.decision_campaign_id_verdict_idx ATTACH PARTITION public.decision_rest_campaign_id_verdict_idx;

ALTER INDEX public.decision_contact_id_id_idx ATTACH PARTITION public.decision_rest_contact_id_id_idx;

ALTER INDEX public.decision_pkey ATTACH PARTITION public.decision_rest_pkey;

ALTER INDEX public.outcome_pkey ATTACH PARTITION public.outcome_rest_pkey;

ALTER INDEX public.placement_campaign_id_idx ATTACH PARTITION public.placement_rest_campaign_id_idx;

ALTER INDEX public.placement_contact_id_try_no_idx ATTACH PARTITION public.placement_rest_contact_id_try_no_idx;

ALTER INDEX public.placement_node_at_idx ATTACH PARTITION public.placement_rest_node_at_idx;

ALTER INDEX public.placement_pkey ATTACH PARTITION public.placement_rest_pkey;

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.attempt FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.attempt_rest FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit_checkpoint FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit_entry FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit_entry_rest FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit_leaf FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.consent_event FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.counter_event FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.decision FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.decision_rest FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.earlier_contact FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.licence_event FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.number_check_event FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.outcome FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.outcome_rest FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.placement FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.placement_rest FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.suppression_event FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.wish_event FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES public.seller(id);

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_subject_id_fkey FOREIGN KEY (subject_id) REFERENCES public.subject(id);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.app_user(id);

ALTER TABLE ONLY public.caller_counter
    ADD CONSTRAINT caller_counter_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES public.seller(id);

ALTER TABLE ONLY public.campaign
    ADD CONSTRAINT campaign_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES public.seller(id);

ALTER TABLE ONLY public.campaign_trunk
    ADD CONSTRAINT campaign_trunk_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES public.campaign(id);

ALTER TABLE ONLY public.campaign_trunk
    ADD CONSTRAINT campaign_trunk_trunk_id_fkey FOREIGN KEY (trunk_id) REFERENCES public.trunk(id);

ALTER TABLE ONLY public.consent_event
    ADD CONSTRAINT consent_event_number_subject_fkey FOREIGN KEY (number_subject) REFERENCES public.number(subject_id);

ALTER TABLE ONLY public.consent_event
    ADD CONSTRAINT consent_event_person_subject_fkey FOREIGN KEY (person_subject) REFERENCES public.person(subject_id);

ALTER TABLE ONLY public.consent_event
    ADD CONSTRAINT consent_event_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES public.seller(id);

ALTER TABLE ONLY public.contact
    ADD CONSTRAINT contact_account_subject_fkey FOREIGN KEY (account_subject) REFERENCES public.account(subject_id);

ALTER TABLE ONLY public.contact
    ADD CONSTRAINT contact_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES public.campaign(id);

ALTER TABLE ONLY public.contact_field
    ADD CONSTRAINT contact_field_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES public.contact(id);

ALTER TABLE ONLY public.contact_list
    ADD CONSTRAINT contact_list_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES public.campaign(id);

ALTER TABLE ONLY public.contact
    ADD CONSTRAINT contact_list_id_fkey FOREIGN KEY (list_id) REFERENCES public.contact_list(id);

ALTER TABLE ONLY public.contact_number
    ADD CONSTRAINT contact_number_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES public.contact(id);

ALTER TABLE ONLY public.contact_number
    ADD CONSTRAINT contact_number_number_subject_fkey FOREIGN KEY (number_subject) REFERENCES public.number(subject_id);

ALTER TABLE ONLY public.contact
    ADD CONSTRAINT contact_person_subject_fkey FOREIGN KEY (person_subject) REFERENCES public.person(subject_id);

ALTER TABLE ONLY public.counter_event
    ADD CONSTRAINT counter_event_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES public.seller(id);

ALTER TABLE ONLY public.due
    ADD CONSTRAINT due_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES public.contact(id);

ALTER TABLE ONLY public.earlier_contact
    ADD CONSTRAINT earlier_contact_account_subject_fkey FOREIGN KEY (account_subject) REFERENCES public.account(subject_id);

ALTER TABLE ONLY public.earlier_contact
    ADD CONSTRAINT earlier_contact_number_subject_fkey FOREIGN KEY (number_subject) REFERENCES public.number(subject_id);

ALTER TABLE ONLY public.earlier_contact
    ADD CONSTRAINT earlier_contact_person_subject_fkey FOREIGN KEY (person_subject) REFERENCES public.person(subject_id);

ALTER TABLE ONLY public.earlier_contact
    ADD CONSTRAINT earlier_contact_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES public.seller(id);

ALTER TABLE ONLY public.licence_event
    ADD CONSTRAINT licence_event_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES public.campaign(id);

ALTER TABLE ONLY public.licence_event
    ADD CONSTRAINT licence_event_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES public.seller(id);

ALTER TABLE ONLY public.list_fault
    ADD CONSTRAINT list_fault_list_id_fkey FOREIGN KEY (list_id) REFERENCES public.contact_list(id);

ALTER TABLE ONLY public.number_check_event
    ADD CONSTRAINT number_check_event_number_subject_fkey FOREIGN KEY (number_subject) REFERENCES public.number(subject_id);

ALTER TABLE ONLY public.number_check_event
    ADD CONSTRAINT number_check_event_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES public.seller(id);

ALTER TABLE ONLY public.number
    ADD CONSTRAINT number_subject_id_fkey FOREIGN KEY (subject_id) REFERENCES public.subject(id);

ALTER TABLE ONLY public.parked
    ADD CONSTRAINT parked_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES public.contact(id);

ALTER TABLE ONLY public.permit
    ADD CONSTRAINT permit_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES public.contact(id);

ALTER TABLE ONLY public.permit
    ADD CONSTRAINT permit_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.app_user(id);

ALTER TABLE ONLY public.person
    ADD CONSTRAINT person_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES public.seller(id);

ALTER TABLE ONLY public.person
    ADD CONSTRAINT person_subject_id_fkey FOREIGN KEY (subject_id) REFERENCES public.subject(id);

ALTER TABLE ONLY public.prompt_state
    ADD CONSTRAINT prompt_state_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES public.campaign(id);

ALTER TABLE ONLY public.subject_head
    ADD CONSTRAINT subject_head_subject_id_fkey FOREIGN KEY (subject_id) REFERENCES public.subject(id);

ALTER TABLE ONLY public.suppression_event
    ADD CONSTRAINT suppression_event_number_subject_fkey FOREIGN KEY (number_subject) REFERENCES public.number(subject_id);

ALTER TABLE ONLY public.suppression_event
    ADD CONSTRAINT suppression_event_person_subject_fkey FOREIGN KEY (person_subject) REFERENCES public.person(subject_id);

ALTER TABLE ONLY public.suppression_event
    ADD CONSTRAINT suppression_event_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES public.seller(id);

ALTER TABLE ONLY public.trunk_share
    ADD CONSTRAINT trunk_share_trunk_id_fkey FOREIGN KEY (trunk_id) REFERENCES public.trunk(id);

ALTER TABLE ONLY public.trunk_state
    ADD CONSTRAINT trunk_state_trunk_id_fkey FOREIGN KEY (trunk_id) REFERENCES public.trunk(id);

ALTER TABLE ONLY public.wish_event
    ADD CONSTRAINT wish_event_person_subject_fkey FOREIGN KEY (person_subject) REFERENCES public.person(subject_id);

ALTER TABLE ONLY public.wish_event
    ADD CONSTRAINT wish_event_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES public.seller(id);

REVOKE ALL ON FUNCTION public.make_partition(parent text, name text, key text, low text, high text) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.make_partitions(at_once boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION public.make_partitions(at_once boolean) TO ringfence_app;

REVOKE ALL ON FUNCTION public.refresh_statistics() FROM PUBLIC;
GRANT ALL ON FUNCTION public.refresh_statistics() TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.account TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.api_key TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.app_user TO ringfence_app;

GRANT SELECT,INSERT ON TABLE public.attempt TO ringfence_app;

GRANT SELECT,INSERT ON TABLE public.audit_checkpoint TO ringfence_app;

GRANT SELECT,INSERT ON TABLE public.audit_entry TO ringfence_app;

GRANT SELECT,INSERT ON TABLE public.audit_leaf TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.caller_counter TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.campaign TO ringfence_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.campaign_trunk TO ringfence_app;

GRANT SELECT,INSERT ON TABLE public.consent_event TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.contact TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.contact_field TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.contact_list TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.contact_number TO ringfence_app;

GRANT SELECT,INSERT ON TABLE public.counter_event TO ringfence_app;

GRANT SELECT,INSERT ON TABLE public.decision TO ringfence_app;

GRANT SELECT ON TABLE public.deployment TO ringfence_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.due TO ringfence_app;

GRANT SELECT,INSERT ON TABLE public.earlier_contact TO ringfence_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ledger_mark TO ringfence_app;

GRANT SELECT,INSERT ON TABLE public.licence_event TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.list_fault TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.node TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.number TO ringfence_app;

GRANT SELECT,INSERT ON TABLE public.number_check_event TO ringfence_app;

GRANT SELECT,INSERT,DELETE ON TABLE public.opt_out TO ringfence_app;

GRANT SELECT,INSERT ON TABLE public.outcome TO ringfence_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.parked TO ringfence_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.permit TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.person TO ringfence_app;

GRANT SELECT,INSERT ON TABLE public.placement TO ringfence_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.prompt_state TO ringfence_app;

GRANT SELECT ON TABLE public.schema_version TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.seller TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.subject TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.subject_head TO ringfence_app;

GRANT SELECT,INSERT ON TABLE public.suppression_event TO ringfence_app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.trunk TO ringfence_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.trunk_share TO ringfence_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.trunk_state TO ringfence_app;

GRANT SELECT,INSERT ON TABLE public.wish_event TO ringfence_app;

INSERT INTO public.deployment DEFAULT VALUES;
INSERT INTO public.schema_version (version, oldest) VALUES (15, 10);
