//! Audit entries with what `decision` tells of the denials among them.

use dialer_audit::{
    Body, Record,
    record::{Decision, Verdict},
};
use dialer_types::CampaignId;
use schema::rows::{AuditEntry, append_audit};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{WriteError, commit::try_no};

/// Appends entries to the audit, and a row of `decision` for each that denies: of a permit the placement
/// is the row.
pub(crate) async fn append_decided(
    connection: &mut PgConnection,
    entries: &[AuditEntry],
) -> Result<(), WriteError> {
    let ids = append_audit(connection, entries).await?;
    let mut rows = Decisions::default();
    for (entry, id) in entries.iter().zip(ids) {
        rows.add(&entry.record, entry.campaign, id);
    }
    rows.insert(connection).await
}

/// Rows of `decision`.
#[derive(Default)]
struct Decisions {
    contacts: Vec<Uuid>,
    tries: Vec<i16>,
    campaigns: Vec<Option<Uuid>>,
    at: Vec<i64>,
    verdicts: Vec<&'static str>,
    until: Vec<Option<i64>>,
    /// See [`rules`].
    rules: Vec<String>,
    entries: Vec<i64>,
}

impl Decisions {
    fn add(&mut self, record: &Record, campaign: Option<CampaignId>, entry: i64) {
        let Some(decision) = denial(record) else { return };
        let campaign = campaign.unwrap_or(decision.campaign);
        self.contacts.push(Uuid::from_u128(decision.attempt.contact.0));
        self.tries.push(try_no(decision.attempt));
        self.campaigns.push(Some(Uuid::from_u128(campaign.0)));
        self.at.push(record.at.0);
        self.verdicts.push(verdict(decision));
        self.until.push(decision.until.map(|until| until.0));
        self.rules.push(rules(decision));
        self.entries.push(entry);
    }

    async fn insert(self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.entries.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO decision (contact_id, try_no, campaign_id, at, verdict, until, rules, entry_id)
             SELECT contact_id, try_no, campaign_id, at, verdict, until,
                    string_to_array(rules, ','), entry_id
             FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::bigint[], $5::text[],
                         $6::bigint[], $7::text[], $8::bigint[])
                  AS n(contact_id, try_no, campaign_id, at, verdict, until, rules, entry_id)",
        )
        .bind(self.contacts)
        .bind(self.tries)
        .bind(self.campaigns)
        .bind(self.at)
        .bind(self.verdicts)
        .bind(self.until)
        .bind(self.rules)
        .bind(self.entries)
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// The decision of a record that denies. Of a permit the placement is the row.
pub(crate) fn denial(record: &Record) -> Option<&Decision> {
    match &record.body {
        Body::Decision(decision) if decision.verdict != Verdict::Permit => Some(decision),
        _ => None,
    }
}

/// A verdict as Postgres keeps it.
pub(crate) const fn verdict(decision: &Decision) -> &'static str {
    match decision.verdict {
        Verdict::Permit => "permit",
        Verdict::Defer => "defer",
        Verdict::Refuse => "refuse",
    }
}

/// The rules that denied, with commas between: rule ids have none in them, and Postgres has no ragged arrays.
pub(crate) fn rules(decision: &Decision) -> String {
    let rules: Vec<_> = decision.denied_by.iter().map(|denial| denial.rule.as_str()).collect();
    rules.join(",")
}
