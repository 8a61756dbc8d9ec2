//! Whether the records, taken as true, keep the promises: permit before intent before INVITE, in
//! time, one outcome each.

use std::collections::{BTreeMap, BTreeSet};

use dialer_types::{AttemptId, Disposition, PlacementId, RuleId, SubjectId, UnixMillis};

use super::{
    Fault,
    report::{Counts, Report},
};
use crate::{
    checkpoint::Checkpoint,
    field::rfc3339,
    fold,
    record::{Body, Corrected, Decision, Ended, Intent, NotSent, Record, Sent, Token, Verdict},
    tree::Hash,
};

/// How the records contradict the promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoryFault {
    /// A placement was judged twice: ids are minted for one judgement.
    #[error("placement {0} was judged before")]
    JudgedTwice(PlacementId),
    /// A permit that names no placement.
    #[error("a permit names no placement")]
    PermitForNothing,
    /// A permit although a rule denied.
    #[error("a permit although the rule {0} denied")]
    PermitDenied(RuleId),
    /// A permit although a cap was used up (G6).
    #[error("a permit although the cap of {rule} was used up: {count} of {cap}")]
    PermitOverCap {
        /// Whose cap.
        rule: RuleId,
        /// Counted before this placement.
        count: u32,
        /// Allowed.
        cap: u32,
    },
    /// A denial without a rule.
    #[error("a denial names no rule")]
    DenialWithoutRule,
    /// Another number of rules than it names, or one that both passed and denied.
    #[error(
        "a decision says that {asked} rules were asked; it names {passed} that passed and {denied} that denied"
    )]
    RulesDoNotAddUp {
        /// As it says.
        asked: u32,
        /// How many passed.
        passed: usize,
        /// How many denied.
        denied: usize,
    },
    /// An intent that no decision permitted (G1).
    #[error("placement {0} has an intent, and no earlier decision permits it")]
    IntentWithoutPermit(PlacementId),
    /// A second intent for a placement (G2).
    #[error("placement {0} has a second intent")]
    IntentTwice(PlacementId),
    /// An intent for other subjects than those judged.
    #[error("the intent of placement {0} moves the heads of other subjects than were judged")]
    OtherSubjects(PlacementId),
    /// Two intents on the same state of a head: one of them did not see the other (G6).
    #[error("two intents were judged on the same token of the head of subject {}", .0.0)]
    Fork(SubjectId),
    /// Another attempt than the decision or intent of the placement names.
    #[error("placement {0} belongs to another attempt")]
    OtherAttempt(PlacementId),
    /// An INVITE without intent (G4).
    #[error("the INVITE of placement {0} was sent without an earlier intent")]
    SentWithoutIntent(PlacementId),
    /// An INVITE that left after its permit had lapsed (G3).
    #[error("the INVITE of placement {placement} left at {sent_at}, later than {not_after}")]
    SentLate {
        /// Which.
        placement: PlacementId,
        /// When, RFC 3339.
        sent_at: String,
        /// The end of its permit, RFC 3339.
        not_after: String,
    },
    /// An INVITE under another Call-ID: another INVITE (G2).
    #[error("the INVITE of placement {0} was sent under another Call-ID than intended")]
    OtherCallId(PlacementId),
    /// Both sent and not sent.
    #[error("placement {0} is recorded both as sent and as not sent")]
    SentAndNotSent(PlacementId),
    /// An outcome, or *not sent*, without intent.
    #[error("placement {0} ended without an earlier intent")]
    EndedWithoutIntent(PlacementId),
    /// A second outcome (G8).
    #[error("placement {placement} ended as {first} and again as {second}")]
    EndedTwice {
        /// Which.
        placement: PlacementId,
        /// The earlier disposition.
        first: Disposition,
        /// The later one.
        second: Disposition,
    },
    /// A correction that corrects no `outcome_unknown`, or makes one *not sent*.
    #[error(
        "the outcome of placement {0} is marked as a correction and corrects no outcome_unknown"
    )]
    NoCorrection(PlacementId),
    /// A person's correction of another outcome than the one on record, or one that makes a sent
    /// INVITE unsent or the other way round.
    #[error("a correction of placement {placement} says it was {was}, on record is {found}")]
    OtherOutcome {
        /// Which.
        placement: PlacementId,
        /// What the correction says it corrects.
        was: Disposition,
        /// What it would have to correct.
        found: String,
    },
}

/// What is known of one placement so far.
#[derive(Debug)]
struct Course {
    attempt: AttemptId,
    /// The subjects judged, sorted; `None` if the verdict was no permit.
    permitted: Option<Vec<SubjectId>>,
    intended: Option<Intended>,
    sent: bool,
    not_sent: bool,
    ended: Option<Disposition>,
}

#[derive(Debug)]
struct Intended {
    not_after: UnixMillis,
    /// A hash, for a bounded size.
    call_id: Hash,
}

/// The records so far.
#[derive(Debug, Default)]
pub(super) struct Story {
    courses: BTreeMap<PlacementId, Course>,
    judged: BTreeSet<(SubjectId, Token)>,
    counts: Counts,
}

impl Story {
    /// The next record, and what it rests on. A permit is a decision and its intent.
    pub(super) fn tell(&mut self, record: &Record, grounds: Option<&Record>) -> Result<(), Fault> {
        self.counts.count(record);
        match grounds {
            Some(grounds) => {
                let (decision, intent) = fold::unfold(grounds, record)?;
                self.told(&decision.body)?;
                self.told(&intent.body)?;
            }
            None => self.told(&record.body)?,
        }
        Ok(())
    }

    fn told(&mut self, body: &Body) -> Result<(), StoryFault> {
        match body {
            Body::Decision(decision) => self.decided(decision),
            Body::Intent(intent) => self.intended(intent),
            Body::Sent(sent) => self.sent(sent),
            Body::NotSent(not_sent) => self.not_sent(not_sent),
            Body::Outcome(ended) => self.ended(ended),
            Body::Correction(corrected) => self.corrected(corrected),
            Body::Suppression(_)
            | Body::Consent(_)
            | Body::Revocation(_)
            | Body::Imported(_)
            | Body::Fact(_)
            | Body::Campaign(_)
            | Body::Rules(_)
            | Body::Grounds(_)
            // Told as what it stands for.
            | Body::Permit(_) => Ok(()),
        }
    }

    fn decided(&mut self, decision: &Decision) -> Result<(), StoryFault> {
        consistent_decision(decision)?;
        let permit = decision.verdict == Verdict::Permit;
        let Some(placement) = decision.placement else {
            return if permit { Err(StoryFault::PermitForNothing) } else { Ok(()) };
        };
        let course = Course {
            attempt: decision.attempt,
            permitted: permit.then(|| sorted(decision.subjects.iter().copied())),
            intended: None,
            sent: false,
            not_sent: false,
            ended: None,
        };
        match self.courses.insert(placement, course) {
            Some(_) => Err(StoryFault::JudgedTwice(placement)),
            None => Ok(()),
        }
    }

    fn intended(&mut self, intent: &Intent) -> Result<(), StoryFault> {
        let placement = intent.placement;
        let without = StoryFault::IntentWithoutPermit(placement);
        let course = self.courses.get_mut(&placement).ok_or(without.clone())?;
        if course.intended.is_some() {
            return Err(StoryFault::IntentTwice(placement));
        }
        let subjects = course.permitted.take().ok_or(without)?;
        if course.attempt != intent.attempt {
            return Err(StoryFault::OtherAttempt(placement));
        }
        if subjects != sorted(intent.heads.iter().map(|head| head.subject)) {
            return Err(StoryFault::OtherSubjects(placement));
        }
        for head in &intent.heads {
            if !self.judged.insert((head.subject, head.judged)) {
                return Err(StoryFault::Fork(head.subject));
            }
        }
        let call_id = Hash::of(intent.sip_call_id.as_bytes());
        course.intended = Some(Intended { not_after: intent.not_after, call_id });
        Ok(())
    }

    fn sent(&mut self, sent: &Sent) -> Result<(), StoryFault> {
        let placement = sent.placement;
        let without = StoryFault::SentWithoutIntent(placement);
        let course = self.courses.get_mut(&placement).ok_or(without.clone())?;
        let intended = course.intended.as_ref().ok_or(without)?;
        if sent.sent_at > intended.not_after {
            let (sent_at, not_after) = (rfc3339(sent.sent_at), rfc3339(intended.not_after));
            return Err(StoryFault::SentLate { placement, sent_at, not_after });
        }
        if Hash::of(sent.sip_call_id.as_bytes()) != intended.call_id {
            return Err(StoryFault::OtherCallId(placement));
        }
        // Again with the same Call-ID is the re-send after 401, 407 or 422.
        course.sent = true;
        course.consistent(placement)
    }

    fn not_sent(&mut self, not_sent: &NotSent) -> Result<(), StoryFault> {
        let course = self.running(not_sent.placement)?;
        course.not_sent = true;
        course.consistent(not_sent.placement)
    }

    fn ended(&mut self, ended: &Ended) -> Result<(), StoryFault> {
        let placement = ended.placement;
        let course = self.running(placement)?;
        if course.attempt != ended.attempt {
            return Err(StoryFault::OtherAttempt(placement));
        }
        match (course.ended, ended.correction) {
            (None, false) => {}
            (Some(Disposition::Unknown), true) if ended.disposition != Disposition::NotSent => {}
            (Some(first), false) => {
                let second = ended.disposition;
                return Err(StoryFault::EndedTwice { placement, first, second });
            }
            (_, true) => return Err(StoryFault::NoCorrection(placement)),
        }
        course.ended = Some(ended.disposition);
        course.consistent(placement)
    }

    fn corrected(&mut self, corrected: &Corrected) -> Result<(), StoryFault> {
        let placement = corrected.placement;
        let course = self.running(placement)?;
        if course.attempt != corrected.attempt {
            return Err(StoryFault::OtherAttempt(placement));
        }
        let unsent = course.not_sent
            || [corrected.was, corrected.disposition].contains(&Disposition::NotSent);
        if course.ended != Some(corrected.was) || unsent {
            let found = match course.ended {
                Some(_) if unsent => "an INVITE that never left".to_owned(),
                Some(found) => found.to_string(),
                None => "nothing".to_owned(),
            };
            return Err(StoryFault::OtherOutcome { placement, was: corrected.was, found });
        }
        course.ended = Some(corrected.disposition);
        Ok(())
    }

    fn running(&mut self, placement: PlacementId) -> Result<&mut Course, StoryFault> {
        let course = self.courses.get_mut(&placement);
        let course = course.filter(|course| course.intended.is_some());
        course.ok_or(StoryFault::EndedWithoutIntent(placement))
    }

    /// The counts once all records are told.
    pub(super) fn into_report(self, checkpoint: Checkpoint) -> Report {
        let mut counts = self.counts;
        for course in self.courses.values().filter(|course| course.intended.is_some()) {
            counts.placements += 1;
            counts.sent += u64::from(course.sent);
            let never_left = course.not_sent || course.ended == Some(Disposition::NotSent);
            counts.not_sent += u64::from(never_left);
            counts.open += u64::from(!never_left && course.ended.is_none());
            counts.ended_unsent += u64::from(!never_left && !course.sent && course.ended.is_some());
            let ended = if never_left { Some(Disposition::NotSent) } else { course.ended };
            if let Some(disposition) = ended {
                *counts.dispositions.entry(disposition).or_default() += 1;
            }
        }
        Report { checkpoint, counts }
    }
}

impl Course {
    /// *Not sent* excludes everything else, in whichever order it is told.
    fn consistent(&self, placement: PlacementId) -> Result<(), StoryFault> {
        let never_left = self.not_sent || self.ended == Some(Disposition::NotSent);
        if never_left && self.sent {
            return Err(StoryFault::SentAndNotSent(placement));
        }
        match self.ended {
            Some(second) if self.not_sent && second != Disposition::NotSent => {
                Err(StoryFault::EndedTwice { placement, first: Disposition::NotSent, second })
            }
            _ => Ok(()),
        }
    }
}

/// Whether a record alone, with what it rests on, contradicts the promises.
pub(super) fn lone(record: &Record, grounds: Option<&Record>) -> Result<(), Fault> {
    match (&record.body, grounds) {
        (Body::Decision(decision), _) => consistent_decision(decision)?,
        (_, Some(grounds)) => {
            let (decision, intent) = fold::unfold(grounds, record)?;
            let mut alone = Story::default();
            alone.told(&decision.body)?;
            alone.told(&intent.body)?;
        }
        _ => {}
    }
    Ok(())
}

/// Whether the evidence of a decision fits its verdict.
fn consistent_decision(decision: &Decision) -> Result<(), StoryFault> {
    let permit = decision.verdict == Verdict::Permit;
    match (permit, decision.denied_by.first()) {
        (true, Some(denial)) => return Err(StoryFault::PermitDenied(denial.rule.clone())),
        (false, None) => return Err(StoryFault::DenialWithoutRule),
        _ => {}
    }
    if let Some(full) =
        decision.counters.iter().find(|counter| permit && counter.count >= counter.cap)
    {
        let (rule, count, cap) = (full.rule.clone(), full.count, full.cap);
        return Err(StoryFault::PermitOverCap { rule, count, cap });
    }
    rules_add_up(decision)
}

/// Whether every rule that was asked is named once, and those that an exception lifted passed. Records of earlier layouts name no passed ones.
fn rules_add_up(decision: &Decision) -> Result<(), StoryFault> {
    let Some(passed) = &decision.rules_passed else { return Ok(()) };
    let asked = decision.rules_asked;
    let (passed, denied) = (passed.len(), decision.denied_by.len());
    let said: BTreeSet<&RuleId> = decision
        .denied_by
        .iter()
        .map(|denial| &denial.rule)
        .chain(decision.rules_passed.iter().flatten())
        .collect();
    let known = |rule: &RuleId| decision.rules_passed.iter().flatten().any(|one| one == rule);
    let lifted = decision.exceptions.iter().flatten().all(|lifted| known(&lifted.rule));
    if lifted && said.len() == passed + denied && u32::try_from(said.len()) == Ok(asked) {
        Ok(())
    } else {
        Err(StoryFault::RulesDoNotAddUp { asked, passed, denied })
    }
}

fn sorted(subjects: impl Iterator<Item = SubjectId>) -> Vec<SubjectId> {
    let mut subjects: Vec<_> = subjects.collect();
    subjects.sort_unstable();
    subjects.dedup();
    subjects
}
