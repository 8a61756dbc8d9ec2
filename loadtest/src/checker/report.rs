//! What the checker found, as numbers, as JSON and in words.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use serde::Serialize;

use super::{
    audit::Export,
    calls::Placement,
    judge::{Denial, Kind},
    replay::{Missed, Yield},
    world::World,
};

/// At most so many violations and missed placements are listed; all are counted.
const LISTED: usize = 200;

/// An INVITE that broke something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which kind of promise.
    pub kind: Kind,
    /// Which rule.
    pub rule: String,
    /// Which call.
    pub sip_call_id: String,
    /// Which number, masked.
    pub number: String,
    /// When, ms since 1970 UTC.
    pub at: i64,
}

impl Violation {
    /// A denial of a placement that was made all the same.
    #[must_use]
    pub fn of(placement: &Placement, denial: &Denial) -> Self {
        Self::new(placement, denial.kind, denial.rule)
    }

    fn new(placement: &Placement, kind: Kind, rule: &str) -> Self {
        let number = placement.number.parse::<dialer_types::E164>();
        Self {
            kind,
            rule: rule.to_owned(),
            sip_call_id: placement.call_id.clone(),
            number: number.map_or_else(|_| "not a number".to_owned(), |number| number.to_string()),
            at: placement.at,
        }
    }
}

/// Everything the checker found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Contacts in the lists.
    pub contacts: usize,
    /// Distinct placements on the wire.
    pub placements: usize,
    /// INVITE datagrams out of dialog, retransmissions and re-sends included.
    pub invite_datagrams: u64,
    /// Placements answered.
    pub answered: usize,
    /// Placements by disposition, as the wire shows it.
    pub dispositions: BTreeMap<String, usize>,
    /// INVITEs over a cap or inside a cool-down (law and house).
    pub cap_violations: usize,
    /// INVITEs outside calling hours.
    pub window_violations: usize,
    /// INVITEs to suppressed numbers or persons.
    pub suppression_violations: usize,
    /// INVITEs without the consent they needed.
    pub consent_violations: usize,
    /// INVITEs to listed numbers, or judged by a stale or absent list.
    pub list_violations: usize,
    /// INVITEs to a wrong party, an uncovered place, nobody on a list, or beyond the tries.
    pub other_violations: usize,
    /// INVITEs without an earlier intent in the audit; `null` where no audit was given.
    pub unaudited_invites: Option<usize>,
    /// Second INVITEs for one placement or attempt.
    pub repeated_invites: usize,
    /// Intents in the audit that no INVITE followed.
    pub intents_without_invite: usize,
    /// Those of them without an outcome that says so.
    pub intents_unexplained: usize,
    /// Placements that were lawful and due.
    pub lawful_due: usize,
    /// Those of them that were made.
    pub lawful_made: usize,
    /// Their quotient; 1 where nothing was due.
    pub lawful_yield: f64,
    /// Contacts nothing more could be expected of, by the rule that stood in the way at the end.
    pub waiting: BTreeMap<String, usize>,
    /// The first of the violations.
    pub violations: Vec<Violation>,
    /// The first of the lawful placements that were not made.
    pub missed: Vec<Missed>,
}

impl Report {
    /// The plain counts.
    #[must_use]
    pub fn new(placements: &[Placement], world: &World) -> Self {
        let mut report = Self {
            contacts: world.contacts.len(),
            placements: placements.len(),
            invite_datagrams: placements.iter().map(|p| u64::from(p.datagrams)).sum(),
            answered: placements.iter().filter(|p| p.answered_at.is_some()).count(),
            ..Self::default()
        };
        for placement in placements {
            *report.dispositions.entry(placement.disposition().to_owned()).or_default() += 1;
        }
        report
    }

    /// One violation more.
    pub fn add(&mut self, violation: Violation) {
        *match violation.kind {
            Kind::Cap => &mut self.cap_violations,
            Kind::Window => &mut self.window_violations,
            Kind::Suppression => &mut self.suppression_violations,
            Kind::Consent => &mut self.consent_violations,
            Kind::List => &mut self.list_violations,
            Kind::Other => &mut self.other_violations,
        } += 1;
        if self.violations.len() < LISTED {
            self.violations.push(violation);
        }
    }

    /// An INVITE that repeats another's Call-ID without being its retransmission or re-send.
    pub fn repeated(&mut self, placement: &Placement) {
        self.repeated_invites += 1;
        self.note(placement, "one clearance, one placement");
    }

    /// An INVITE that is not in the audit.
    pub fn unaudited(&mut self, placement: &Placement) {
        *self.unaudited_invites.get_or_insert(0) += 1;
        self.note(placement, "no intent in the audit before it");
    }

    fn note(&mut self, placement: &Placement, rule: &str) {
        if self.violations.len() < LISTED {
            self.violations.push(Violation::new(placement, Kind::Other, rule));
        }
    }

    /// What the audit says the wire does not show.
    pub fn join(&mut self, export: &Export, on_wire: &HashSet<&str>) {
        self.unaudited_invites.get_or_insert(0);
        self.repeated_invites += export.attempts_placed_twice.len();
        let (missing, explained) = export.without_invite(on_wire);
        self.intents_without_invite = missing;
        self.intents_unexplained = missing - explained;
    }

    /// Counts contacts that were called more often than their campaign allows.
    pub fn tries(&mut self, world: &World, of_contact: &[Vec<usize>]) {
        for (contact, calls) in world.contacts.iter().zip(of_contact) {
            let most = world.campaign_of(contact).map_or(0, |campaign| campaign.max_tries);
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            self.other_violations += calls.len().saturating_sub(most);
        }
    }

    /// Takes over what the replay found.
    pub fn yields(&mut self, result: Yield) {
        self.lawful_due = result.expected;
        self.lawful_made = result.made;
        #[expect(clippy::cast_precision_loss, reason = "calls of one run")]
        let quotient = result.made as f64 / result.expected.max(1) as f64;
        self.lawful_yield = if result.expected == 0 { 1.0 } else { quotient };
        self.missed = result.missed;
        self.missed.truncate(LISTED);
        self.waiting =
            result.waiting.into_iter().map(|(rule, count)| (rule.to_owned(), count)).collect();
    }

    /// All violations together, unaudited and repeated INVITEs included.
    #[must_use]
    pub fn violation_count(&self) -> usize {
        self.cap_violations
            + self.window_violations
            + self.suppression_violations
            + self.consent_violations
            + self.list_violations
            + self.other_violations
            + self.repeated_invites
            + self.unaudited_invites.unwrap_or(0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} placements on the wire ({} INVITE datagrams), {} answered",
            self.placements, self.invite_datagrams, self.answered
        )?;
        writeln!(
            f,
            "violations: {} of caps, {} of hours, {} of suppressions, {} of consents, {} of lists, \
             {} other; {} repeated; {} not in the audit",
            self.cap_violations,
            self.window_violations,
            self.suppression_violations,
            self.consent_violations,
            self.list_violations,
            self.other_violations,
            self.repeated_invites,
            self.unaudited_invites.map_or_else(|| "?".to_owned(), |count| count.to_string()),
        )?;
        for violation in &self.violations {
            writeln!(
                f,
                "  {} to {} at {} (Call-ID {})",
                violation.rule, violation.number, violation.at, violation.sip_call_id
            )?;
        }
        writeln!(
            f,
            "lawful yield: {:.4} ({} of {} lawful and due)",
            self.lawful_yield, self.lawful_made, self.lawful_due
        )?;
        for missed in &self.missed {
            writeln!(
                f,
                "  missed: {} of {}, try {}, lawful from {} to {}",
                missed.external_id, missed.campaign, missed.try_no, missed.from, missed.until
            )?;
        }
        Ok(())
    }
}
