-- Rule packs are replaced while dialers run. Whoever waits because of the rules until now is judged again:
-- found by when the rules were asked.
ALTER TABLE due ADD judged_at bigint;      -- when a rule deferred it; nothing where no rule did
CREATE INDEX ON due (judged_at) WHERE judged_at IS NOT NULL;
CREATE INDEX ON parked (since);

-- By which rule packs a process judges, as the audit names them, and since when they are in force, whichever
-- process had them first: whoever was judged before may have been judged by others.
ALTER TABLE node ADD ruleset bytea CHECK (octet_length(ruleset) = 32);
ALTER TABLE node ADD ruleset_since bigint CHECK ((ruleset_since IS NULL) = (ruleset IS NULL));
-- Their changes in the audit: what the story of an attempt tells between two judgements.
CREATE INDEX ON audit_entry (at) WHERE kind = 12;
