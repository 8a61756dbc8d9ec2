-- How far the ledger of each node is written: the number of its newest batch, in the transaction of the batch.
-- A node that never heard the end of a commit finds out by it whether the batch is written, whatever is in it:
-- contacts that were given back leave no other trace, and may be leased to the same node again by then.
CREATE TABLE ledger_mark (
    node  uuid PRIMARY KEY,
    batch bigint NOT NULL CHECK (batch > 0)
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger_mark TO ringfence_app;

UPDATE schema_version SET version = 13;
