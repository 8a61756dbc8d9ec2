//! The whole story of one attempt as one page of plain text.
//!
//! Pure: whoever reads the rows (`schema::story`) hands them over, this writes them down, so that
//! the command and the API tell the same story word for word.

use std::collections::{BTreeMap, BTreeSet};

use dialer_types::{AttemptId, SubjectId, TrunkId, UnixMillis};

use crate::{
    field::rfc3339,
    record::{Body, Corrected, Decision, Ended, Intent, Record, Verdict},
    tree::Hash,
};

/// The widest line, in characters.
pub const WIDTH: usize = 100;
/// Where the second column begins.
const COLUMN: usize = 18;

/// What a page is written from. Nothing here is a telephone number in clear.
#[derive(Debug, Clone)]
pub struct Story {
    /// Which attempt.
    pub attempt: AttemptId,
    /// The campaign, name and id.
    pub campaign: String,
    /// On whose behalf.
    pub seller: String,
    /// The seller's own id of the person.
    pub person: String,
    /// What the list said of the person, by name: address, zone, party, relationship.
    pub contact: Vec<(String, String)>,
    /// What each subject is: a masked number, the person, an account.
    pub subjects: BTreeMap<SubjectId, String>,
    /// Names of trunks.
    pub trunks: BTreeMap<TrunkId, String>,
    /// Names of users, by id.
    pub users: BTreeMap<String, String>,
    /// What was on file, oldest first.
    pub on_file: Vec<OnFile>,
    /// The records of this attempt, in the order they were made.
    pub records: Vec<Told>,
    /// The first checkpoint that covers them all.
    pub covered: Option<Covered>,
}

/// Something that was on file: a consent, a suppression, an earlier contact.
#[derive(Debug, Clone)]
pub struct OnFile {
    /// When it was recorded.
    pub recorded_at: UnixMillis,
    /// What, in words.
    pub what: String,
}

/// A record and its place in the log, once the tree has it. A permit is told as its decision and its
/// intent, both with its place.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its index.
    pub index: Option<u64>,
    /// The index of what it rests on besides: of a permit, its grounds.
    pub grounds: Option<u64>,
    /// What it says.
    pub record: Record,
}

/// A signed checkpoint.
#[derive(Debug, Clone, Copy)]
pub struct Covered {
    /// How many records it is over.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// When it was signed.
    pub at: UnixMillis,
}

/// A moment as exports and pages write it: RFC 3339, UTC, to the millisecond.
#[must_use]
pub fn time(moment: UnixMillis) -> String {
    rfc3339(moment)
}

/// The page.
#[must_use]
pub fn write(story: &Story) -> String {
    let mut page = Page::default();
    page.line(0, "", &format!("Attempt {}", story.attempt));
    page.line(2, "campaign", &story.campaign);
    page.line(2, "on behalf of", &story.seller);
    page.line(2, "person", &story.person);
    page.line(2, "times", "UTC unless a zone is named");
    known(&mut page, story);
    for told in &story.records {
        record(&mut page, story, told);
    }
    end(&mut page, story);
    page.0
}

/// What was known when it was judged first.
fn known(page: &mut Page, story: &Story) {
    page.title("What was known");
    for (name, value) in &story.contact {
        page.line(2, name, value);
    }
    for (subject, what) in &story.subjects {
        page.line(2, &format!("subject {}", subject.0), what);
    }
    let first = story.records.first().map(|told| told.record.at);
    let (before, after): (Vec<_>, Vec<_>) =
        story.on_file.iter().partition(|file| first.is_none_or(|first| file.recorded_at <= first));
    page.line(2, "on file", if before.is_empty() { "nothing" } else { "" });
    for file in before {
        page.line(4, "", &format!("{}  {}", time(file.recorded_at), file.what));
    }
    if !after.is_empty() {
        page.line(2, "recorded later", "");
    }
    for file in after {
        page.line(4, "", &format!("{}  {}", time(file.recorded_at), file.what));
    }
}

fn record(page: &mut Page, story: &Story, told: &Told) {
    let title = match &told.record.body {
        Body::Decision(decision) => match decision.verdict {
            Verdict::Permit => "Judged: may be called",
            Verdict::Defer => "Judged: not now",
            Verdict::Refuse => "Judged: may not be called",
        },
        Body::Intent(_) => "Reserved and committed",
        Body::Sent(_) => "INVITE sent",
        Body::NotSent(_) => "INVITE not sent",
        Body::Outcome(ended) if ended.correction => "Outcome, known later",
        Body::Outcome(_) => "Outcome",
        Body::Correction(_) => "Outcome corrected by a person",
        Body::Rules(_) => "Rule packs changed",
        // Not of an attempt.
        Body::Suppression(_)
        | Body::Consent(_)
        | Body::Revocation(_)
        | Body::Imported(_)
        | Body::Fact(_)
        | Body::Campaign(_)
        // Told as what they stand for.
        | Body::Grounds(_)
        | Body::Permit(_) => return,
    };
    let index = match (told.index, told.grounds) {
        (Some(index), Some(grounds)) => format!("audit records {grounds} and {index}"),
        (Some(index), None) => format!("audit record {index}"),
        (None, _) => "not in the tree yet".to_owned(),
    };
    page.title(&format!("{}  {title}  ({index})", time(told.record.at)));
    match &told.record.body {
        Body::Decision(body) => decision(page, body),
        Body::Intent(body) => intent(page, story, body),
        Body::Sent(body) => {
            page.line(2, "left at", &time(body.sent_at));
            page.line(2, "Call-ID", &body.sip_call_id);
        }
        Body::NotSent(body) => page.line(2, "because", &body.reason),
        Body::Outcome(body) => outcome(page, body),
        Body::Correction(body) => correction(page, story, body),
        Body::Rules(body) => {
            page.line(2, "until then", &format!("ruleset {}", body.ruleset_before));
            page.line(2, "from then on", &format!("ruleset {}", body.ruleset));
        }
        Body::Suppression(_)
        | Body::Consent(_)
        | Body::Revocation(_)
        | Body::Imported(_)
        | Body::Fact(_)
        | Body::Campaign(_)
        | Body::Grounds(_)
        | Body::Permit(_) => {}
    }
}

fn decision(page: &mut Page, decision: &Decision) {
    let Decision { purpose, technology, line_type, .. } = decision;
    page.line(2, "call", &format!("{purpose}, {technology}, line {line_type}"));
    let subjects: Vec<_> = decision.subjects.iter().map(|subject| subject.0.to_string()).collect();
    page.line(2, "counted for", &format!("subjects {}", subjects.join(", ")));
    page.line(2, "judged by", &format!("ruleset {}", decision.ruleset));
    for place in &decision.places {
        let text = format!("{} in {} ({})", place.local_time, place.zone, place.jurisdiction);
        page.line(2, "may be in", &text);
    }
    if decision.places.is_empty() {
        page.line(2, "may be in", "no known place");
    }
    for input in &decision.inputs {
        page.line(2, &input.name.replace('_', " "), &input.value);
    }
    for list in &decision.lists {
        let age = if list.as_of.is_empty() { "there was none" } else { &list.as_of };
        let on = if list.contains { "the number is on it" } else { "the number is not on it" };
        let text = match (list.as_of.is_empty(), list.version.is_empty()) {
            (true, _) => format!("{}: {age}", list.list),
            (false, true) => format!("{} as of {age}: {on}", list.list),
            (false, false) => format!("{} as of {age}, version {}: {on}", list.list, list.version),
        };
        page.line(2, "list", &text);
    }
    rules(page, decision);
    for counter in &decision.counters {
        let text = format!("{}: {} of {}", counter.rule.as_str(), counter.count, counter.cap);
        page.line(2, "counted", &text);
    }
    if let Some(until) = decision.until {
        page.line(2, "first lawful", &time(until));
    }
    for duty in &decision.obligations {
        page.line(2, "with the duty", duty);
    }
    if let Some(placement) = decision.placement {
        page.line(2, "permit", &format!("placement {placement}"));
    }
}

/// A line for each rule that was asked: those that denied first, with reason and law.
fn rules(page: &mut Page, decision: &Decision) {
    page.line(2, "rules asked", &decision.rules_asked.to_string());
    let passed = decision.rules_passed.as_deref();
    let denied = decision.denied_by.iter().map(|denial| &denial.rule);
    let longest = denied.chain(passed.into_iter().flatten()).map(|rule| rule.as_str().len()).max();
    // Answers stand below one another, and half of the line at least is left for them.
    let start = COLUMN.max("  rule ".len() + longest.unwrap_or(0) + 3).min(WIDTH / 2);
    for denial in &decision.denied_by {
        page.row(2, start, &format!("rule {}", denial.rule), &format!("denied: {}", denial.why));
        page.line(4, "by the law", &denial.citation);
        if let Some(until) = denial.until {
            page.line(4, "until", &time(until));
        }
    }
    match passed {
        Some(passed) => {
            for rule in passed {
                page.row(2, start, &format!("rule {rule}"), "passed");
                let lifted = decision.exceptions.iter().flatten();
                for lifted in lifted.filter(|lifted| lifted.rule == *rule) {
                    page.line(4, "exception", &lifted.relies_on);
                }
            }
        }
        None => page.line(2, "rules passed", "not named: an earlier version recorded this"),
    }
}

fn intent(page: &mut Page, story: &Story, intent: &Intent) {
    page.line(2, "placement", &intent.placement.to_string());
    let name = story.trunks.get(&intent.trunk).map_or("unknown", String::as_str);
    page.line(2, "trunk", &format!("{name} ({})", intent.trunk));
    page.line(2, "not after", &time(intent.not_after));
    page.line(2, "clock bound", &format!("{} ms", intent.clock_bound_ms));
    if intent.clock_offset_ms != 0 {
        let text = format!("{} ms: this is a demo", intent.clock_offset_ms);
        page.line(2, "clock offset", &text);
    }
    for head in &intent.heads {
        let told = |token: u128| dialer_types::PlacementId(token).to_string();
        let text = format!("judged on {}, now {}", told(head.judged.0), told(head.token.0));
        page.line(2, &format!("subject {}", head.subject.0), &text);
    }
    page.line(2, "Call-ID", &intent.sip_call_id);
}

fn outcome(page: &mut Page, ended: &Ended) {
    page.line(2, "outcome", ended.disposition.as_str());
    let mut wire = Vec::new();
    wire.extend(ended.sip_code.map(|code| format!("SIP {code}")));
    wire.extend(ended.q850.map(|cause| format!("Q.850 cause {cause}")));
    if !wire.is_empty() {
        page.line(2, "on the wire", &wire.join(", "));
    }
    if let Some(ring) = ended.ring_ms {
        page.line(2, "rang for", &format!("{ring} ms"));
    }
    if let Some(at) = ended.answered_at {
        page.line(2, "answered at", &time(at));
    }
    if let Some(at) = ended.ended_at {
        page.line(2, "ended at", &time(at));
    }
}

fn correction(page: &mut Page, story: &Story, corrected: &Corrected) {
    page.line(2, "outcome", &format!("{}, was {}", corrected.disposition, corrected.was));
    let actor = story.users.get(&corrected.actor).unwrap_or(&corrected.actor);
    page.line(2, "corrected by", actor);
    page.line(2, "because", corrected.reason.as_deref().unwrap_or("no reason was given"));
}

/// How it stands, and what proves it.
fn end(page: &mut Page, story: &Story) {
    page.title("How it stands");
    let stands = story.records.iter().rev().find_map(|told| match &told.record.body {
        Body::Outcome(ended) => Some(ended.disposition.as_str()),
        Body::Correction(corrected) => Some(corrected.disposition.as_str()),
        Body::NotSent(_) => Some("not_sent: nothing left, and nothing counts"),
        _ => None,
    });
    let placed = story.records.iter().any(|told| matches!(told.record.body, Body::Intent(_)));
    let open = if placed { "under way" } else { "no call was placed" };
    page.line(2, "outcome", stands.unwrap_or(open));
    let indexes: BTreeSet<u64> =
        story.records.iter().flat_map(|told| [told.index, told.grounds]).flatten().collect();
    let indexes: Vec<String> = indexes.iter().map(u64::to_string).collect();
    page.line(2, "audit records", if indexes.is_empty() { "none yet" } else { "" });
    if !indexes.is_empty() {
        page.line(4, "", &indexes.join(", "));
    }
    match &story.covered {
        Some(covered) => {
            let Covered { size, root, at } = covered;
            page.line(2, "checkpoint", &format!("of {size} records, signed at {}", time(*at)));
            page.line(4, "root", &root.to_string());
        }
        None => page.line(2, "checkpoint", "none covers all of them yet: look again in a second"),
    }
}

/// Lines of at most [`WIDTH`] characters; what does not fit goes on under its own column.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn title(&mut self, text: &str) {
        self.0.push('\n');
        self.line(0, "", text);
    }

    fn line(&mut self, indent: usize, label: &str, text: &str) {
        let start = if label.is_empty() { indent } else { COLUMN.max(indent + 14) };
        self.row(indent, start, label, text);
    }

    /// A line whose text begins at `start`; below its label where that is longer.
    fn row(&mut self, indent: usize, start: usize, label: &str, text: &str) {
        let mut line = " ".repeat(indent) + label;
        let mut used = line.chars().count();
        if used > start || (used == start && !label.is_empty()) {
            self.0.push_str(&line);
            self.0.push('\n');
            (line, used) = (String::new(), 0);
        }
        for _ in used..start {
            line.push(' ');
        }
        used = used.max(start);
        let mut fresh = true;
        for word in text.split_whitespace() {
            // A word longer than a line is cut: nothing is left out.
            for piece in pieces(word, WIDTH - start) {
                let length = piece.chars().count();
                if !fresh && used + 1 + length > WIDTH {
                    self.0.push_str(line.trim_end());
                    self.0.push('\n');
                    line = " ".repeat(start);
                    (used, fresh) = (start, true);
                }
                if !fresh {
                    line.push(' ');
                    used += 1;
                }
                line.push_str(&piece);
                used += length;
                fresh = false;
            }
        }
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }
}

fn pieces(word: &str, width: usize) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    letters.chunks(width.max(1)).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod tests;
