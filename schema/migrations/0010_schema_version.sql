-- Which releases may run on these tables. `version` is the newest migration that was applied; `oldest` is the
-- lowest version whose release still may run: one that was made for it reads and writes nothing that is gone or
-- has another meaning by now.
--
-- Every later migration raises `version` to its own number. It leaves `oldest` where it is if it only adds
-- (tables, columns that have a default, indexes): then the release before it and its own run side by side, and
-- an upgrade is: migrate, then replace the processes one by one. What takes something away, or changes what it
-- means, comes in a release after the one that does without it, and raises `oldest` to that one's version; an
-- older process that still runs then closes its gate within a second, and no longer starts.
CREATE TABLE schema_version (
    single  boolean PRIMARY KEY DEFAULT true CHECK (single),
    version integer NOT NULL,
    oldest  integer NOT NULL,
    CHECK (oldest <= version)
);
INSERT INTO schema_version (version, oldest) VALUES (10, 10);
GRANT SELECT ON schema_version TO ringfence_app;
