//! The judgement itself: ask every rule that applies, then say what follows.

use std::{sync::Arc, time::Duration};

use dialer_types::{Language, RuleId, UnixMillis};

use crate::{
    Abilities, Deferral, Denial, Evidence, Facts, LocalTime, Permit, Refusal, Ruleset, Verdict,
    Wait,
    ask::{Ask, Notes, Ruling},
    kinds::{entries, suppressions_holding},
    rule::Rule,
    verdict::Names,
    zone::{DAY, SECOND},
};

/// The terms of a judgement.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation {
    /// Rolling caps, gaps and cool-downs are lengthened by this: the longest permit life and the
    /// clock bound. Zero for `policy check`.
    pub guard: Duration,
    /// What the build and the campaign can do.
    pub abilities: Abilities,
}

impl Evaluation {
    /// The law alone: no guard, every ability.
    pub const LAW: Self = Self { guard: Duration::ZERO, abilities: Abilities::ALL };
}

/// How far ahead the first lawful moment is looked for.
const HORIZON: i64 = 366 * DAY;

/// A rule that denies, and what it waits for if time does not help.
#[derive(Debug)]
struct No {
    denial: Denial,
    otherwise: Wait,
}

impl Ruleset {
    /// Judges a call. Every rule that applies is asked; every one that denies is named. The verdict
    /// does not depend on the order of packs, facts or history.
    #[must_use]
    pub fn evaluate(&self, facts: &Facts, terms: &Evaluation, now: UnixMillis) -> Verdict {
        let ask = Ask::new(facts, terms, now);
        let mut notes = Notes { evidence: Evidence::default(), stands_until: i64::MAX };
        // Dates decide which rules are in force and what calendars and caps say.
        ask.days.iter().for_each(|day| notes.changes_at(day.end));
        notes.changes_at(now.0.saturating_add(DAY));
        let mut rules = self.rules_of(&ask.places.jurisdictions);
        rules.retain(|rule| rule.is_about(&facts.call));
        let mut nos = Vec::new();
        let mut obligations = Vec::new();
        for rule in &rules {
            if !rule.is_in_force(ask.zones(), ask.now) {
                let (start, _) = rule.in_force(ask.zones());
                if start > ask.now {
                    notes.changes_at(start);
                }
                continue;
            }
            notes.evidence.rules.push(rule.id.clone());
            let counted = notes.evidence.counters.len();
            let mut ruling = rule.body.judge(&ask, rule, &mut notes);
            if !rule.exceptions.is_empty() {
                ruling = rule.excepted(ruling, &ask, &mut notes, counted);
            }
            if let Some(no) = no(rule, &ask, ruling) {
                nos.push(no);
            } else {
                obligations.extend(rule.body.duty(&ask).map(Arc::clone));
            }
        }
        nos.extend(unreported_suppression(&ask, &nos, &mut notes));
        notes.evidence.zones.clone_from(&ask.places.zones);
        notes.evidence.jurisdictions.clone_from(&ask.places.jurisdictions);
        let Notes { evidence, stands_until } = notes;
        if nos.is_empty() {
            let stands_until = UnixMillis(stands_until);
            let ruleset = self.version();
            return Verdict::Permit(Permit { stands_until, obligations, ruleset, evidence });
        }
        conclude(nos, &rules, &ask, evidence)
    }
}

/// Defer if only time stands in the way, and time ends it.
fn conclude(nos: Vec<No>, rules: &[&Rule], ask: &Ask<'_>, evidence: Evidence) -> Verdict {
    let mut waits_for: Vec<Wait> =
        nos.iter().filter_map(|no| no.denial.waits_for.clone()).collect();
    let until = if waits_for.is_empty() { first_lawful(rules, ask) } else { None };
    if until.is_none() && waits_for.is_empty() {
        let stuck = nos.iter().filter(|no| no.denial.first_lawful.is_none());
        waits_for = stuck.map(|no| no.otherwise.clone()).collect();
        if waits_for.is_empty() {
            waits_for.push(Wait::Never);
        }
    }
    let mut denials: Vec<Denial> = nos.into_iter().map(|no| no.denial).collect();
    if let Some(until) = until {
        return Verdict::Defer(Deferral { until: UnixMillis(until), denials, evidence });
    }
    waits_for.sort();
    waits_for.dedup();
    // A timed rule that never opens is what is waited for, so it says so too.
    for denial in denials.iter_mut().filter(|denial| denial.first_lawful.is_none()) {
        denial.waits_for.get_or_insert(Wait::Never);
    }
    Verdict::Refuse(Refusal { denials, waits_for, evidence })
}

/// The next whole second at or after an instant.
const fn whole_second(at: i64) -> i64 {
    let seconds = at.div_euclid(SECOND);
    (if seconds * SECOND == at { seconds } else { seconds + 1 }) * SECOND
}

/// The first instant at or after `from` at which one rule passes: not in force counts as passing.
fn first_pass(rule: &Rule, ask: &Ask<'_>, from: i64) -> Option<i64> {
    let (start, end) = rule.in_force(ask.zones());
    if !(start..end).contains(&from) {
        return Some(from);
    }
    let open = rule.body.first_pass(ask, from);
    let lapses = (end < i64::MAX).then_some(end);
    let passes = open.filter(|open| *open < end).or(lapses);
    let excepted = rule.first_exception(ask, from);
    passes.into_iter().chain(excepted).min()
}

/// The earliest whole second after now at which all of these rules pass.
fn settle(rules: &[&Rule], ask: &Ask<'_>) -> Option<i64> {
    let mut at = (ask.now.div_euclid(SECOND) + 1) * SECOND;
    loop {
        let mut moved = at;
        for rule in rules {
            moved = whole_second(first_pass(rule, ask, moved)?);
            if moved > ask.now + HORIZON {
                return None;
            }
        }
        if moved == at {
            return Some(at);
        }
        at = moved;
    }
}

fn first_lawful(rules: &[&Rule], ask: &Ask<'_>) -> Option<i64> {
    let timed: Vec<&Rule> = rules.iter().copied().filter(|rule| rule.body.is_timed()).collect();
    settle(&timed, ask)
}

fn no(rule: &Rule, ask: &Ask<'_>, ruling: Ruling) -> Option<No> {
    let (inputs, waits_for, otherwise, timed) = match ruling {
        Ruling::Pass => return None,
        Ruling::NotNow { inputs, otherwise } => (inputs, None, otherwise, true),
        Ruling::No { inputs, waits_for } => (inputs, Some(waits_for.clone()), waits_for, false),
    };
    let local_times = if timed { local_times(ask) } else { Vec::new() };
    let first_lawful = if timed { settle(&[rule], ask).map(UnixMillis) } else { None };
    let names = &rule.names;
    let denial = Denial {
        rule: rule.id.clone(),
        citation: Arc::clone(&names.citation),
        title: Arc::clone(&names.title),
        names: Arc::clone(names),
        inputs,
        local_times,
        first_lawful,
        waits_for,
    };
    Some(No { denial, otherwise })
}

fn local_times(ask: &Ask<'_>) -> Vec<LocalTime> {
    ask.zones().iter().map(|zone| LocalTime::of(*zone, UnixMillis(ask.now))).collect()
}

/// The rule that reports a do-not-call entry where no law rule does; it stands in no pack.
pub(crate) const OWN_LIST: &str = "house.suppression";

/// Its title and citation.
pub(crate) const fn own_list(language: Language) -> (&'static str, &'static str) {
    match language {
        Language::English => {
            ("Own do-not-call list", "House rule: a do-not-call entry binds at once and everywhere")
        }
        Language::Chinese => ("企业自有的拒绝来电名单", "内部规则：拒绝来电登记立即生效，处处适用"),
    }
}

/// A do-not-call entry refuses everywhere, also where no law rule reports it.
fn unreported_suppression(ask: &Ask<'_>, nos: &[No], notes: &mut Notes) -> Option<No> {
    let dated = ask.facts.suppressions.iter().filter(|entry| entry.added_at.0 > ask.now);
    dated.for_each(|entry| notes.changes_at(entry.added_at.0));
    let reported = nos.iter().any(|no| no.denial.waits_for == Some(Wait::Suppression));
    let count = suppressions_holding(ask);
    if reported || count == 0 {
        return None;
    }
    let rule = RuleId::new(OWN_LIST);
    notes.evidence.rules.push(rule.clone());
    let ((title, citation), (title_zh, citation_zh)) =
        (own_list(Language::English), own_list(Language::Chinese));
    let names = Names::new(title, Some(title_zh), citation, Some(citation_zh));
    let denial = Denial {
        rule,
        citation: Arc::clone(&names.citation),
        title: Arc::clone(&names.title),
        names: Arc::new(names),
        inputs: entries(count),
        local_times: Vec::new(),
        first_lawful: None,
        waits_for: Some(Wait::Suppression),
    };
    Some(No { denial, otherwise: Wait::Suppression })
}
