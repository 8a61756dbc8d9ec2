-- The group commit as one question: what stands is written, and what stands is answered. Seven questions before,
-- each of which wakes a server process and a dialer's thread; while the processors are busy that was most of the
-- time a placement took.
--
-- Everything is tried as if all of it stood, which is nearly always so: Redis has compared the same tokens just
-- before. Where something does not, that is undone (a block with an EXCEPTION is a savepoint), the heads are locked
-- and it is looked which placements stand. Subjects must come in ascending order: heads are locked in that order by
-- everybody. By nested loops, therefore, whatever the statistics say.
--
-- One element for each placement: placements to calls. One for each head that one of them moves: subjects to heads,
-- with the token it was judged on and whose placement moves it (its id is the new token). One for each audit entry:
-- moments to leaves, in the order of recording; those that name a placement are written if it stands. One for each
-- entry that is a denial: its place among the entries, from 1, and what `decision` tells of it.
CREATE FUNCTION commit_placements(
    by_node uuid, facts_read_ms bigint,
    placements uuid[], contacts uuid[], tries smallint[], campaigns uuid[], sellers uuid[], numbers bigint[],
    persons bigint[], accounts bigint[], trunks uuid[], judged bigint[], ends bigint[], calls text[],
    subjects bigint[], bases uuid[], movers uuid[], heads bytea[],
    moments bigint[], kinds smallint[], for_campaigns uuid[], for_contacts uuid[], for_tries smallint[],
    for_placements uuid[], leaves bytea[],
    denials integer[], verdicts text[], untils bigint[], denied_by text[]
) RETURNS uuid[] LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    stand uuid[] := placements;
    changed bigint;
BEGIN
    -- Nothing is committed by a node that others took for dead: the row is held until this is over, so whoever
    -- buries the node waits for it.
    PERFORM FROM node WHERE id = by_node AND dead_at IS NULL AND stopped_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RETURN '{}';
    END IF;
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
    EXCEPTION WHEN SQLSTATE 'RF001' THEN
        PERFORM FROM subject_head WHERE subject_id = ANY(subjects) ORDER BY subject_id FOR UPDATE;
        WITH fallen AS (
            SELECT n.mover FROM unnest(subjects, bases, movers) AS n(subject_id, base, mover)
            LEFT JOIN subject_head h ON h.subject_id = n.subject_id AND h.token = n.base
            WHERE h.subject_id IS NULL),
        made AS (
            INSERT INTO attempt (contact_id, try_no, campaign_id, seller_id, at)
            SELECT n.contact_id, n.try_no, n.campaign_id, n.seller_id, n.at
            FROM unnest(placements, contacts, tries, campaigns, sellers, judged)
                AS n(placement, contact_id, try_no, campaign_id, seller_id, at)
            WHERE n.placement NOT IN (SELECT mover FROM fallen)
              AND NOT EXISTS (SELECT FROM licence_event e WHERE e.seller_id = n.seller_id AND e.kind = 'withdraw'
                              AND e.recorded_at > n.at - facts_read_ms)
            ON CONFLICT DO NOTHING RETURNING contact_id, try_no)
        SELECT coalesce(array_agg(n.placement), '{}') INTO stand
        FROM unnest(placements, contacts, tries) AS n(placement, contact_id, try_no)
        WHERE (n.contact_id, n.try_no) IN (SELECT m.contact_id, m.try_no FROM made m);
        UPDATE subject_head h SET token = n.token, head = n.head
        FROM unnest(subjects, movers, heads) AS n(subject_id, token, head)
        WHERE h.subject_id = n.subject_id AND n.token = ANY(stand);
    END;
    IF cardinality(stand) = 0 THEN
        RETURN stand;
    END IF;
    INSERT INTO placement (id, contact_id, try_no, campaign_id, number_subject, person_subject, account_subject,
                           trunk_id, at, not_after, sip_call_id, node)
    SELECT n.*, by_node FROM unnest(placements, contacts, tries, campaigns, numbers, persons, accounts, trunks,
                                    judged, ends, calls) AS n(id)
    WHERE cardinality(stand) = cardinality(placements) OR n.id = ANY(stand);
    IF cardinality(denials) = 0 THEN
        INSERT INTO audit_entry (at, kind, campaign_id, contact_id, try_no, placement, leaf)
        SELECT n.at, n.kind, n.campaign_id, n.contact_id, n.try_no, n.placement, n.leaf
        FROM unnest(moments, kinds, for_campaigns, for_contacts, for_tries, for_placements, leaves)
            WITH ORDINALITY AS n(at, kind, campaign_id, contact_id, try_no, placement, leaf, place)
        WHERE cardinality(stand) = cardinality(placements) OR n.placement IS NULL OR n.placement = ANY(stand)
        ORDER BY n.place;
        RETURN stand;
    END IF;
    WITH written AS (
        SELECT n.*, row_number() OVER (ORDER BY n.place) AS row_no
        FROM unnest(moments, kinds, for_campaigns, for_contacts, for_tries, for_placements, leaves)
            WITH ORDINALITY AS n(at, kind, campaign_id, contact_id, try_no, placement, leaf, place)
        WHERE n.placement IS NULL OR n.placement = ANY(stand)),
    entered AS (
        INSERT INTO audit_entry (at, kind, campaign_id, contact_id, try_no, placement, leaf)
        SELECT at, kind, campaign_id, contact_id, try_no, placement, leaf FROM written ORDER BY place
        RETURNING id)
    INSERT INTO decision (contact_id, try_no, campaign_id, at, verdict, until, rules, entry_id)
    SELECT w.contact_id, w.try_no, w.campaign_id, w.at, d.verdict, d.until, string_to_array(d.rules, ','), e.id
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS row_no FROM entered) e
    JOIN written w USING (row_no)
    JOIN unnest(denials, verdicts, untils, denied_by) AS d(place, verdict, until, rules) USING (place);
    RETURN stand;
END $$;

UPDATE schema_version SET version = 15;
