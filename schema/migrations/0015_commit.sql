-- The group commit as one question: a batch is written whole, or it is answered which of it stands. Seven questions
-- before, each of which wakes a server process and a dialer's thread; while the processors are busy that was most of
-- the time a placement took.
--
-- Everything is tried as if all of it stood, which is nearly always so: Redis has compared the same tokens just
-- before. Where something does not, nothing is written (a block with an EXCEPTION is a savepoint) and `stand` names
-- what would have: whoever asks comes again with that. Subjects must come in ascending order: heads are locked in
-- that order by everybody. By nested loops, therefore, whatever the statistics say.
--
-- One element for each placement: placements to calls. One for each head that one of them moves: subjects to heads,
-- with the token it was judged on and whose placement moves it (its id is the new token). One for each audit entry:
-- moments to leaves, in the order of recording. One for each entry that is a denial: its place among the entries,
-- from 1, and what `decision` tells of it.
CREATE FUNCTION commit_placements(
    by_node uuid, facts_read_ms bigint,
    placements uuid[], contacts uuid[], tries smallint[], campaigns uuid[], sellers uuid[], numbers bigint[],
    persons bigint[], accounts bigint[], trunks uuid[], judged bigint[], ends bigint[], calls text[],
    subjects bigint[], bases uuid[], movers uuid[], heads bytea[],
    moments bigint[], kinds smallint[], for_campaigns uuid[], for_contacts uuid[], for_tries smallint[],
    for_placements uuid[], leaves bytea[],
    denials integer[], verdicts text[], untils bigint[], denied_by text[],
    OUT written boolean, OUT stand uuid[]
) LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off AS $$
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

UPDATE schema_version SET version = 15;
