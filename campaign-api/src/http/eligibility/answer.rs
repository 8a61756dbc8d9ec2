//! An opinion of the gate, told.

use std::collections::BTreeSet;

use dialer_judge::cause;
use dialer_policy::{
    Deferral, Denial, Lift, NamedException, Obligation, PostalCode, Verdict, explain,
    obligation_sentence, times_in,
};
use dialer_types::{EventId, Filling, Language, Say, SubjectId, UnixMillis, say};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::{contacts::STATES, time::Time},
    Campaign, Case, Known,
    places::{PlacesFrom, places_from},
};
use crate::{
    judging::{Opinion, When},
    words::{codes, in_language, language},
};

/// One number.
#[derive(Debug, Serialize, ToSchema)]
pub struct NumberAnswer {
    /// Masked.
    pub number: String,
    /// Whether the question was about this one.
    pub asked: bool,
    /// `permit`, `defer` or `refuse`.
    pub verdict: String,
    /// The first moment at which no rule denies, if nothing changes; null if time alone never
    /// brings it.
    pub first_lawful_at: Option<Time>,
    /// All of it in a sentence.
    pub sentence: String,
    /// What each place and zone the party may be in rests on. All of them must allow.
    pub places_from: Vec<PlacesFrom>,
    /// What the postal code told: `known`, `unknown`, `malformed`, or `not_looked_up`. It adds
    /// places and never takes one away.
    pub postal_code: String,
    /// The seller believes verified addresses, and this one took the place of what the number says.
    pub narrowed: bool,
    /// The do-not-call entries that would deny, but for consents given to lift them.
    pub lifted: Vec<Lifted>,
    /// How many do-not-call entries there are that are about other purposes, and so do not deny.
    pub entries_about_other_purposes: u32,
    /// The rules that would deny, but for an exception in law that the deployment relies on.
    pub exceptions: Vec<Excepted>,
    /// Every rule that denies.
    pub reasons: Vec<Reason>,
    /// The duties that go with a call that may be placed.
    pub obligations: Vec<Duty>,
}

/// A do-not-call entry that a consent lifts for the calls it covers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Lifted {
    /// The entry: ULID.
    #[schema(value_type = String)]
    pub suppression: EventId,
    /// The consent: ULID.
    #[schema(value_type = String)]
    pub consent: EventId,
}

/// A rule that an exception in law lifts, by the deployment's own pack.
#[derive(Debug, Serialize, ToSchema)]
pub struct Excepted {
    /// Its id.
    pub rule: String,
    /// The exception in law.
    pub relies_on: String,
}

impl Excepted {
    fn of(named: &NamedException) -> Self {
        Self { rule: named.rule.to_string(), relies_on: named.relies_on.to_string() }
    }
}

impl From<&Lift> for Lifted {
    fn from(lift: &Lift) -> Self {
        Self { suppression: lift.entry, consent: lift.consent }
    }
}

/// A rule that denies.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reason {
    /// Its id; `unknown` if the facts cannot be read, which refuses too.
    pub rule: String,
    /// What it is called.
    pub title: String,
    /// Where it is written.
    pub citation: String,
    /// Why it denies and what would change that.
    pub sentence: String,
    /// The time at the party, in every zone where it may be.
    pub local_times: Vec<LocalTime>,
    /// When this rule alone would pass; null if time alone changes nothing.
    pub first_lawful_at: Option<Time>,
    /// What would have to change; null if only time. The words of a parked contact's cause.
    pub waits_for: Option<String>,
}

/// The time in one zone.
#[derive(Debug, Serialize, ToSchema)]
pub struct LocalTime {
    /// IANA name.
    pub zone: String,
    /// Day of the week, date and time.
    pub text: String,
}

/// A duty that goes with a permitted call.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Duty {
    /// The rule that imposes it.
    pub rule: String,
    /// What it is called.
    pub title: String,
    /// Where it is written.
    pub citation: String,
    /// What it asks for.
    pub sentence: String,
}

/// Where a contact stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct Standing {
    /// `waiting`, `due`, `leased`, `parked`, `finished`, or `unknown` for who is in no list.
    pub word: String,
    /// When it is tried next.
    pub due_at: Option<Time>,
    /// What a parked contact waits for.
    pub waits_for: Option<String>,
    /// Since when.
    pub since: Option<Time>,
    /// Why it is finished.
    pub finished: Option<String>,
    /// Attempts that count, made so far.
    pub tries_used: i16,
    /// Attempts that the campaign allows.
    pub tries_allowed: i16,
    /// It in a sentence.
    #[serde(serialize_with = "crate::words::spoken")]
    #[schema(value_type = String)]
    pub sentence: Say,
}

impl Standing {
    pub(super) fn of(known: &Known, campaign: &Campaign, sentence: Say) -> Self {
        Self {
            word: word_of(known).to_owned(),
            due_at: known.due_at.map(Time),
            waits_for: known.cause.clone(),
            since: known.since.map(Time),
            finished: known.finished.clone(),
            tries_used: known.made,
            tries_allowed: campaign.max_tries,
            sentence,
        }
    }

    /// Somebody who is in no list of the campaign.
    pub(super) fn stranger() -> Self {
        Self {
            word: "unknown".to_owned(),
            due_at: None,
            waits_for: None,
            since: None,
            finished: None,
            tries_used: 0,
            tries_allowed: 0,
            sentence: "is in no list of this campaign: it is judged as a consumer of whom nothing is known, and nobody calls it, whatever the verdict".into(),
        }
    }
}

fn word_of(known: &Known) -> &'static str {
    let place = usize::try_from(known.state - 1).ok();
    place.and_then(|place| STATES.get(place)).copied().unwrap_or("unknown")
}

/// Where a contact stands, after "it".
pub(super) fn stands(known: &Known, allowed: i16, when: &When) -> Say {
    let used = known.made;
    match word_of(known) {
        "waiting" => codes::state("waiting"),
        // Before the rules allow a call, to come due is to be judged again.
        "due" => match when {
            When::Now => tried(known),
            When::At(first) if known.due_at.is_some_and(|at| at >= *first) => tried(known),
            When::At(_) | When::Never => judged_again(known),
        },
        "leased" => codes::state("leased"),
        "parked" => {
            let word = known.cause.as_deref().unwrap_or("never");
            let since = known.since.map(|at| Time(at).text()).unwrap_or_default();
            say!("is parked since {since}: {waits}", since, waits = codes::cause(word))
        }
        _ => {
            let why = known.finished.as_deref().unwrap_or("finished");
            say!(
                "is done with ({why}) after {used} of {allowed} attempts",
                why = codes::finished(why),
                used,
                allowed
            )
        }
    }
}

fn tried(known: &Known) -> Say {
    match (known.due_at.map(|at| Time(at).text()), known.because.as_deref().map(codes::because)) {
        (Some(at), Some(because)) => say!("is tried at {at}: {because}", at, because),
        (Some(at), None) => say!("is tried at {at}", at),
        (None, _) => "is tried next".into(),
    }
}

fn judged_again(known: &Known) -> Say {
    match (known.due_at.map(|at| Time(at).text()), known.because.as_deref().map(codes::because)) {
        (Some(at), Some(because)) => say!("is judged again at {at}: {because}", at, because),
        (Some(at), None) => say!("is judged again at {at}", at),
        (None, _) => "is judged next".into(),
    }
}

/// The verdict over all numbers, and the first lawful moment.
pub(super) fn conclusion(when: &When) -> (&'static str, Option<UnixMillis>) {
    match when {
        When::Now => ("permit", None),
        When::At(at) => ("defer", Some(*at)),
        When::Never => ("refuse", None),
    }
}

/// How the answer tells of a number.
#[derive(Debug)]
pub(super) struct View {
    /// The question was about this one.
    pub(super) asked: bool,
    /// Nobody will call the contact, whatever the rules say.
    pub(super) finished: bool,
    pub(super) gap: Option<Gap>,
}

/// The rules that deny now end before the first lawful moment.
#[derive(Debug)]
pub(super) struct Gap {
    /// When the last of them ends.
    pub(super) ended: UnixMillis,
    /// The rules that deny then, by title.
    pub(super) rules: BTreeSet<String>,
}

impl Gap {
    fn say(&self) -> Say {
        let ended = Time(self.ended).text();
        if self.rules.is_empty() {
            return say!(
                "the rules that deny now end at {ended}, and this is the next moment at which all allow the call",
                ended
            );
        }
        let rules = self.rules.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        say!(
            "the rules that deny now end at {ended}, and then it is {rules} that denies",
            ended,
            rules
        )
    }
}

/// The whole answer in a sentence. `later`: the number that may be called first, if only later.
pub(super) fn sentence(
    opinion: &Opinion,
    state: &Standing,
    status: &str,
    later: Option<(&Deferral, Option<Gap>)>,
) -> Say {
    if state.word == "finished" {
        // What the rules would say of it now concerns nobody any more.
        return Say::of("nobody will call it any more: it {stands}")
            .with("stands", state.sentence.clone());
    }
    let rules = match (opinion, opinion.when()) {
        (Opinion::Unknown(why), _) => {
            Say::of("refused, because what the rules need is unknown: {why}")
                .with("why", why.clone())
        }
        (_, When::Now) => "no rule denies a call now".into(),
        (_, When::At(at)) => not_now(at, later),
        (_, When::Never) => "the rules refuse, and no passing of time changes that".into(),
    };
    let held: Option<Say> = match (state.word.as_str(), status) {
        ("leased" | "unknown", _) => None,
        (_, "running") => None,
        (_, "draft") => Some("the campaign has not been started: nobody is called".into()),
        (_, "paused") => Some("the campaign is paused: nobody is called".into()),
        (_, "stopped") => {
            Some("the campaign is stopped: nobody is called until it is started again".into())
        }
        (_, _) => Some("the campaign has ended: nobody is called any more".into()),
    };
    let said = Say::of("{rules}; it {stands}").with("rules", rules);
    let said = said.with("stands", state.sentence.clone());
    match held {
        Some(held) => Say::of("{held}; {said}").with("held", held).with("said", said),
        None => said,
    }
}

/// The first lawful moment with the local times at the party, and why it is not earlier.
fn not_now(at: UnixMillis, later: Option<(&Deferral, Option<Gap>)>) -> Say {
    let (deferral, gap) = later.unzip();
    let zones = deferral.map_or(&[][..], |deferral| &deferral.evidence.zones);
    let utc = Time(at).text();
    let moment: Filling = match times_in(zones, at, language()) {
        Some(times) => say!("{utc} ({times})", utc).with("times", times).into(),
        None => Filling::Text(utc),
    };
    match gap.flatten() {
        Some(gap) => Say::of("not now; the first lawful moment is {at}: {why}")
            .with("at", moment)
            .with("why", gap.say()),
        None => Say::of("not now; the first lawful moment is {at}").with("at", moment),
    }
}

/// Every number; one that cannot be judged is refused, and why is said.
pub(super) fn numbers(
    case: &Case,
    opinion: &Opinion,
    view: impl Fn(SubjectId, Option<&Verdict>) -> View,
    language: Language,
) -> Vec<NumberAnswer> {
    let masked = |subject| {
        let facts = case.facts.iter().flat_map(|facts| &facts.numbers);
        let mut numbers = facts.filter(|number| number.subject == subject);
        // Display masks.
        numbers.next().map_or_else(|| "?".to_owned(), |number| number.number.to_string())
    };
    match opinion {
        Opinion::Judged(judged) => judged
            .iter()
            .map(|(subject, verdict)| {
                let view = view(*subject, Some(verdict));
                judged_number(masked(*subject), &view, verdict, language)
            })
            .collect(),
        Opinion::Unknown(why) => case
            .order
            .iter()
            .map(|subject| (masked(*subject), view(*subject, None)))
            .map(|(number, view)| unknown_number(number, view.asked, why, language))
            .collect(),
    }
}

fn judged_number(
    number: String,
    view: &View,
    verdict: &Verdict,
    language: Language,
) -> NumberAnswer {
    let first = match verdict {
        Verdict::Defer(deferral) => Some(deferral.until),
        Verdict::Permit(_) | Verdict::Refuse(_) => None,
    };
    let duties: &[_] = match verdict {
        Verdict::Permit(permit) => permit.obligations(),
        Verdict::Defer(_) | Verdict::Refuse(_) => &[],
    };
    let said = number_sentence(verdict, view);
    NumberAnswer {
        number,
        asked: view.asked,
        verdict: verdict.word().to_owned(),
        first_lawful_at: first.map(Time),
        sentence: in_language(&said, language),
        places_from: places_from(verdict.evidence()),
        postal_code: verdict.evidence().grounds.postal_code.as_str().to_owned(),
        narrowed: verdict.evidence().grounds.narrowed,
        lifted: verdict.evidence().lifts.iter().map(Lifted::from).collect(),
        entries_about_other_purposes: verdict.evidence().other_purposes,
        exceptions: verdict.evidence().exceptions.iter().map(|it| Excepted::of(it)).collect(),
        reasons: verdict.denials().iter().map(|denial| reason(denial, language)).collect(),
        obligations: duties.iter().map(|duty| duty_of(duty, language)).collect(),
    }
}

fn number_sentence(verdict: &Verdict, view: &View) -> Say {
    let rules = verdict.denials().len();
    let said = match (verdict, &view.gap) {
        (Verdict::Permit(_), _) => "may be called now".into(),
        (Verdict::Defer(deferral), gap) => {
            let at = Time(deferral.until).text();
            match gap {
                None => {
                    say!(
                        "may be called from {at} on; rules that deny until then: {rules}",
                        at,
                        rules
                    )
                }
                Some(gap) => say!(
                    "may be called from {at} on; rules that deny now: {rules}; {why}",
                    at,
                    rules
                )
                .with("why", gap.say()),
            }
        }
        (Verdict::Refuse(_), _) => say!(
            "may not be called; time alone does not change it. Rules that deny: {rules}",
            rules
        ),
    };
    if view.finished {
        return Say::of("by the rules alone: {said}").with("said", said);
    }
    said
}

fn unknown_number(number: String, asked: bool, why: &Say, language: Language) -> NumberAnswer {
    let sentence = Say::of("refused, because what the rules need is unknown: {why}");
    let sentence = in_language(&sentence.with("why", why.clone()), language);
    NumberAnswer {
        number,
        asked,
        verdict: "refuse".to_owned(),
        first_lawful_at: None,
        sentence: sentence.clone(),
        places_from: Vec::new(),
        postal_code: PostalCode::NotLookedUp.as_str().to_owned(),
        narrowed: false,
        lifted: Vec::new(),
        entries_about_other_purposes: 0,
        exceptions: Vec::new(),
        reasons: vec![Reason {
            rule: "unknown".to_owned(),
            title: in_language(&"Unknown facts refuse".into(), language),
            citation: String::new(),
            sentence,
            local_times: Vec::new(),
            first_lawful_at: None,
            waits_for: None,
        }],
        obligations: Vec::new(),
    }
}

fn reason(denial: &Denial, language: Language) -> Reason {
    Reason {
        rule: denial.rule.to_string(),
        title: denial.title_in(language).to_owned(),
        citation: denial.citation_in(language).to_owned(),
        sentence: explain(denial, language),
        local_times: denial
            .local_times
            .iter()
            .map(|at| LocalTime { zone: at.zone.to_owned(), text: at.text_in(language) })
            .collect(),
        first_lawful_at: denial.first_lawful.map(Time),
        waits_for: denial.waits_for.as_ref().map(cause),
    }
}

/// A duty, told.
pub(crate) fn duty_of(duty: &Obligation, language: Language) -> Duty {
    Duty {
        rule: duty.rule.to_string(),
        title: duty.title_in(language).to_owned(),
        citation: duty.citation_in(language).to_owned(),
        sentence: obligation_sentence(duty, language),
    }
}
