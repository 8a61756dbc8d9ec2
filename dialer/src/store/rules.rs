//! Rule packs that were replaced: which are in force here, and whoever waits by those before.

use std::time::Duration;

use dialer_audit::{Hash, Record, record::RulesChanged};
use dialer_policy::RulesetVersion;
use dialer_types::UnixMillis;
use schema::rows::{AuditEntry, append_audit};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{PATIENCE, StoreError, Stores};

/// Contacts woken by one statement, of those that wait for something and of those that wait for
/// their moment, each.
pub const WAKE_AT_ONCE: i64 = 1_000;
/// Nodes whose heartbeat is so much older than the newest judged before it, and what waits since has
/// been looked at by the newer one.
const OTHERS: Duration = Duration::from_secs(600);

/// A hash of rules, and since when they are in force: ms since 1970.
type InForce = (Vec<u8>, i64);

/// What waits for something under rules that are not in force any more.
const PARKED: &str = "
    WITH woken AS (
        DELETE FROM parked WHERE contact_id IN (
            SELECT contact_id FROM parked WHERE since <= $1 ORDER BY since
            LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING contact_id, campaign_id),
    moved AS (
        UPDATE contact c SET state = 2, node = NULL FROM woken w
        WHERE c.id = w.contact_id AND c.state = 4 RETURNING c.id),
    again AS (
        INSERT INTO due (contact_id, campaign_id, due_at)
        SELECT w.contact_id, w.campaign_id, $3 FROM woken w JOIN moved m ON m.id = w.contact_id
        ON CONFLICT (contact_id) DO NOTHING)
    SELECT count(*) FROM woken";

/// What waits for a moment that such rules have found. A retry is not theirs, and keeps its moment.
const DEFERRED: &str = "
    WITH woken AS (
        UPDATE due SET due_at = least(due_at, $3), because = NULL, judged_at = NULL
        WHERE contact_id IN (
            SELECT contact_id FROM due WHERE judged_at <= $1 ORDER BY judged_at
            LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING contact_id)
    SELECT count(*) FROM woken";

impl Stores {
    /// Writes down by which rules this process judges from now on. If others were in force, here or
    /// at nodes that were alive lately, the audit has a record of the change. Returns since when these
    /// rules are in force, 0 if none are known before them: whoever was judged before may have been
    /// judged by others. Writing the same again does nothing.
    ///
    /// # Errors
    /// If Postgres refuses or is not there.
    pub async fn rules_in_force(&self, rules: RulesetVersion) -> Result<UnixMillis, StoreError> {
        self.postgres(self.write_rules(rules)).await
    }

    async fn write_rules(&self, rules: RulesetVersion) -> Result<UnixMillis, StoreError> {
        let now = self.clock.now().wall;
        let mut tx = self.pool.begin().await?;
        // Locked, so that an answer that was lost makes no second record.
        let own: Option<InForce> = sqlx::query_as(
            "SELECT ruleset, ruleset_since FROM node
             WHERE id = $1 AND ruleset IS NOT NULL FOR UPDATE",
        )
        .bind(Uuid::from_u128(self.node.0))
        .fetch_optional(&mut *tx)
        .await?;
        let began = own.is_none();
        let before = match own {
            Some(own) => Some(own),
            None => self.rules_of_others(&mut tx, rules).await?,
        };
        let since = match before {
            Some((before, since)) if before == rules.0 => {
                if !began {
                    return Ok(UnixMillis(since));
                }
                UnixMillis(since)
            }
            Some((before, _)) => {
                let before = before.try_into().map_err(|_| StoreError::row("node", "ruleset"))?;
                let body = RulesChanged { ruleset_before: Hash(before), ruleset: Hash(rules.0) };
                let record = Record::new(Some(self.node), body.into(), now);
                append_audit(&mut tx, &[AuditEntry::of(record)]).await?;
                now
            }
            // None before them that anybody knows of.
            None => UnixMillis(0),
        };
        sqlx::query("UPDATE node SET ruleset = $2, ruleset_since = $3 WHERE id = $1")
            .bind(Uuid::from_u128(self.node.0))
            .bind(rules.0.to_vec())
            .bind(since.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(since)
    }

    /// By which rules others judged lately: by other ones than these, if any of them did.
    async fn rules_of_others(
        &self,
        connection: &mut PgConnection,
        rules: RulesetVersion,
    ) -> Result<Option<InForce>, StoreError> {
        let others = sqlx::query_as(
            "SELECT ruleset, ruleset_since FROM node
             WHERE id <> $1 AND ruleset IS NOT NULL AND heartbeat_at >= (
                 SELECT max(heartbeat_at) FROM node WHERE id <> $1 AND ruleset IS NOT NULL) - $3
             ORDER BY ruleset <> $2 DESC, ruleset_since DESC LIMIT 1",
        )
        .bind(Uuid::from_u128(self.node.0))
        .bind(rules.0.to_vec())
        .bind(i64::try_from(OTHERS.as_millis()).unwrap_or(i64::MAX))
        .fetch_optional(connection)
        .await?;
        Ok(others)
    }

    /// Makes some of those due that the rules judged until `judged`: parked ones and deferred ones,
    /// [`WAKE_AT_ONCE`] of each. Returns how many; none are left when it is none.
    ///
    /// # Errors
    /// If Postgres is not there; what was woken so far stays awake.
    pub async fn judge_again(&self, judged: UnixMillis) -> Result<i64, StoreError> {
        let mut all = 0;
        for sql in [PARKED, DEFERRED] {
            let woken = sqlx::query_scalar::<_, i64>(sql)
                .bind(judged.0)
                .bind(WAKE_AT_ONCE)
                .bind(self.clock.now().wall.0)
                .fetch_one(&self.pool);
            let woken = tokio::time::timeout(PATIENCE * 5, woken).await;
            all += woken.map_err(|_| StoreError::Late)??;
        }
        Ok(all)
    }
}
