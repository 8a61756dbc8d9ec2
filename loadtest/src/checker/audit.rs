//! Joins INVITEs with the exported audit: JSON Lines whose rows carry `kind` and `sip_call_id`.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// What the checker takes from an export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Export {
    /// Rows read.
    pub rows: usize,
    /// Times of the intent rows by SIP Call-ID, ms (`i64::MIN` where a row has none).
    intents: HashMap<String, Vec<i64>>,
    /// Attempts (contact and try) that have more than one intent which was not taken back.
    pub attempts_placed_twice: Vec<String>,
    /// Dispositions of outcome rows by Call-ID.
    dispositions: HashMap<String, String>,
    /// The contact's id in the audit by Call-ID.
    contacts: HashMap<String, String>,
}

impl Export {
    /// Reads an export.
    ///
    /// # Errors
    /// When the file cannot be read or a line is not JSON, with its number.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        Self::parse(BufReader::new(file)).with_context(|| path.display().to_string())
    }

    /// Reads an export from anything.
    ///
    /// # Errors
    /// When a line is not JSON, with its number.
    pub fn parse(from: impl BufRead) -> Result<Self> {
        let mut export = Self::default();
        let mut placements: HashMap<String, String> = HashMap::new();
        let mut attempts: HashMap<String, HashSet<String>> = HashMap::new();
        let mut outcomes: Vec<(Option<String>, Option<String>, String)> = Vec::new();
        for (number, line) in from.lines().enumerate() {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let row: Value =
                serde_json::from_str(&line).with_context(|| format!("line {}", number + 1))?;
            export.rows += 1;
            let call_id = text(&row, "sip_call_id");
            let placement = text(&row, "placement");
            match text(&row, "kind").as_deref() {
                // A permit's row tells the intent that it stands for.
                Some("intent" | "permit") => {
                    let Some(call_id) = call_id else { continue };
                    let at = find(&row, "at").and_then(moment).unwrap_or(i64::MIN);
                    export.intents.entry(call_id.clone()).or_default().push(at);
                    if let Some(attempt) = attempt(&row) {
                        let contact = attempt.rsplit_once('-').map_or("", |(contact, _)| contact);
                        export.contacts.insert(call_id.clone(), contact.to_owned());
                        attempts.entry(attempt).or_default().insert(call_id.clone());
                    }
                    if let Some(placement) = placement {
                        placements.insert(placement, call_id);
                    }
                }
                Some("outcome") => {
                    if let Some(disposition) = text(&row, "disposition") {
                        outcomes.push((call_id, placement, disposition));
                    }
                }
                Some("not_sent") => outcomes.push((call_id, placement, "not_sent".to_owned())),
                _ => {}
            }
        }
        for (call_id, placement, disposition) in outcomes {
            let call_id = call_id.or_else(|| placements.get(&placement?).cloned());
            if let Some(call_id) = call_id {
                export.dispositions.insert(call_id, disposition);
            }
        }
        let sent = |call_id: &&String| {
            export.dispositions.get(*call_id).map(String::as_str) != Some("not_sent")
        };
        export.attempts_placed_twice = attempts
            .iter()
            .filter(|(_, calls)| calls.iter().filter(sent).count() > 1)
            .map(|(attempt, _)| attempt.clone())
            .collect();
        export.attempts_placed_twice.sort_unstable();
        Ok(export)
    }

    /// Whether an INVITE seen at `at` was on record before it (clocks may differ by `slack` ms).
    #[must_use]
    pub fn covers(&self, call_id: &str, at: i64, slack: i64) -> bool {
        self.intents
            .get(call_id)
            .is_some_and(|times| times.iter().any(|time| *time <= at.saturating_add(slack)))
    }

    /// The contact a call was for, by its id in the audit.
    #[must_use]
    pub fn contact(&self, call_id: &str) -> Option<&str> {
        self.contacts.get(call_id).map(String::as_str)
    }

    /// What the dialer says became of a call.
    #[must_use]
    pub fn disposition(&self, call_id: &str) -> Option<&str> {
        self.dispositions.get(call_id).map(String::as_str)
    }

    /// Intents without an INVITE among `on_wire`: how many, and how many of them are explained as
    /// not sent or unknown.
    #[must_use]
    pub fn without_invite(&self, on_wire: &HashSet<&str>) -> (usize, usize) {
        let missing = || self.intents.keys().filter(|call_id| !on_wire.contains(call_id.as_str()));
        let explained = missing()
            .filter(|call_id| {
                matches!(
                    self.disposition(call_id),
                    Some("not_sent" | "outcome_unknown" | "transport_error" | "cancelled")
                )
            })
            .count();
        (missing().count(), explained)
    }
}

/// `CONTACT-TRY`.
fn attempt(row: &Value) -> Option<String> {
    text(row, "attempt").filter(|attempt| attempt.contains('-'))
}

/// The member called `name`, wherever in the row it is; outer ones first.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object
        .get(name)
        .filter(|found| !found.is_null())
        .or_else(|| object.values().find_map(|inner| find(inner, name)))
}

fn text(row: &Value, name: &str) -> Option<String> {
    find(row, name)?.as_str().map(str::to_owned)
}

fn moment(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let at = chrono::DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
        Some(at.timestamp_millis())
    })
}
