//! `dialer policy explain`: all there is to say about a call to one number, as text and as JSON.

mod json;
mod parts;
mod supposed;

use dialer_types::{Language, Say, UnixMillis, say};

use crate::{
    Card, CardKind, Evaluation, Facts, Obligation, Ruleset, Verdict, check::instant_text, explain,
    in_language, local_time, obligation_sentence, waits_sentence,
};
use parts::{mark, told_verdict, unknown};
use supposed::{Supposed, supposed};

/// What was asked, and the verdict.
#[derive(Debug)]
pub struct Dossier<'a> {
    rules: &'a Ruleset,
    cards: &'a [Card],
    facts: &'a Facts,
    now: UnixMillis,
    verdict: Verdict,
    /// The verdict at the moment at which a deferral ends.
    then: Option<Verdict>,
    /// What would change the verdict.
    supposed: Vec<Supposed>,
}

impl<'a> Dossier<'a> {
    /// Judges a call, and what one more known fact would make of it.
    #[must_use]
    pub fn new(
        rules: &'a Ruleset,
        cards: &'a [Card],
        facts: &'a Facts,
        terms: &Evaluation,
        now: UnixMillis,
    ) -> Self {
        let verdict = rules.evaluate(facts, terms, now);
        let then = match &verdict {
            Verdict::Defer(deferral) => Some(rules.evaluate(facts, terms, deferral.until)),
            Verdict::Permit(_) | Verdict::Refuse(_) => None,
        };
        let supposed = supposed(rules, facts, terms, now, &verdict);
        Self { rules, cards, facts, now, verdict, then, supposed }
    }

    /// The verdict.
    #[must_use]
    pub const fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The duties of the call: as it is permitted now, or at the moment until which it is deferred,
    /// or once what is missing is there.
    fn duties(&self) -> &[std::sync::Arc<Obligation>] {
        let of = |verdict: &'_ Verdict| matches!(verdict, Verdict::Permit(_));
        let all = [Some(&self.verdict), self.then.as_ref()].into_iter().flatten();
        let found = all.chain(self.supposed.iter().rev().map(|it| &it.verdict)).find(|it| of(it));
        match found {
            Some(Verdict::Permit(permit)) => permit.obligations(),
            _ => &[],
        }
    }

    fn card(&self, rule: &str) -> Option<&Card> {
        self.cards.iter().find(|card| card.kind == CardKind::Rule && card.id == rule)
    }

    fn mark(&self, rule: &str) -> String {
        self.card(rule).and_then(Card::verified).unwrap_or("-").to_owned()
    }

    const fn until(&self) -> Option<UnixMillis> {
        match &self.verdict {
            Verdict::Defer(deferral) => Some(deferral.until),
            Verdict::Permit(_) | Verdict::Refuse(_) => None,
        }
    }

    const fn stands(&self) -> Option<UnixMillis> {
        match &self.verdict {
            Verdict::Permit(permit) => Some(permit.stands_until()),
            Verdict::Defer(_) | Verdict::Refuse(_) => None,
        }
    }

    /// A page of text.
    #[must_use]
    pub fn text(&self, language: Language) -> String {
        let mut page = Paper { text: String::new(), language };
        self.head(&mut page);
        self.denials(&mut page);
        self.spared(&mut page);
        page.heading(&say!("What would change the verdict"), self.supposed.is_empty());
        for it in &self.supposed {
            page.item(&it.said());
        }
        let duties = self.duties();
        page.heading(&say!("Duties that go with the call"), duties.is_empty());
        for duty in duties {
            let (rule, sentence) = (duty.rule.as_str(), obligation_sentence(duty, language));
            page.item(&Say::raw(format!("{rule} [{}] {sentence}", self.mark(rule))));
        }
        self.asked(&mut page);
        page.text
    }

    fn head(&self, page: &mut Paper) {
        let (call, evidence) = (&self.facts.call, self.verdict.evidence());
        let call_is = say!(
            "{number}: {purpose}, {technology}, at {at}",
            number = call.number,
            purpose = call.purpose,
            technology = call.technology,
            at = instant_text(self.now)
        );
        page.line(&call_is);
        page.line(&told_verdict(&self.verdict));
        if let Some(at) = self.until() {
            let times = crate::times_in(&evidence.zones, at, page.language);
            if let Some(times) = times {
                page.line(&say!("That is {times}.").with("times", times));
            }
        }
        page.heading(&say!("Where the person may be"), false);
        let places: Vec<String> = evidence.jurisdictions.iter().map(ToString::to_string).collect();
        if places.is_empty() {
            page.item(&say!("nobody knows where the party is"));
        } else {
            page.item(&Say::raw(places.join(", ")));
        }
        if evidence.zones.is_empty() {
            page.item(&say!("no time zone is known"));
        }
        for zone in &evidence.zones {
            let time = local_time(*zone, self.now, page.language);
            page.item(&Say::raw(format!("{:<28} {time}", zone.name())));
        }
        let unknown = unknown(self.facts, &self.verdict);
        page.heading(&say!("What is not known"), unknown.is_empty());
        for fact in &unknown {
            page.item(fact);
        }
    }

    fn denials(&self, page: &mut Paper) {
        let denials = self.verdict.denials();
        let (count, all) = (denials.len(), self.verdict.evidence().rules.len());
        let heading = say!("Rules that deny: {count} of {all} that were asked", count, all);
        page.heading(&heading, false);
        for denial in denials {
            page.item(&Say::raw(explain(denial, page.language)));
            let rule = denial.rule.as_str();
            page.more(&mark(self.card(rule)));
            if let Some(at) = denial.first_lawful {
                let first = say!("By this rule alone from {at} on.", at = instant_text(at));
                page.more(&first);
            }
            if let Some(wait) = &denial.waits_for {
                page.more(&Say::raw(waits_sentence(wait, page.language)));
            }
        }
    }

    /// What would deny and does not, and why.
    fn spared(&self, page: &mut Paper) {
        let evidence = self.verdict.evidence();
        let none = evidence.exceptions.is_empty() && evidence.lifts.is_empty();
        page.heading(&say!("What would deny and does not"), none);
        for named in &evidence.exceptions {
            page.item(&say!(
                "{rule}: the deployment relies on {law}; reason: {reason}; entered by {by}, looked at by {second}",
                rule = named.rule.as_str(),
                law = &*named.relies_on,
                reason = &*named.reason,
                by = &*named.by,
                second = &*named.second_person
            ));
        }
        for lift in &evidence.lifts {
            let (entry, consent) = (lift.entry, lift.consent);
            page.item(&say!(
                "do-not-call entry {entry}: lifted by consent {consent}",
                entry,
                consent
            ));
        }
    }

    fn asked(&self, page: &mut Paper) {
        let evidence = self.verdict.evidence();
        page.heading(&say!("Every rule that was asked"), evidence.rules.is_empty());
        for rule in &evidence.rules {
            let denies = self.verdict.denials().iter().any(|denial| denial.rule == *rule);
            let word = if denies { say!("denies") } else { say!("passes") };
            let word = in_language(&word, page.language);
            let names = self.rules.names_of(rule.as_str(), page.language);
            let (title, citation) = names.unwrap_or_default();
            let mark = self.mark(rule.as_str());
            page.item(&Say::raw(format!("{word}  {rule} [{mark}] {title} ({citation})")));
        }
        page.heading(&say!("Marks and rules"), false);
        page.item(&say!(
            "[V1] official text read; [V2] secondary source read; [K] from knowledge only, not verified; [-] built in. This is not legal advice."
        ));
        page.item(&say!("rules {version}", version = self.rules.version()));
    }
}

/// The page as it grows.
struct Paper {
    text: String,
    language: Language,
}

impl Paper {
    fn put(&mut self, start: &str, said: &Say) {
        self.text.push_str(start);
        self.text.push_str(&in_language(said, self.language));
        self.text.push('\n');
    }

    fn line(&mut self, said: &Say) {
        self.put("", said);
    }

    /// A heading over what follows; none where nothing does.
    fn heading(&mut self, said: &Say, empty: bool) {
        if !empty {
            self.text.push('\n');
            self.put("", said);
        }
    }

    fn item(&mut self, said: &Say) {
        self.put("  ", said);
    }

    fn more(&mut self, said: &Say) {
        self.put("      ", said);
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test may fail by panicking"
    )]
    use dialer_types::Purpose;

    use super::*;
    use crate::{Call, ListFact, Options, SHIPPED, cards, kinds::cases::instant};

    fn miami() -> Facts {
        Facts::of(Call::manual("+13055550123".parse().unwrap(), Purpose::Telemarketing))
    }

    fn told(facts: &Facts, at: &str, look: impl FnOnce(&Dossier<'_>)) {
        let rules = Ruleset::shipped(Options { house: false }).unwrap();
        let cards = cards(SHIPPED);
        let at = UnixMillis(instant(at));
        look(&Dossier::new(&rules, &cards, facts, &Evaluation::LAW, at));
    }

    #[test]
    fn a_refusal_names_every_rule_what_is_unknown_and_what_would_change_it() {
        told(&miami(), "2026-12-01T12:30:00Z", |dossier| {
            let page = dossier.text(Language::English);
            for part in [
                "+130******23: telemarketing, manual, at 2026-12-01T12:30:00Z\nrefuse: ",
                "\n  US, US-FL\n  America/New_York             Tue 2026-12-01 07:30:00\n",
                "list us.national_dnc: there is no copy",
                "the kind of line: rules for mobile",
                "outside the hours in 1 of 1 candidate zones",
                "By this rule alone from 2026-12-01T13:00:00Z on.",
                "Verification V",
                "with a prior express written consent given now: ",
                "  denies  us.fl.hours [V",
                "all that is missing together: defer until 2026-12-01T13:00:00Z; no longer denies: ",
            ] {
                assert!(page.contains(part), "{part:?} in\n{page}");
            }
            let json = dossier.json(Language::English);
            assert_eq!(json["verdict"], "refuse");
            let asked = json["asked"].as_array().unwrap();
            let denied = asked.iter().filter(|row| row["denies"] == true).count();
            assert_eq!(denied, json["denials"].as_array().unwrap().len());
            assert!(asked.iter().all(|row| row["verified"].is_string()), "{json}");
        });
    }

    #[test]
    fn a_deferral_and_a_permit_tell_their_moments_and_the_duties() {
        let mut facts = miami();
        let as_of = "2026-11-30".parse().unwrap();
        facts.lists.push(ListFact { list: "us.national_dnc".into(), as_of, contains: false });
        told(&facts, "2026-12-01T12:30:00Z", |dossier| {
            assert_eq!(dossier.json(Language::English)["until"], "2026-12-01T13:00:00Z");
            let page = dossier.text(Language::English);
            assert!(
                page.contains("That is Tue 2026-12-01 08:00:00 in America/New_York."),
                "{page}"
            );
            assert!(page.contains("Duties that go with the call"), "{page}");
        });
        told(&facts, "2026-12-01T16:30:00Z", |dossier| {
            let page = dossier.text(Language::English);
            assert!(
                page.contains("permit: the call may be placed now; that stands until "),
                "{page}"
            );
            assert!(!page.contains("a prior express written consent given now"), "{page}");
        });
    }

    #[test]
    fn what_is_supposed_is_judged_and_not_guessed() {
        told(&miami(), "2026-12-01T16:30:00Z", |dossier| {
            let json = dossier.json(Language::English);
            let found = json["would_change"].as_array().unwrap();
            let with = |what: &str| found.iter().find(|row| row["if"] == what).cloned();
            let list = with("with a fresh copy of us.national_dnc without the number").unwrap();
            assert_eq!(list["verdict"], "permit", "{json}");
            assert_eq!(
                list["no_longer_denies"],
                serde_json::json!(["us.fcc.ndnc_scrub"]),
                "{json}"
            );
        });
    }

    #[test]
    fn the_page_is_in_chinese_but_for_ids_words_and_citations() {
        told(&miami(), "2026-12-01T12:30:00Z", |dossier| {
            let page = dossier.text(Language::Chinese);
            for part in ["被叫人可能所在的地点", "什么会改变结论", "判定时所用的全部规则"]
            {
                assert!(page.contains(part), "{part} in\n{page}");
            }
            for part in ["Where", "denies", "passes", "What", "consent given", "no longer"] {
                assert!(!page.contains(part), "{part} in\n{page}");
            }
        });
    }
}
