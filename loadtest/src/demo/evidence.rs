//! After the run: the audit export and its verification by the dialer's own command, the citations
//! in it, and the independent checker over what the carrier saw.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::Path,
};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::{
    checker::{self, Timing, audit::Export, report::Report, world::World},
    report::Audit,
    stack::Stack,
    wirelog,
};

/// What a placement that was lawful and due may take before it counts as missed, ms.
const SLACK_MS: i64 = 15_000;

/// Exports the audit into `folder` and verifies it there.
///
/// # Errors
/// When the export fails. A failed verification is an answer, not an error.
pub(crate) fn export(stack: &Stack, folder: &Path) -> anyhow::Result<Audit> {
    let arguments: [OsString; 6] = [
        "audit".into(),
        "export".into(),
        "--config".into(),
        stack.config().into(),
        "--out".into(),
        folder.into(),
    ];
    let output = stack.run("dialer", &arguments)?;
    if !output.status.success() {
        bail!("the audit export failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let manifest: Value = super::told::read_json(&folder.join("manifest.json"))?;
    let verify: [OsString; 5] = [
        "audit".into(),
        "verify".into(),
        folder.into(),
        "--key".into(),
        folder.join("key.pub").into(),
    ];
    let output = stack.run("dialer", &verify)?;
    let mut said = output.stdout;
    said.extend_from_slice(&output.stderr);
    fs::write(folder.join("verification.txt"), said)?;
    Ok(Audit {
        records: manifest.get("size").and_then(Value::as_u64).context("manifest without size")?,
        root: super::told::text(&manifest, "root")?.to_owned(),
        verified: output.status.success(),
    })
}

/// The law behind every rule that denied, as the audit has it.
///
/// # Errors
/// When the export cannot be read.
pub(crate) fn citations(jsonl: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let file = File::open(jsonl).with_context(|| jsonl.display().to_string())?;
    let mut citations = BTreeMap::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let row: Value = serde_json::from_str(&line?)
            .with_context(|| format!("{} line {}", jsonl.display(), number + 1))?;
        let denials = row.get("denied_by").and_then(Value::as_array);
        for denial in denials.into_iter().flatten() {
            let field = |name: &str| denial.get(name).and_then(Value::as_str);
            if let (Some(rule), Some(citation)) = (field("rule"), field("citation")) {
                citations.entry(rule.to_owned()).or_insert_with(|| citation.to_owned());
            }
        }
    }
    Ok(citations)
}

/// What the independent checker says. `start` and `end` are moments of the demo clock, ms.
///
/// # Errors
/// When something cannot be read.
pub(crate) fn check(
    world: &Path,
    wire: &Path,
    audit: &Path,
    start: i64,
    end: i64,
) -> anyhow::Result<Report> {
    let world = World::load(world).context("the world folder")?;
    let log = wirelog::read(wire).with_context(|| wire.display().to_string())?;
    let export = Export::read(audit)?;
    let timing = |_, _| Timing { start, counts_from: start, end, slack: SLACK_MS };
    Ok(checker::check(&world, &log, Some(&export), timing))
}

/// What the checker found wrong, in sentences.
#[must_use]
pub(crate) fn findings(report: &Report) -> Vec<String> {
    let broken = report.violations.iter().map(|violation| {
        format!(
            "{} to {} at {} (Call-ID {})",
            violation.rule,
            violation.number,
            super::watch::clock_of(violation.at),
            violation.sip_call_id
        )
    });
    let missed = report.missed.iter().map(|missed| {
        format!(
            "not called though lawful: {} of {}, try {}, from {} to {}",
            missed.external_id,
            missed.campaign,
            missed.try_no,
            super::watch::clock_of(missed.from),
            super::watch::clock_of(missed.until)
        )
    });
    broken.chain(missed).collect()
}

/// What the checker found that the summary has no figure for.
#[must_use]
pub(crate) fn other_faults(report: &Report) -> Vec<String> {
    [
        (
            report.other_violations,
            "calls to a wrong party, to nobody on a list or beyond the tries",
        ),
        (report.repeated_invites, "calls were placed twice on one clearance"),
        (report.intents_unexplained, "calls are in the audit, not on the wire, and unexplained"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect()
}
