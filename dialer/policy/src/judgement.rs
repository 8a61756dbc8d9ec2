//! The judgement itself, in two steps: permit or deny, which is asked hundreds of thousands of
//! times a second, and what a verdict says besides (the moment, the reasons, the evidence).

use std::sync::Arc;

use chrono_tz::Tz;
use dialer_types::{RuleId, UnixMillis};
use smallvec::SmallVec;

use crate::{
    Deferral, Denial, Evaluation, Evidence, Facts, LocalTime, Obligation, Permit, Refusal, Ruleset,
    Verdict, Wait,
    ask::{Ask, Notes, Ruling},
    kinds::{Head, entries, note_suppressions, suppressions_holding},
    rule::Rule,
    zone::{DAY, SECOND},
};

/// How far ahead the first lawful moment is looked for.
const HORIZON: i64 = 366 * DAY;

/// A rule that denies.
#[derive(Debug)]
struct No<'a> {
    rule: &'a Rule,
    /// What it waits for; `None` if for time.
    waits_for: Option<Wait>,
    /// What it waits for if time does not help.
    otherwise: Wait,
}

/// A call judged: permitted or denied, by which rules. What else a verdict says is worked out when
/// it is asked for.
#[derive(Debug)]
pub struct Judgement<'a> {
    ruleset: &'a Ruleset,
    ask: Ask<'a>,
    notes: Notes,
    /// In force and about the call, in the order of the packs.
    asked: SmallVec<[&'a Rule; 40]>,
    nos: SmallVec<[No<'a>; 8]>,
    /// Do-not-call entries that no rule of a pack reports.
    unreported: usize,
}

impl Ruleset {
    /// Judges a call: every rule that applies is asked. The first step of
    /// [`evaluate`](Self::evaluate); allocates nothing.
    #[must_use]
    pub fn judge<'a>(
        &'a self,
        facts: &'a Facts,
        terms: &Evaluation,
        now: UnixMillis,
    ) -> Judgement<'a> {
        let mut judgement = Judgement {
            ruleset: self,
            ask: Ask::new(facts, *terms, now),
            notes: Notes::new(),
            asked: SmallVec::new(),
            nos: SmallVec::new(),
            unreported: 0,
        };
        judgement.judge();
        judgement
    }
}

impl<'a> Judgement<'a> {
    fn judge(&mut self) {
        let Self { ruleset, ask, notes, asked, nos, unreported } = self;
        // Dates decide which rules are in force and what calendars and caps say.
        ask.days.iter().for_each(|day| notes.changes_at(day.end));
        notes.changes_at(ask.now.saturating_add(DAY));
        for rule in ruleset.rules_about(&ask.facts.call, &ask.places.jurisdictions) {
            if !rule.is_in_force(ask.zones(), ask.now) {
                let (start, _) = rule.in_force(ask.zones(), ask.now);
                if start > ask.now {
                    notes.changes_at(start);
                }
                continue;
            }
            asked.push(rule);
            match rule.judge(ask, notes) {
                Ruling::Pass => {}
                Ruling::NotNow { otherwise, .. } => {
                    nos.push(No { rule, waits_for: None, otherwise });
                }
                Ruling::No { waits_for, .. } => {
                    let otherwise = waits_for.clone();
                    nos.push(No { rule, waits_for: Some(waits_for), otherwise });
                }
            }
        }
        // A do-not-call entry refuses everywhere, also where no law rule reports it.
        note_suppressions(ask, notes);
        if !nos.iter().any(|no| no.waits_for == Some(Wait::Suppression)) {
            *unreported = suppressions_holding(ask);
        }
    }

    /// Whether no rule denies.
    #[must_use]
    pub fn is_permitted(&self) -> bool {
        self.nos.is_empty() && self.unreported == 0
    }

    /// The rules that deny: all of them, in the order of the packs. None if the call is permitted.
    pub fn denied_by(&self) -> impl Iterator<Item = &RuleId> {
        let own = (self.unreported > 0).then_some(&self.ruleset.own_list.0);
        self.nos.iter().map(|no| &no.rule.id).chain(own)
    }

    /// The zones the party may be in.
    #[must_use]
    pub fn zones(&self) -> &[Tz] {
        self.ask.zones()
    }

    /// The first moment at which the same facts might give another answer; see
    /// [`Permit::stands_until`], of which this is the base.
    #[must_use]
    pub const fn stands_until(&self) -> UnixMillis {
        UnixMillis(self.notes.stands_until)
    }

    /// The earliest whole second after now at which the call is permitted, if only time stands in
    /// its way and time ends that. `None` if it is permitted or refused.
    #[must_use]
    pub fn first_lawful(&self) -> Option<UnixMillis> {
        let only_time = self.unreported == 0 && self.nos.iter().all(|no| no.waits_for.is_none());
        if !only_time || self.nos.is_empty() {
            return None;
        }
        let Ask { facts, places, .. } = &self.ask;
        let rules = self.ruleset.rules_about(&facts.call, &places.jurisdictions);
        let timed: SmallVec<[&Rule; 24]> = rules.filter(|rule| rule.body.is_timed()).collect();
        settle(&timed, &self.ask).map(UnixMillis)
    }

    /// The whole verdict.
    #[must_use]
    pub fn into_verdict(mut self) -> Verdict {
        let evidence = self.evidence();
        if self.is_permitted() {
            return Verdict::Permit(Permit {
                stands_until: self.stands_until(),
                obligations: self.obligations(),
                ruleset: self.ruleset.version(),
                evidence,
            });
        }
        let until = self.first_lawful();
        let mut denials = self.denials();
        if let Some(until) = until {
            return Verdict::Defer(Deferral { until, denials, evidence });
        }
        let mut waits_for: Vec<Wait> =
            denials.iter().filter_map(|denial| denial.waits_for.clone()).collect();
        if waits_for.is_empty() {
            let stuck = self.nos.iter().zip(&denials);
            let stuck = stuck.filter(|(_, denial)| denial.first_lawful.is_none());
            waits_for = stuck.map(|(no, _)| no.otherwise.clone()).collect();
        }
        if waits_for.is_empty() {
            waits_for.push(Wait::Never);
        }
        waits_for.sort();
        waits_for.dedup();
        // A timed rule that never opens is what is waited for, so it says so too.
        for denial in denials.iter_mut().filter(|denial| denial.first_lawful.is_none()) {
            denial.waits_for.get_or_insert(Wait::Never);
        }
        Verdict::Refuse(Refusal { denials, waits_for, evidence })
    }

    fn evidence(&mut self) -> Evidence {
        let own = usize::from(self.unreported > 0);
        let mut rules = Vec::with_capacity(self.asked.len() + own);
        rules.extend(self.asked.iter().map(|rule| rule.id.clone()));
        rules.extend((own > 0).then(|| self.ruleset.own_list.0.clone()));
        Evidence {
            rules,
            zones: self.ask.places.zones.to_vec(),
            jurisdictions: self.ask.places.jurisdictions.to_vec(),
            grounds: self.ask.places.grounds,
            counters: self.notes.counters.drain(..).collect(),
            lists: self.notes.lists.drain(..).collect(),
            exceptions: self.notes.exceptions.drain(..).collect(),
            lifts: self.notes.lifts.drain(..).collect(),
            other_purposes: self.notes.other_purposes,
        }
    }

    fn obligations(&self) -> Vec<Arc<Obligation>> {
        let duties = self.asked.iter().filter_map(|rule| rule.body.duty(&self.ask));
        let mut found = Vec::with_capacity(duties.clone().count());
        found.extend(duties.cloned());
        found
    }

    /// Asks the rules that deny again, this time for what they looked at.
    fn denials(&mut self) -> Vec<Denial> {
        self.ask.explains = true;
        let (ask, mut notes) = (&self.ask, Notes::new());
        let mut denials = Vec::with_capacity(self.nos.len() + usize::from(self.unreported > 0));
        for no in &self.nos {
            let rule = no.rule;
            let inputs = match rule.judge(ask, &mut notes) {
                Ruling::Pass => "".into(),
                Ruling::NotNow { inputs, .. } | Ruling::No { inputs, .. } => inputs,
            };
            let mut denial = denial((rule.id.clone(), Arc::clone(&rule.names)));
            denial.inputs = inputs;
            denial.waits_for.clone_from(&no.waits_for);
            if no.waits_for.is_none() {
                let now = UnixMillis(ask.now);
                denial.local_times =
                    ask.zones().iter().map(|zone| LocalTime::of(*zone, now)).collect();
                denial.first_lawful = settle(&[rule], ask).map(UnixMillis);
            }
            denials.push(denial);
        }
        if self.unreported > 0 {
            let mut denial = denial(self.ruleset.own_list.clone());
            denial.inputs = entries(self.unreported);
            denial.waits_for = Some(Wait::Suppression);
            denials.push(denial);
        }
        denials
    }
}

/// A denial of which nothing is known but the rule.
fn denial((rule, names): Head) -> Denial {
    Denial {
        rule,
        citation: Arc::clone(&names.citation),
        title: Arc::clone(&names.title),
        names,
        inputs: "".into(),
        local_times: Vec::new(),
        first_lawful: None,
        waits_for: None,
    }
}

/// The next whole second at or after an instant.
const fn whole_second(at: i64) -> i64 {
    let seconds = at.div_euclid(SECOND);
    (if seconds * SECOND == at { seconds } else { seconds + 1 }) * SECOND
}

/// The first instant at or after `from` at which one rule passes: not in force counts as passing.
fn first_pass(rule: &Rule, ask: &Ask<'_>, from: i64) -> Option<i64> {
    let (start, end) = rule.in_force(ask.zones(), from);
    if !(start..end).contains(&from) {
        return Some(from);
    }
    let open = rule.body.first_pass(ask, from);
    let lapses = (end < i64::MAX).then_some(end);
    let passes = open.filter(|open| *open < end).or(lapses);
    let excepted = rule.first_exception(ask, from);
    passes.into_iter().chain(excepted).min()
}

/// The earliest whole second after now at which all of these rules pass: they are asked in turn, each
/// from where the one before it passes, until all have passed at one and the same.
fn settle(rules: &[&Rule], ask: &Ask<'_>) -> Option<i64> {
    let mut at = (ask.now.div_euclid(SECOND) + 1) * SECOND;
    let mut passed = 0;
    for rule in rules.iter().cycle() {
        let passes = whole_second(first_pass(rule, ask, at)?);
        if passes > ask.now + HORIZON {
            return None;
        }
        passed = if passes == at { passed + 1 } else { 0 };
        at = passes;
        if passed == rules.len() {
            break;
        }
    }
    Some(at)
}
