//! What happened before the run: attempts made elsewhere, conversations, do-not-call entries.

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;

use super::{people::Row, plan::Kind};

/// An entry of `earlier.json`.
#[derive(Debug, Serialize)]
pub(super) struct Earlier {
    seller: &'static str,
    number: String,
    external_id: String,
    account: Option<String>,
    inbound: bool,
    purpose: &'static str,
    technology: &'static str,
    outcome: &'static str,
    at: String,
}

/// An entry of `suppressions.json`. Without `at` it is to be posted `after_ms` into the run.
#[derive(Debug, Serialize)]
pub(super) struct Suppression {
    seller: Option<&'static str>,
    number: Option<String>,
    external_id: Option<String>,
    at: Option<String>,
    after_ms: Option<u64>,
    reason: &'static str,
}

/// The past, and the opt-outs to come.
#[derive(Debug)]
pub(super) struct Past {
    now: i64,
    pub(super) earlier: Vec<Earlier>,
    pub(super) suppressions: Vec<Suppression>,
}

impl Past {
    pub(super) const fn new(now: i64) -> Self {
        Self { now, earlier: Vec::new(), suppressions: Vec::new() }
    }

    /// The moment `ago` milliseconds before the run, RFC 3339.
    pub(super) fn moment(&self, ago: i64) -> String {
        let at = DateTime::from_timestamp_millis(self.now - ago).unwrap_or_default();
        at.to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    /// The UTC date then.
    pub(super) fn date(&self, ago: i64) -> String {
        let at = DateTime::from_timestamp_millis(self.now - ago).unwrap_or_default();
        at.date_naive().to_string()
    }

    /// Attempts on the first number of a person, so many milliseconds ago each.
    pub(super) fn attempts(&mut self, kind: Kind, row: &Row, outcome: &'static str, ago: &[i64]) {
        for ago in ago {
            self.push(kind, row, outcome, *ago, false);
        }
    }

    /// They called, and spoke to somebody.
    pub(super) fn inbound(&mut self, kind: Kind, row: &Row, ago: i64) {
        self.push(kind, row, "conversation", ago, true);
    }

    fn push(&mut self, kind: Kind, row: &Row, outcome: &'static str, ago: i64, inbound: bool) {
        self.earlier.push(Earlier {
            seller: kind.seller(),
            number: row.phone_1.clone(),
            external_id: row.external_id.clone(),
            account: (!row.account.is_empty()).then(|| row.account.clone()),
            inbound,
            purpose: kind.purpose(),
            technology: kind.technology(),
            outcome,
            at: self.moment(ago),
        });
    }

    /// A do-not-call entry from before.
    pub(super) fn suppress(
        &mut self,
        kind: Option<Kind>,
        number: Option<&str>,
        person: Option<&str>,
        reason: &'static str,
    ) {
        self.suppressions.push(Suppression {
            seller: kind.map(Kind::seller),
            number: number.map(str::to_owned),
            external_id: person.map(str::to_owned),
            at: Some(self.moment(20 * 86_400_000)),
            after_ms: None,
            reason,
        });
    }

    /// A handful of opt-outs that arrive while the campaigns run.
    pub(super) fn plan_opt_outs(&mut self, rows: &[(Kind, Vec<Row>)]) {
        for (kind, rows) in rows {
            for (row, after_ms) in rows.iter().skip(rows.len() * 3 / 5).zip([1500, 3000, 9000]) {
                self.suppressions.push(Suppression {
                    seller: Some(kind.seller()),
                    number: Some(row.phone_1.clone()),
                    external_id: None,
                    at: None,
                    after_ms: Some(after_ms),
                    reason: "opted out during the run",
                });
            }
        }
    }
}
