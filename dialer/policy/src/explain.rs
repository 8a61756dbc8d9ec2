//! One sentence per denial, for a campaign manager, in every language.

use chrono_tz::Tz;
use dialer_types::{Language, Say, UnixMillis, say};

use crate::{Ability, Denial, Obligation, Wait, check::instant_text, in_language, local_time};

/// Zones that a sentence names; the answer beside it has them all.
const NAMED: usize = 3;

/// Why a rule denies and what would change it, in one sentence without numbers or names.
#[must_use]
pub fn explain(denial: &Denial, language: Language) -> String {
    let zones: Vec<Tz> = denial.local_times.iter().map(|at| at.tz).collect();
    let here = denial.local_times.iter().map(|at| Clock {
        zone: at.zone,
        wall: at.text_in(Language::English),
        text: at.text_in(language),
    });
    let it_is = match joined(here.collect()) {
        Some(times) => Say::of(" (it is {times})").with("times", times),
        None => "".into(),
    };
    let then = match (&denial.waits_for, denial.first_lawful) {
        (Some(wait), _) => remedy(wait),
        (None, Some(at)) => opens(at, &zones, language),
        (None, None) => remedy(&Wait::Never),
    };
    let said = say!(
        "{title}: {inputs}{it_is}; {then} ({rule}, {citation}).",
        title = denial.title_in(language),
        rule = denial.rule,
        citation = denial.citation_in(language)
    );
    let said = said.with("inputs", denial.inputs.clone()).with("it_is", it_is);
    in_language(&said.with("then", then), language)
}

/// The first lawful moment, for the party and in UTC.
fn opens(at: UnixMillis, zones: &[Tz], language: Language) -> Say {
    let utc = instant_text(at);
    match times_in(zones, at, language) {
        Some(times) => say!("this rule allows the call from {utc} on, which is {times}", utc)
            .with("times", times),
        None => say!("this rule allows the call from {utc} on", utc),
    }
}

/// What time it is in each zone at a moment: at most three zones by name, and how many more there
/// are. `None` without a zone.
#[must_use]
pub fn times_in(zones: &[Tz], at: UnixMillis, language: Language) -> Option<Say> {
    let clock = |zone: &Tz| Clock {
        zone: zone.name(),
        wall: local_time(*zone, at, Language::English),
        text: local_time(*zone, at, language),
    };
    joined(zones.iter().map(clock).collect())
}

/// The time in a zone.
struct Clock {
    zone: &'static str,
    /// In English: behind the day of the week it can be sorted by.
    wall: String,
    text: String,
}

/// Times with their zones; zones in which it is the same time stand together.
fn joined(clocks: Vec<Clock>) -> Option<Say> {
    let all = clocks.len();
    let mut groups: Vec<(Clock, Vec<&str>)> = Vec::new();
    for clock in clocks {
        match groups.iter_mut().find(|(held, _)| held.text == clock.text) {
            Some((_, names)) => names.push(clock.zone),
            None => groups.push((clock, Vec::new())),
        }
    }
    for (clock, names) in &mut groups {
        names.insert(0, clock.zone);
    }
    if all > NAMED {
        shorten(&mut groups);
    }
    let times = groups
        .into_iter()
        .map(|(clock, names)| say!("{time} in {zone}", time = clock.text, zone = names.join(", ")))
        .reduce(Say::and)?;
    Some(match all.saturating_sub(NAMED) {
        0 => times,
        1 => Say::of("{times} and 1 more zone").with("times", times),
        more => say!("{times} and {more} more zones", more).with("times", times),
    })
}

/// Leaves three zones: of the earliest clock, of the latest, between which every other lies, and
/// one more.
fn shorten(groups: &mut Vec<(Clock, Vec<&str>)>) {
    groups.sort_by(|(one, _), (other, _)| one.wall.get(4..).cmp(&other.wall.get(4..)));
    let last = groups.len().saturating_sub(1);
    let mut place = 0..;
    groups.retain(|_| place.next().is_some_and(|at| [0, last / 2, last].contains(&at)));
    let mut spare = NAMED.saturating_sub(groups.len());
    for (_, names) in groups {
        let more = spare.min(names.len().saturating_sub(1));
        names.truncate(1 + more);
        spare -= more;
    }
}

/// What a refused call waits for, as a sentence of its own.
#[must_use]
pub fn waits_sentence(wait: &Wait, language: Language) -> String {
    let text = in_language(&remedy(wait), language);
    let mut characters = text.chars();
    match (language, characters.next()) {
        (Language::English, Some(first)) => {
            format!("{}{}.", first.to_uppercase(), characters.as_str())
        }
        _ => format!("{text}。"),
    }
}

/// What an obligation asks of the campaign or the build, as a sentence; its title where the rule
/// asks for nothing that is checked.
#[must_use]
pub fn obligation_sentence(duty: &Obligation, language: Language) -> String {
    let needs = duty.requires.iter().map(ability).reduce(Say::and);
    let said = match needs {
        Some(needs) => say!("{title}: this call needs {needs}.", title = duty.title_in(language))
            .with("needs", needs),
        None => say!("{title}: a duty of the caller.", title = duty.title_in(language)),
    };
    in_language(&said, language)
}

fn remedy(wait: &Wait) -> Say {
    match wait {
        Wait::Consent => "it takes a consent that covers the call".into(),
        Wait::List(list) => {
            say!("it takes a fresh copy of {list} without the number, or an exemption", list)
        }
        Wait::Suppression => "nobody calls as long as the entry stands".into(),
        Wait::Address => "it takes an address or a time zone".into(),
        Wait::Pack => "it takes another rule pack or calendar".into(),
        Wait::Feed => "it takes a fresh emergency feed without an emergency for the place".into(),
        Wait::Obligation(word) => {
            let needed = match Ability::from_word(word) {
                Some(needed) => ability(needed),
                None => "something this build cannot do".into(),
            };
            Say::of("it takes {ability}").with("ability", needed)
        }
        Wait::Contact => "it takes another party or line".into(),
        Wait::Wishes => "it takes the wishes of the person, and that they allow the call".into(),
        Wait::Check(check) => say!("it takes a fresh look-up of the number in {check}", check),
        Wait::Licence(licence) => say!("it takes a valid {licence} on record", licence),
        Wait::Counter(counter) => say!("it takes a fresh count of {counter}", counter),
        Wait::Never => "no later time changes that".into(),
    }
}

/// What a campaign or build needs for an ability.
fn ability(ability: Ability) -> Say {
    match ability {
        Ability::Identity => "a prompt that says at its beginning who calls",
        Ability::PurposeStatement => "a prompt that says why you call",
        Ability::CallbackNumber => "a prompt that gives a number to call back",
        Ability::OptOutKey => "a key press that opts out during the message",
        Ability::AiDisclosure => "a prompt that says that a machine speaks",
        Ability::RecordingNotice => "a prompt that announces the recording",
        Ability::CallerId => "a caller ID that can be called back",
        Ability::CallerIdRange => "a caller ID from the range reserved for such calls",
        Ability::MinRing => "letting unanswered calls ring for 15 seconds",
        Ability::AbandonMessage => "a message for people whom no agent answers in time",
        Ability::AbandonmentControl => "pacing that keeps the abandonment limit",
        Ability::Retention => "records kept as long as the law asks",
        Ability::ReassignedNumbers => "a look-up of reassigned numbers",
    }
    .into()
}

#[cfg(test)]
mod tests {
    use dialer_types::{Language, UnixMillis};

    use crate::{
        Abilities, Suppression, SuppressionScope, explain, in_language,
        kinds::cases::{Case, consent, instant, past},
        times_in,
    };

    #[test]
    fn a_denial_is_told_in_one_sentence_with_rule_reason_time_and_remedy() {
        let hours = "kind = \"time_window\"\nallow = [{ days = [\"tue\"], from = \"10:00\", to = \"12:00\" }]";
        let verdict = Case::rule(hours).verdict(instant("2026-12-01T14:00:00Z"));
        let told: Vec<String> =
            verdict.denials().iter().map(|denial| explain(denial, Language::English)).collect();
        assert_eq!(
            told,
            [
                "T: outside the hours in 1 of 1 candidate zones (it is Tue 2026-12-01 09:00:00 in America/New_York); this rule allows the call from 2026-12-01T15:00:00Z on, which is Tue 2026-12-01 10:00:00 in America/New_York (test.rule, C)."
            ]
        );
        let consent = "kind = \"consent_required\"\nneeds = \"any\"";
        let verdict = Case::rule(consent).verdict(instant("2026-12-01T14:00:00Z"));
        let told: Vec<String> =
            verdict.denials().iter().map(|denial| explain(denial, Language::English)).collect();
        assert_eq!(
            told,
            [
                "T: no valid consent for this seller and purpose; 0 on file; it takes a consent that covers the call (test.rule, C)."
            ]
        );
    }

    #[test]
    fn of_many_zones_three_are_named_and_the_rest_is_counted() {
        let all: Vec<chrono_tz::Tz> = [
            "America/Chicago",
            "Pacific/Honolulu",
            "America/New_York",
            "America/Detroit",
            "America/Los_Angeles",
        ]
        .iter()
        .map(|zone| zone.parse().unwrap())
        .collect();
        let at = UnixMillis(instant("2026-12-01T14:00:00Z"));
        let told = |zones: &[chrono_tz::Tz], language| {
            in_language(&times_in(zones, at, language).unwrap(), language)
        };
        assert_eq!(
            told(&all, Language::English),
            "Tue 2026-12-01 04:00:00 in Pacific/Honolulu, Tue 2026-12-01 06:00:00 in America/Los_Angeles, Tue 2026-12-01 09:00:00 in America/New_York and 2 more zones"
        );
        assert_eq!(
            told(&all[..4], Language::Chinese),
            "2026年12月1日 周二 04:00（Pacific/Honolulu），2026年12月1日 周二 08:00（America/Chicago），2026年12月1日 周二 09:00（America/New_York）等，另有 1 个时区"
        );
        assert_eq!(
            told(&[all[2], all[3], all[2], all[3]], Language::English),
            "Tue 2026-12-01 09:00:00 in America/New_York, America/Detroit, America/New_York and 1 more zone"
        );
        assert_eq!(
            told(&all[..3], Language::English),
            "Tue 2026-12-01 08:00:00 in America/Chicago, Tue 2026-12-01 04:00:00 in Pacific/Honolulu, Tue 2026-12-01 09:00:00 in America/New_York"
        );
        assert!(times_in(&[], at, Language::English).is_none());
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn every_kind_of_rule_denies_in_chinese() {
        let now = instant("2026-12-01T14:00:00Z");
        let told = |case: Case| -> Vec<String> {
            let verdict = case.verdict(now);
            verdict.denials().iter().map(|denial| explain(denial, Language::Chinese)).collect()
        };
        let hours = "kind = \"time_window\"\nallow = [{ days = [\"tue\"], from = \"10:00\", to = \"12:00\" }]";
        let cap = "kind = \"count_cap\"\nkey = \"person\"\nlimits = [{ max = 1, hours = 24 }, { max = 1, dates = 7 }]";
        let pause = "kind = \"cooldown\"\nkey = \"person\"\nhours = 72\ntrigger = [\"no_answer\"]";
        let list =
            "kind = \"list_scrub\"\nlists = [{ id = \"us.national_dnc\", max_age_days = 31 }]";
        let earlier = || past("2026-12-01T13:00:00Z");
        let duty = "kind = \"announcement\"\nrequires = [\"identity\", \"opt_out_key\"]";
        let mut unable = Case::rule(duty);
        unable.abilities = Abilities::NONE;
        let mut revoked = Case::rule("kind = \"revocation\"");
        let mut consent = consent();
        consent.revoked_at = Some(UnixMillis(now - 1000));
        revoked.facts.consents.push(consent);
        let mut suppressed = Case::rule("kind = \"suppression\"");
        let (scope, added_at) = (SuppressionScope::Global, UnixMillis(now));
        let entry = Suppression { scope, purpose: None, added_at, event: None };
        suppressed.facts.suppressions.push(entry);
        let mut nowhere = Case::rule("kind = \"uncovered_place\"\njurisdiction = \"*\"");
        nowhere.facts.call.number = "+9990000000".parse().unwrap();
        for (case, expected) in [
            (
                Case::rule(hours),
                "T：被叫人可能所在的 1 个时区中，有 1 个不在呼叫时段内（现在是2026年12月1日 周二 09:00（America/New_York））；该规则自 2026-12-01T15:00:00Z 起允许呼叫，即2026年12月1日 周二 10:00（America/New_York）（test.rule，C）。",
            ),
            (
                Case::rule(cap).past(earlier()),
                "T：已拨打 1 次，上限为 1 次，已拨打 1 次，上限为 1 次（现在是2026年12月1日 周二 09:00（America/New_York））；该规则自 2026-12-08T05:00:00Z 起允许呼叫，即2026年12月8日 周二 00:00（America/New_York）（test.rule，C）。",
            ),
            (
                Case::rule(pause).past(earlier()),
                "T：此前一次呼叫之后须经过冷却期（现在是2026年12月1日 周二 09:00（America/New_York））；该规则自 2026-12-04T13:00:00Z 起允许呼叫，即2026年12月4日 周五 08:00（America/New_York）（test.rule，C）。",
            ),
            (
                Case::rule("kind = \"consent_required\"\nneeds = \"prior_express_written\""),
                "T：没有针对该委托方和该用途的有效事先明示的书面同意；现存同意记录 0 条；需要取得涵盖此次呼叫的同意（test.rule，C）。",
            ),
            (
                Case::rule(list),
                "T：没有名单 us.national_dnc 的副本；需要一份不含该号码的最新名单 us.national_dnc，或者适用豁免（test.rule，C）。",
            ),
            (
                Case::rule("kind = \"target_ban\""),
                "T：线路类型为未知；需要取得涵盖此次呼叫的同意（test.rule，C）。",
            ),
            (
                Case::rule("kind = \"party_restriction\"\nroles = [\"spouse\"]"),
                "T：通话对象的身份是本人；需要换一位通话对象或换一条线路（test.rule，C）。",
            ),
            (
                Case::rule("kind = \"emergency_suspension\"\nmax_age_hours = 24"),
                "T：没有紧急状态信息源；需要最新的紧急状态信息，且当地未处于紧急状态（test.rule，C）。",
            ),
            (
                unable,
                "T：无法履行：开头表明主叫身份，按键拒绝来电；需要在语音提示开头表明主叫身份（test.rule，C）。",
            ),
            (
                revoked,
                "T：同意已被撤回，此后没有再次给予；需要取得涵盖此次呼叫的同意（test.rule，C）。",
            ),
            (
                suppressed,
                "T：有 1 条该委托方或对所有委托方生效的拒绝来电登记；只要该登记有效，就不得拨打（test.rule，C）。",
            ),
            (nowhere, "T：被叫人所在地不明；需要补充地址或时区（test.rule，C）。"),
        ] {
            assert_eq!(told(case), [expected]);
        }
    }
}
