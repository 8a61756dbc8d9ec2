//! The outcome of a drill: as JSON, and for reading.

use serde::Serialize;

use crate::{
    checker::report::Report,
    report::{Tally, YIELD},
    spread::Spread,
    view::{Teller, Tone, grouped},
};

/// The longest time without an INVITE although work was due, seconds.
const CLOSED_S: f64 = 10.0;

/// The p99 of opt-out answers while Postgres and the API are well, ms. The promise is 150, which
/// `loadtest opt-outs` measures: here everything shares two processors with what is killed and started
/// again. An API that waited for a Redis that is away, or for a dialer that is frozen, would need two
/// seconds and more for more than one answer of a hundred.
const OPT_OUT_MS: i64 = 1_000;

/// What `--json` writes.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// The plan follows from it.
    pub seed: u64,
    /// Length of the storm, seconds.
    pub storm_seconds: f64,
    /// Time it took after the storm until nothing was due any more, seconds.
    pub calm_seconds: f64,
    /// Dialers.
    pub dialers: usize,
    /// Contacts in the lists.
    pub contacts: usize,
    /// Calls a second wanted.
    pub rate: u32,
    /// Faults done, by kind.
    pub faults: Tally,
    /// All of them.
    pub faults_injected: u64,
    /// Programs that ended by themselves and were started again.
    pub restarted: usize,
    /// Calls that the carrier saw.
    pub invites: usize,
    /// Calls a second during the storm.
    pub invites_per_second: f64,
    /// Dialers that placed calls.
    pub dialers_that_placed: usize,
    /// Opt-outs that the API was told of during the storm.
    pub opt_outs: usize,
    /// Those of them that it answered.
    pub opt_outs_answered: usize,
    /// How long answers took while Postgres and the API were well, whatever else was not.
    pub opt_outs_well: Spread,
    /// The same of those that a fault of Postgres or of the API touched: nothing bounds these.
    pub opt_outs_hit: Spread,
    /// Calls that broke a rule, a cap, a window, an opt-out.
    pub violations: usize,
    /// Calls placed twice.
    pub duplicates: usize,
    /// Calls without an earlier record in the audit.
    pub unaudited: usize,
    /// Records of calls that the wire does not show and nothing explains.
    pub unexplained: usize,
    /// Placements without a disposition after all dialers had drained.
    pub not_settled: u64,
    /// Whether the audit export verifies.
    pub audit_verified: bool,
    /// Share of the lawful and due placements that were made.
    pub lawful_yield: f64,
    /// The longest time without an INVITE although work was due, seconds.
    pub longest_closed_seconds: f64,
    /// When that began, seconds into the storm.
    pub longest_closed_at: f64,
    /// The first of what the checker found, in sentences.
    pub findings: Vec<String>,
}

impl Outcome {
    /// Takes over what the checker found.
    pub(super) fn judge(&mut self, report: &Report) {
        self.invites = report.placements;
        self.violations = report.cap_violations
            + report.window_violations
            + report.suppression_violations
            + report.consent_violations
            + report.list_violations
            + report.other_violations;
        self.duplicates = report.repeated_invites;
        self.unaudited = report.unaudited_invites.unwrap_or(report.placements);
        self.unexplained = report.intents_unexplained;
        self.lawful_yield = report.lawful_yield;
        self.findings = crate::demo::evidence::findings(report);
    }

    /// What is wrong with it; empty for a good one.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (count, what) in [
            (self.violations, "calls broke a rule"),
            (self.duplicates, "calls were placed twice"),
            (self.unaudited, "calls are not in the audit"),
            (self.unexplained, "records of calls are not on the wire and unexplained"),
            (usize::try_from(self.not_settled).unwrap_or(usize::MAX), "placements are not settled"),
            (self.opt_outs - self.opt_outs_answered, "opt-outs were never answered"),
            (self.dialers - self.dialers_that_placed, "dialers placed nothing"),
        ] {
            if count > 0 {
                faults.push(format!("{count} {what}"));
            }
        }
        if self.opt_outs_well.p99_ms > OPT_OUT_MS {
            faults.push(format!(
                "the p99 of opt-out answers is {} ms, not {OPT_OUT_MS}, though Postgres and the API were well",
                self.opt_outs_well.p99_ms
            ));
        }
        if !self.audit_verified {
            faults.push("the audit does not verify".to_owned());
        }
        if self.lawful_yield < YIELD || self.lawful_yield.is_nan() {
            faults.push(format!("the lawful yield is {:.4}, not {YIELD}", self.lawful_yield));
        }
        if self.longest_closed_seconds > CLOSED_S {
            faults.push(format!(
                "nothing was placed for {:.1} s, not {CLOSED_S:.0}, though work was due",
                self.longest_closed_seconds
            ));
        }
        faults
    }

    /// Prints it; whether it is good.
    pub fn tell(&self, teller: &mut Teller) -> bool {
        teller.heading(&format!("The drill of seed {}", self.seed));
        let mut row = |name: &str, value: String| teller.line(&format!("  {name:<28} {value}"));
        row("faults injected", grouped(self.faults_injected));
        for (kind, count) in &self.faults {
            row(&format!("  {kind}"), count.to_string());
        }
        row("restarted by themselves", self.restarted.to_string());
        let invites = u64::try_from(self.invites).unwrap_or(0);
        let rate = self.invites_per_second;
        row("INVITEs sent", format!("{} ({rate:.1} a second)", grouped(invites)));
        row("opt-outs answered", format!("{} of {}", self.opt_outs_answered, self.opt_outs));
        row("  Postgres, API well", self.opt_outs_well.to_string());
        row("  one of them not", self.opt_outs_hit.to_string());
        row("violations", self.violations.to_string());
        row("duplicates", self.duplicates.to_string());
        row("unaudited INVITEs", self.unaudited.to_string());
        row("placements not settled", self.not_settled.to_string());
        row("lawful yield", format!("{:.4}", self.lawful_yield));
        row(
            "longest time closed",
            format!(
                "{:.1} s, from {:.1} s on",
                self.longest_closed_seconds, self.longest_closed_at
            ),
        );
        row("calm after the storm", format!("{:.1} s", self.calm_seconds));
        for finding in &self.findings {
            teller.line(&format!("  {finding}"));
        }
        let faults = self.faults();
        for fault in &faults {
            let fault = teller.tone(Tone::Red, fault);
            teller.line(&format!("  {fault}"));
        }
        if faults.is_empty() {
            let good = teller.tone(Tone::Green, "Every promise was kept.");
            teller.line(&format!("\n{good}"));
        } else {
            let words = format!("\nThe same faults again: loadtest chaos --seed {}", self.seed);
            teller.line(&words);
        }
        faults.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Outcome {
        Outcome {
            dialers: 3,
            dialers_that_placed: 3,
            opt_outs: 5,
            opt_outs_answered: 5,
            audit_verified: true,
            lawful_yield: 0.995,
            longest_closed_seconds: 9.9,
            ..Outcome::default()
        }
    }

    #[test]
    fn each_promise_that_is_broken_is_a_fault() {
        assert_eq!(good().faults(), Vec::<String>::new());
        let broken: [fn(&mut Outcome); 11] = [
            |it| it.violations = 1,
            |it| it.duplicates = 1,
            |it| it.unaudited = 1,
            |it| it.unexplained = 1,
            |it| it.not_settled = 1,
            |it| it.opt_outs_answered = 4,
            |it| it.dialers_that_placed = 2,
            |it| it.opt_outs_well.p99_ms = 1_001,
            |it| it.audit_verified = false,
            |it| it.lawful_yield = f64::NAN,
            |it| it.longest_closed_seconds = 10.1,
        ];
        for breaks in broken {
            let mut outcome = good();
            breaks(&mut outcome);
            assert_eq!(outcome.faults().len(), 1, "{outcome:?}");
            assert!(!outcome.tell(&mut Teller::silent()));
        }
    }
}
