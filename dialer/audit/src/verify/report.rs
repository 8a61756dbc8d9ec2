//! What a verified export says in total.

use std::{collections::BTreeMap, fmt};

use dialer_types::{Disposition, RuleId, UnixMillis};

use crate::{
    checkpoint::Checkpoint,
    field::rfc3339,
    record::{Body, Kind, Record, Verdict},
};

/// Counts over a verified export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The signed state that the export was verified against.
    pub checkpoint: Checkpoint,
    /// The counts.
    pub counts: Counts,
}

/// Counts over records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// All records.
    pub records: u64,
    /// By kind.
    pub kinds: BTreeMap<Kind, u64>,
    /// Decisions that permit, those in permits too.
    pub permits: u64,
    /// Decisions that defer.
    pub deferrals: u64,
    /// Decisions that refuse.
    pub refusals: u64,
    /// How often each rule denied.
    pub denied_by: BTreeMap<RuleId, u64>,
    /// Placements by disposition, corrections applied.
    pub dispositions: BTreeMap<Disposition, u64>,
    /// Placements with an intent.
    pub placements: u64,
    /// Placements whose INVITE left.
    pub sent: u64,
    /// Placements whose INVITE provably never left.
    pub not_sent: u64,
    /// Placements with neither an outcome nor a proof that nothing left: under way at the
    /// checkpoint.
    pub open: u64,
    /// Placements with an outcome other than `not_sent` and no record that the INVITE left: the
    /// dialer stopped in between.
    pub ended_unsent: u64,
    /// First and last moment of recording.
    pub between: Option<(UnixMillis, UnixMillis)>,
}

impl Counts {
    /// What can be counted record by record.
    pub(crate) fn count(&mut self, record: &Record) {
        self.records += 1;
        *self.kinds.entry(record.body.kind()).or_default() += 1;
        let (first, last) = self.between.unwrap_or((record.at, record.at));
        self.between = Some((first.min(record.at), last.max(record.at)));
        let decision = match &record.body {
            Body::Decision(decision) => decision,
            Body::Permit(_) => {
                self.permits += 1;
                return;
            }
            _ => return,
        };
        match decision.verdict {
            Verdict::Permit => self.permits += 1,
            Verdict::Defer => self.deferrals += 1,
            Verdict::Refuse => self.refusals += 1,
        }
        for denial in &decision.denied_by {
            *self.denied_by.entry(denial.rule.clone()).or_default() += 1;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { checkpoint, counts } = self;
        writeln!(f, "log        {}", checkpoint.origin)?;
        writeln!(f, "root       {} over {} records", checkpoint.root, checkpoint.size)?;
        if let Some((first, last)) = counts.between {
            writeln!(f, "recorded   {} to {}", rfc3339(first), rfc3339(last))?;
        }
        said(f, counts)?;
        let Counts { placements, sent, not_sent, open, .. } = counts;
        writeln!(
            f,
            "placements {placements}, {sent} sent, {not_sent} not sent, {open} without outcome"
        )?;
        for (disposition, count) in &counts.dispositions {
            writeln!(f, "  {disposition:<20} {count}")?;
        }
        denied(f, counts)
    }
}

fn said(f: &mut fmt::Formatter<'_>, counts: &Counts) -> fmt::Result {
    let Counts { permits, deferrals, refusals, .. } = counts;
    writeln!(f, "decisions  {permits} permits, {deferrals} deferrals, {refusals} refusals")
}

fn denied(f: &mut fmt::Formatter<'_>, counts: &Counts) -> fmt::Result {
    if !counts.denied_by.is_empty() {
        writeln!(f, "denied by")?;
    }
    for (rule, count) in &counts.denied_by {
        writeln!(f, "  {:<36} {count}", rule.as_str())?;
    }
    Ok(())
}

/// What is said of the decisions among any records.
pub(super) fn decisions(f: &mut fmt::Formatter<'_>, counts: &Counts) -> fmt::Result {
    said(f, counts)?;
    denied(f, counts)
}
