//! The audit sequencer: gives committed audit entries their place in the tree and signs its state.
//!
//! One process at a time, by an advisory lock on a connection of its own: that connection also
//! writes the leaves, so who has lost the lock writes none.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use dialer_audit::{Checkpoint, Hash, Signer, Tree, canonical::grounds_of, leaf_hash};
use dialer_types::Now;
use futures_util::TryStreamExt;
use sqlx::{Connection, PgConnection, Row, postgres::PgRow};
use tokio_util::sync::CancellationToken;

use super::{StoreError, Stores};
use crate::metrics::witness::AUDIT_PROMISE;

/// Key of the advisory lock: "rf-audit" in ASCII.
const LOCK: i64 = 0x7266_2d61_7564_6974;
/// How often entries are looked for.
const EVERY: Duration = Duration::from_millis(200);
/// How often a checkpoint is signed, at most.
const SIGN_EVERY: Duration = Duration::from_secs(1);
/// Leaves of one transaction.
const AT_ONCE: i64 = 5_000;
/// How long an id that was skipped may still turn up: longer than any transaction here. A look back
/// each minute finds what turned up later than that.
const GAP_LIFE: Duration = Duration::from_secs(60);
/// How many ids that look goes back: minutes at full rate, and however many years the log has, no more.
const LOOK_BACK: i64 = 1_000_000;
/// How many leaves are read back and compared with what was signed when a sequencer begins: seconds.
/// Of a longer log the last ones are; what is before them, every verification of an export reads.
const READ_BACK: i64 = 2_000_000;
/// Most skipped ids that are looked for one by one.
const MAX_GAPS: usize = 10_000;

/// Sequences until the end; then once more, so that what was written last is in the tree.
pub async fn serve(stores: Arc<Stores>, signer: Signer, origin: String, stop: CancellationToken) {
    loop {
        if let Err(error) = elected(&stores, &signer, &origin, &stop).await {
            tracing::warn!(%error, "the audit sequencer begins again");
        }
        if stop.is_cancelled() {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY * 5) => {}
        }
    }
}

async fn elected(
    stores: &Stores,
    signer: &Signer,
    origin: &str,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let mut connection = stores.pool.acquire().await?.detach();
    // Reading a long log back takes longer than a statement on the hot path may.
    sqlx::query("SET statement_timeout = 0").execute(&mut connection).await?;
    let won: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(LOCK)
        .fetch_one(&mut connection)
        .await?;
    if !won {
        connection.close().await?;
        return Ok(());
    }
    let restored = Sequencer::restore(&mut connection, origin).await;
    if matches!(restored, Err(StoreError::Row { .. })) {
        stores.metrics.violations.with_label_values(&[AUDIT_PROMISE]).inc();
    }
    let mut sequencer = restored?;
    tracing::debug!(leaves = sequencer.tree.size(), "this process sequences the audit");
    loop {
        let last = stop.is_cancelled();
        loop {
            let now = stores.clock.now();
            let count = sequencer.sequence(&mut connection, now).await?;
            let full = i64::try_from(count).is_ok_and(|count| count >= AT_ONCE);
            sequencer.sign(&mut connection, signer, now, last && !full).await?;
            stores
                .metrics
                .audit_leaves
                .set(i64::try_from(sequencer.tree.size()).unwrap_or(i64::MAX));
            if !full {
                break;
            }
        }
        if last {
            connection.close().await?;
            return Ok(());
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Grounds remembered as being in the tree, 32 bytes each; others are asked for again.
const GROUNDS: usize = 100_000;

/// An entry that is not in the tree.
struct Entry {
    id: i64,
    hash: Hash,
    /// What it rests on.
    grounds: Option<Hash>,
}

/// The tree and what has been put into it.
#[derive(Debug)]
pub struct Sequencer {
    tree: Tree,
    origin: String,
    /// The largest entry id in the tree.
    last_id: i64,
    /// Ids below it that were not there, and when that was seen.
    gaps: BTreeMap<i64, Now>,
    /// Grounds that are in the tree, as far as they were asked for.
    grounds: HashSet<Hash>,
    looked: Option<Now>,
    signed: Option<(u64, Now)>,
}

impl Sequencer {
    /// Reads the tree of what is there; of a long log the last two million leaves.
    ///
    /// # Errors
    /// If Postgres fails, or the leaves are not dense: then somebody has tampered with them.
    pub async fn restore(connection: &mut PgConnection, origin: &str) -> Result<Self, StoreError> {
        Self::restore_reading(connection, origin, READ_BACK).await
    }

    /// The same, with at least so many leaves read.
    ///
    /// # Errors
    /// As [`Sequencer::restore`].
    pub async fn restore_reading(
        connection: &mut PgConnection,
        origin: &str,
        leaves: i64,
    ) -> Result<Self, StoreError> {
        let signed: Option<(i64, Vec<u8>)> =
            sqlx::query("SELECT size, root FROM audit_checkpoint ORDER BY size DESC LIMIT 1")
                .fetch_optional(&mut *connection)
                .await?
                .map(|row| Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get(1)?)))
                .transpose()?;
        let signed = signed.and_then(|(size, root)| Some((u64::try_from(size).ok()?, root)));
        let mut tree = begin(connection, leaves).await?;
        let mut last_id: i64 =
            sqlx::query_scalar("SELECT coalesce(max(entry_id), 0) FROM audit_leaf")
                .fetch_one(&mut *connection)
                .await?;
        let mut rows = sqlx::query(
            "SELECT index, entry_id, leaf_hash FROM audit_leaf WHERE index >= $1 ORDER BY index",
        )
        .bind(i64::try_from(tree.size()).unwrap_or(i64::MAX))
        .fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            let (index, hash): (i64, &[u8]) = (row.try_get(0)?, row.try_get(2)?);
            if u64::try_from(index) != Ok(tree.size()) {
                return Err(StoreError::row("audit_leaf", format!("index {index} is not dense")));
            }
            let hash = hash.try_into().map_err(|_| StoreError::row("audit_leaf", "leaf_hash"))?;
            tree.append(Hash(hash));
            last_id = last_id.max(row.try_get(1)?);
            if let Some((size, root)) = &signed
                && *size == tree.size()
                && root[..] != tree.root().0[..]
            {
                return Err(StoreError::row("audit_leaf", "another root than was signed"));
            }
        }
        drop(rows);
        if signed.is_some_and(|(size, _)| size > tree.size()) {
            return Err(StoreError::row(
                "audit_leaf",
                "fewer leaves than a checkpoint was signed for",
            ));
        }
        let origin = origin.to_owned();
        let (gaps, grounds) = (BTreeMap::new(), HashSet::new());
        Ok(Self { tree, origin, last_id, gaps, grounds, looked: None, signed: None })
    }

    /// The tree so far.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Its size.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Puts committed entries that are not in the tree into it, in id order; returns how many. An
    /// id becomes visible when its transaction commits, which may be after a larger one.
    ///
    /// # Errors
    /// If Postgres fails; the tree is as before then.
    pub async fn sequence(
        &mut self,
        connection: &mut PgConnection,
        now: Now,
    ) -> Result<usize, StoreError> {
        self.gaps.retain(|_, seen| now.mono.saturating_duration_since(seen.mono) < GAP_LIFE);
        let full = self
            .looked
            .is_none_or(|looked| now.mono.saturating_duration_since(looked.mono) >= GAP_LIFE);
        let mut tx = connection.begin().await?;
        let mut entries = self.look(&mut tx, full).await?;
        let mut lacking = self.lack_grounds(&mut tx, &entries).await?;
        let full = full || lacking;
        if lacking {
            entries = self.look(&mut tx, full).await?;
            lacking = self.lack_grounds(&mut tx, &entries).await?;
        }
        if lacking {
            tracing::error!("the grounds of a permit are not in the database: no export verifies");
        }
        let mut tree = self.tree.clone();
        let (mut indexes, mut ids, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        for entry in &entries {
            indexes.push(i64::try_from(tree.size()).unwrap_or(i64::MAX));
            ids.push(entry.id);
            hashes.push(entry.hash.0.to_vec());
            tree.append(entry.hash);
        }
        if !ids.is_empty() {
            sqlx::query(
                "INSERT INTO audit_leaf (index, entry_id, leaf_hash)
                 SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])",
            )
            .bind(indexes)
            .bind(&ids)
            .bind(hashes)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        self.tree = tree;
        if full && ids.len() < usize::try_from(AT_ONCE).unwrap_or(usize::MAX) {
            self.looked = Some(now);
        }
        self.remember(&ids, now);
        Ok(ids.len())
    }

    /// Entries that are not in the tree, in id order: of those that may be, or of the last million.
    async fn look(
        &self,
        connection: &mut PgConnection,
        full: bool,
    ) -> Result<Vec<Entry>, StoreError> {
        let rows = if full {
            sqlx::query(
                "SELECT e.id, e.leaf FROM audit_entry e
                 WHERE e.id > $1 AND NOT EXISTS (SELECT FROM audit_leaf l WHERE l.entry_id = e.id)
                 ORDER BY e.id LIMIT $2",
            )
            .bind(self.last_id.saturating_sub(LOOK_BACK))
            .bind(AT_ONCE)
            .fetch_all(connection)
            .await?
        } else {
            sqlx::query(
                "SELECT e.id, e.leaf FROM audit_entry e WHERE e.id > $1 OR e.id = ANY($2)
                 ORDER BY e.id LIMIT $3",
            )
            .bind(self.last_id)
            .bind(self.gaps.keys().copied().collect::<Vec<_>>())
            .bind(AT_ONCE)
            .fetch_all(connection)
            .await?
        };
        let entry = |row: &PgRow| {
            let leaf: &[u8] = row.try_get(1)?;
            Ok(Entry { id: row.try_get(0)?, hash: leaf_hash(leaf), grounds: grounds_of(leaf) })
        };
        rows.iter().map(entry).collect()
    }

    /// Whether one of these permits rests on grounds that are neither in the tree nor before it here.
    /// They are in the database, with a smaller id (`evidence.rs`), so that only an id which was given
    /// up can be missing; a permit must never get its index before them, or no export verifies again.
    async fn lack_grounds(
        &mut self,
        connection: &mut PgConnection,
        entries: &[Entry],
    ) -> Result<bool, StoreError> {
        let (mut before, mut wanted) = (HashSet::new(), BTreeSet::new());
        for entry in entries {
            match entry.grounds {
                Some(grounds) if self.grounds.contains(&grounds) || before.contains(&grounds) => {}
                Some(grounds) => drop(wanted.insert(grounds)),
                None => drop(before.insert(entry.hash)),
            }
        }
        if wanted.is_empty() {
            return Ok(false);
        }
        let found: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT sha256('\\x00'::bytea || e.leaf) FROM audit_entry e
             WHERE e.kind = 14 AND sha256('\\x00'::bytea || e.leaf) = ANY($1)
               AND EXISTS (SELECT FROM audit_leaf l WHERE l.entry_id = e.id)",
        )
        .bind(wanted.iter().map(|hash| hash.0.to_vec()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
        if self.grounds.len() + found.len() > GROUNDS {
            self.grounds.clear();
        }
        for hash in found {
            let hash = hash.try_into().map_err(|_| StoreError::row("audit_entry", "leaf"))?;
            self.grounds.insert(Hash(hash));
            wanted.remove(&Hash(hash));
        }
        Ok(!wanted.is_empty())
    }

    /// Notes which ids were skipped.
    fn remember(&mut self, ids: &[i64], now: Now) {
        for id in ids {
            self.gaps.remove(id);
            for gap in (self.last_id.saturating_add(1)..*id).take(MAX_GAPS) {
                if self.gaps.len() < MAX_GAPS {
                    self.gaps.insert(gap, now);
                }
            }
            self.last_id = self.last_id.max(*id);
        }
    }

    /// Signs the tree's state, once a second at most unless it is the `last` time.
    ///
    /// # Errors
    /// If Postgres fails.
    pub async fn sign(
        &mut self,
        connection: &mut PgConnection,
        signer: &Signer,
        now: Now,
        last: bool,
    ) -> Result<(), StoreError> {
        let size = self.tree.size();
        let soon = |at: &Now| now.mono.saturating_duration_since(at.mono) < SIGN_EVERY;
        match &self.signed {
            Some((signed, _)) if *signed == size => return Ok(()),
            Some((_, at)) if soon(at) && !last => return Ok(()),
            _ => {}
        }
        let checkpoint = Checkpoint::of(self.origin.clone(), &self.tree);
        let note = signer
            .sign(&checkpoint)
            .map_err(|error| StoreError::row("audit_checkpoint", error.to_string()))?;
        sqlx::query(
            "INSERT INTO audit_checkpoint (size, root, note, at, peaks) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (size) DO NOTHING",
        )
        .bind(i64::try_from(size).unwrap_or(i64::MAX))
        .bind(checkpoint.root.0.to_vec())
        .bind(note)
        .bind(now.wall.0)
        .bind(self.tree.peaks().iter().flat_map(|peak| peak.0).collect::<Vec<u8>>())
        .execute(connection)
        .await?;
        self.signed = Some((size, now));
        Ok(())
    }
}

/// The tree of the newest checkpoint that is at least so many leaves back; the empty one where there is
/// none, or where what it was grown from does not come to its root.
async fn begin(connection: &mut PgConnection, back: i64) -> Result<Tree, StoreError> {
    let held = sqlx::query(
        "SELECT size, root, peaks FROM audit_checkpoint
         WHERE peaks IS NOT NULL AND size <= (SELECT max(size) FROM audit_checkpoint) - $1
         ORDER BY size DESC LIMIT 1",
    )
    .bind(back)
    .fetch_optional(connection)
    .await?;
    let Some(row) = held else { return Ok(Tree::new()) };
    let (size, root, peaks): (i64, &[u8], &[u8]) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let peaks = peaks.as_chunks::<32>().0.iter().map(|peak| Hash(*peak)).collect();
    let tree = u64::try_from(size).ok().and_then(|size| Tree::restore(size, peaks));
    Ok(tree.filter(|tree| tree.root().0[..] == *root).unwrap_or_default())
}
