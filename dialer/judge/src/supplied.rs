//! What somebody looked up, wrote down or counted, beside what the list says of a contact. Absent is
//! not the same as harmless: the rules that ask for it say what follows.

use std::sync::Arc;

use dialer_policy::{CallerCounter, Licence, LineCheck, Reassigned, ReassignmentCheck, Wishes};

/// What is on record of a contact's person, and of its campaign and seller.
#[derive(Debug, Clone, Default)]
pub struct Supplied {
    /// When the person does not want to be called; `None` if nobody wrote it down.
    pub wishes: Option<Wishes>,
    /// What covers the calls of the campaign: of its seller, its script or itself.
    pub licences: Arc<[Licence]>,
    /// What the seller counts over all persons, the newest count of each.
    pub counters: Arc<[CallerCounter]>,
}

/// What look-ups said of one number.
#[derive(Debug, Clone, Default)]
pub struct Checks {
    /// Databases of reassigned numbers; the last recorded of a day stands last.
    pub reassignment: Vec<ReassignmentCheck>,
    /// The newest look-up of the line; `None` if there was none.
    pub line: Option<LineCheck>,
}

impl Supplied {
    /// What of it is on record, by name, for the evidence of a judgement: how many blocked times and
    /// licences there are, what look-ups said and of which day, what was counted. Nothing of what
    /// nobody supplied.
    #[must_use]
    pub fn inputs(&self, checks: &Checks) -> Vec<(&'static str, String)> {
        let wishes = self.wishes.iter().map(|wishes| format!("{} blocked", wishes.blocked.len()));
        let reassigned = checks.reassignment.iter().map(|check| {
            let answer = match check.answer {
                Reassigned::No => "no",
                Reassigned::Yes => "yes",
                Reassigned::NoData => "no_data",
            };
            format!("{} {answer} {}", check.database, check.as_of)
        });
        let line = checks
            .line
            .iter()
            .map(|check| format!("line {} {} {}", check.line, check.class.as_str(), check.as_of));
        let held = self.licences.len();
        let licences = (held > 0).then(|| format!("{held} on record"));
        let counted = |it: &CallerCounter| format!("{} {}", it.counter, it.count);
        let all: [(&'static str, Vec<String>); 4] = [
            ("wishes", wishes.collect()),
            ("look_ups", reassigned.chain(line).collect()),
            ("licences", licences.into_iter().collect()),
            ("counters", self.counters.iter().map(counted).collect()),
        ];
        let known = all.into_iter().filter(|(_, values)| !values.is_empty());
        known.map(|(name, values)| (name, values.join(", "))).collect()
    }
}

#[cfg(test)]
mod tests {
    use dialer_policy::{Blocked, LineClass, NaiveDate};
    use dialer_types::{LineType, UnixMillis};

    use super::*;

    #[test]
    fn the_evidence_names_what_is_on_record_and_nothing_else() {
        assert!(Supplied::default().inputs(&Checks::default()).is_empty());
        let as_of = NaiveDate::from_ymd_opt(2026, 12, 1).unwrap();
        let licence = Licence { id: "bond".into(), from: None, until: None };
        let counter = CallerCounter {
            counter: "br.short_calls".into(),
            count: 7,
            as_of: UnixMillis(0),
            resets_at: UnixMillis(1),
        };
        let supplied = Supplied {
            wishes: Some(Wishes { blocked: vec![Blocked::Always] }),
            licences: [licence].into(),
            counters: [counter].into(),
        };
        let answer = Reassigned::No;
        let checks = Checks {
            reassignment: vec![ReassignmentCheck { database: "us.rnd".into(), as_of, answer }],
            line: Some(LineCheck { as_of, line: LineType::Voip, class: LineClass::Ordinary }),
        };
        let told = supplied.inputs(&checks);
        let told: Vec<(&str, &str)> = told.iter().map(|(name, it)| (*name, it.as_str())).collect();
        let expected = [
            ("wishes", "1 blocked"),
            ("look_ups", "us.rnd no 2026-12-01, line voip ordinary 2026-12-01"),
            ("licences", "1 on record"),
            ("counters", "br.short_calls 7"),
        ];
        assert_eq!(told, expected);
    }
}
