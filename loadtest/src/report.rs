//! The outcome of a run: as JSON, and for reading.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::view::{Teller, Tone, grouped};

/// Counts by a word.
pub type Tally = BTreeMap<String, u64>;

/// The least lawful yield of a good run (DESIGN section 1).
pub const YIELD: f64 = 0.99;

/// What `--json` writes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// People in the lists.
    pub contacts: u64,
    /// Business tries.
    pub attempts: u64,
    /// Calls that the gate let through.
    pub placements: u64,
    /// Calls that the carrier saw.
    pub invites_on_wire: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// How calls ended.
    pub dispositions: Tally,
    /// Refused, by rule.
    pub refused: Tally,
    /// Put off, by rule.
    pub deferred: Tally,
    /// Waiting for something to change, by cause.
    pub parked: Tally,
    /// Calls on the wire that broke a cap or a cool-down.
    pub cap_violations: u64,
    /// Calls on the wire outside the calling hours.
    pub window_violations: u64,
    /// Calls on the wire to somebody who had said no.
    pub suppression_violations: u64,
    /// Calls on the wire without a consent that the law asks for, or against a national list.
    pub consent_violations: u64,
    /// Calls on the wire without a record in the audit.
    pub unaudited_invites: u64,
    /// Share of the lawful and due calls that were made.
    pub lawful_yield: f64,
    /// The audit export.
    pub audit: Audit,
    /// Attempts a second while the campaigns ran.
    pub attempts_per_second: f64,
    /// Everything, start of the servers included.
    pub wall_seconds: f64,
}

/// The audit export in short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Records in it.
    pub records: u64,
    /// Root of its tree, hexadecimal.
    pub root: String,
    /// Whether `dialer audit verify` found nothing wrong.
    pub verified: bool,
}

/// What the printed report says beyond the summary.
#[derive(Debug, Clone, Default)]
pub struct Details {
    /// The law behind each rule.
    pub citations: BTreeMap<String, String>,
    /// Who waits for a time: rule or disposition, how many, from when to when.
    pub waiting: Vec<Waiting>,
    /// Done with, by reason.
    pub finished: Tally,
    /// People whose place is not known. More than none is a fault.
    pub unaccounted: u64,
    /// What the checker found wrong, in sentences, the first of them.
    pub findings: Vec<String>,
    /// What else is wrong with the run.
    pub faults: Vec<String>,
    /// Where the evidence lies.
    pub folder: String,
}

/// People who wait for the same thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The rule that put them off, or the disposition that is tried again.
    pub because: String,
    /// How many.
    pub people: u64,
    /// When the first of them is due, for example `2026-12-01 16:00`.
    pub first: String,
    /// When the last of them is due.
    pub last: String,
}

impl Summary {
    /// What is wrong with the run; empty for a good one.
    #[must_use]
    pub fn faults(&self, details: &Details) -> Vec<String> {
        let mut faults = Vec::new();
        for (count, what) in [
            (self.cap_violations, "calls broke a cap or a cool-down"),
            (self.window_violations, "calls were outside the calling hours"),
            (self.suppression_violations, "calls went to people who had said no"),
            (self.consent_violations, "calls lacked a consent or went against a national list"),
            (self.unaudited_invites, "calls are not in the audit"),
            (details.unaccounted, "people are unaccounted for"),
        ] {
            if count > 0 {
                faults.push(format!("{} {what}", grouped(count)));
            }
        }
        if !self.audit.verified {
            faults.push("the audit does not verify".to_owned());
        }
        if self.lawful_yield < YIELD || self.lawful_yield.is_nan() {
            let (found, wanted) = (self.lawful_yield * 100.0, YIELD * 100.0);
            faults.push(format!("only {found:.2} % of the lawful calls were made, not {wanted} %"));
        }
        faults.extend(details.faults.iter().cloned());
        faults
    }

    /// Prints the outcome. Returns whether it is good.
    pub fn tell(&self, details: &Details, teller: &mut Teller) -> bool {
        self.tell_calls(teller);
        tell_rules(teller, "Refused, by rule", &self.refused, details);
        tell_waiting(teller, details);
        tell_tally(teller, "Parked until something changes", &self.parked);
        tell_tally(teller, "Finished", &details.finished);
        self.tell_audit(teller, details);
        self.tell_checker(teller, details);
        let faults = self.faults(details);
        teller.line("");
        if faults.is_empty() {
            let good = teller.tone(Tone::Green, "Every call was lawful and is on record.");
            teller.line(&good);
        }
        for fault in &faults {
            let bad = teller.tone(Tone::Red, &format!("NOT GOOD: {fault}"));
            teller.line(&bad);
        }
        faults.is_empty()
    }

    fn tell_calls(&self, teller: &mut Teller) {
        teller.heading("Calls");
        let rate = format!("  ({:.1} a second)", self.attempts_per_second);
        for (name, count, more) in [
            ("people in the lists", self.contacts, ""),
            ("attempts", self.attempts, rate.as_str()),
            ("calls on the wire", self.invites_on_wire, ""),
            ("answered", self.answered, ""),
        ] {
            teller.line(&format!("  {name:<24}{:>8}{more}", grouped(count)));
        }
        let ended: Vec<_> = self
            .dispositions
            .iter()
            .filter(|(name, _)| *name != "answered")
            .map(|(name, count)| (plain(name), *count))
            .collect();
        for (name, count) in ended {
            teller.line(&format!("  {name:<24}{:>8}", grouped(count)));
        }
    }

    fn tell_audit(&self, teller: &mut Teller, details: &Details) {
        teller.heading("Audit");
        let verified = if self.audit.verified {
            teller.tone(Tone::Green, "verified offline")
        } else {
            teller.tone(Tone::Red, "DOES NOT VERIFY")
        };
        teller.line(&format!("  {} records, {verified}", grouped(self.audit.records)));
        teller.line(&format!("  root {}", self.audit.root));
        teller.line(&format!("  in   {}", details.folder));
    }

    fn tell_checker(&self, teller: &mut Teller, details: &Details) {
        teller.heading("Independent check of what the carrier saw");
        for (name, count) in [
            ("caps broken", self.cap_violations),
            ("outside calling hours", self.window_violations),
            ("after an opt-out", self.suppression_violations),
            ("without consent", self.consent_violations),
            ("not in the audit", self.unaudited_invites),
        ] {
            let tone = if count == 0 { Tone::Green } else { Tone::Red };
            let count = teller.tone(tone, &format!("{:>8}", grouped(count)));
            teller.line(&format!("  {name:<24}{count}"));
        }
        let share = format!("{:.2} %", self.lawful_yield * 100.0);
        let tone = if self.lawful_yield >= YIELD { Tone::Green } else { Tone::Red };
        let share = teller.tone(tone, &format!("{share:>8}"));
        teller.line(&format!("  {:<24}{share}", "lawful calls made"));
        for finding in details.findings.iter().take(10) {
            let finding = teller.tone(Tone::Red, finding);
            teller.line(&format!("    {finding}"));
        }
    }
}

/// `no_answer` as `no answer`; ids of rules and lists as they are.
fn plain(word: &str) -> String {
    if word.contains('.') { word.to_owned() } else { word.replace('_', " ") }
}

fn by_count(tally: &Tally) -> Vec<(&String, u64)> {
    let mut rows: Vec<_> = tally.iter().map(|(name, count)| (name, *count)).collect();
    rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    rows
}

fn tell_tally(teller: &mut Teller, heading: &str, tally: &Tally) {
    if tally.is_empty() {
        return;
    }
    teller.heading(heading);
    for (name, count) in by_count(tally) {
        teller.line(&format!("  {:>7}  {}", grouped(count), plain(name)));
    }
}

fn tell_rules(teller: &mut Teller, heading: &str, tally: &Tally, details: &Details) {
    if tally.is_empty() {
        return;
    }
    teller.heading(heading);
    for (rule, count) in by_count(tally) {
        let citation = details.citations.get(rule).map_or("", String::as_str);
        let citation = teller.tone(Tone::Faint, citation);
        teller.line(&format!("  {:>7}  {rule:<36} {citation}", grouped(count)));
    }
}

fn tell_waiting(teller: &mut Teller, details: &Details) {
    if details.waiting.is_empty() {
        return;
    }
    teller.heading("Waiting for a lawful moment (UTC)");
    for row in &details.waiting {
        let when = if row.first == row.last {
            row.first.clone()
        } else {
            format!("{} to {}", row.first, row.last)
        };
        let citation = details.citations.get(&row.because).map_or("", String::as_str);
        let citation = teller.tone(Tone::Faint, citation);
        let (people, because) = (grouped(row.people), plain(&row.because));
        teller.line(&format!("  {people:>7}  {because:<36} {when}  {citation}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Summary {
        Summary {
            contacts: 10,
            attempts: 5,
            placements: 5,
            invites_on_wire: 5,
            answered: 2,
            dispositions: Tally::from([("busy".to_owned(), 3), ("answered".to_owned(), 2)]),
            refused: Tally::from([("us.fed.tcpa.consent".to_owned(), 4)]),
            deferred: Tally::new(),
            parked: Tally::from([("consent".to_owned(), 4)]),
            cap_violations: 0,
            window_violations: 0,
            suppression_violations: 0,
            consent_violations: 0,
            unaudited_invites: 0,
            lawful_yield: 1.0,
            audit: Audit { records: 9, root: "ab".to_owned(), verified: true },
            attempts_per_second: 4.5,
            wall_seconds: 3.0,
        }
    }

    #[test]
    fn each_broken_promise_makes_a_run_bad() {
        let details = Details::default();
        assert!(good().faults(&details).is_empty());
        let cases: [fn(&mut Summary); 8] = [
            |summary| summary.cap_violations = 1,
            |summary| summary.window_violations = 1,
            |summary| summary.suppression_violations = 1,
            |summary| summary.consent_violations = 1,
            |summary| summary.unaudited_invites = 1,
            |summary| summary.lawful_yield = 0.98,
            |summary| summary.lawful_yield = f64::NAN,
            |summary| summary.audit.verified = false,
        ];
        for break_it in cases {
            let mut summary = good();
            break_it(&mut summary);
            assert_eq!(summary.faults(&details).len(), 1, "{summary:?}");
        }
        let lost = Details { unaccounted: 1, ..Details::default() };
        assert_eq!(good().faults(&lost).len(), 1);
    }

    #[test]
    fn the_json_has_exactly_the_agreed_keys() {
        let json = serde_json::to_value(good()).unwrap();
        let mut keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        let mut agreed = [
            "contacts",
            "attempts",
            "placements",
            "invites_on_wire",
            "answered",
            "dispositions",
            "refused",
            "deferred",
            "parked",
            "cap_violations",
            "window_violations",
            "suppression_violations",
            "consent_violations",
            "unaudited_invites",
            "lawful_yield",
            "audit",
            "attempts_per_second",
            "wall_seconds",
        ];
        agreed.sort_unstable();
        assert_eq!(keys, agreed);
        assert_eq!(json["audit"]["verified"], true);
    }
}
