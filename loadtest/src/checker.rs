//! The independent checker: did any INVITE on the wire break a rule, and was every lawful one made?
//!
//! It shares nothing with the dialer but the words in `dialer-types`: own reading of SIP
//! ([`scan`]), own table of the rules ([`table`]), own brute force ([`judge`]).

pub mod audit;
pub mod calls;
pub mod history;
pub mod judge;
pub mod place;
pub mod replay;
pub mod report;
pub mod scan;
mod standing;
pub mod table;
pub mod world;

use std::{collections::HashSet, path::PathBuf};

use anyhow::{Context as _, Result};

use self::{
    audit::Export,
    calls::Placement,
    history::History,
    judge::{Denial, Directory, Judge, Kind, View},
    replay::Replay,
    report::{Report, Violation},
    world::World,
};
use crate::wirelog::{self, Datagram};

/// `loadtest check`
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// World folder: campaigns.json, the lists it names, earlier.json, suppressions.json, lists/
    #[arg(long)]
    pub world: PathBuf,
    /// The carrier's wire log
    #[arg(long)]
    pub wire: PathBuf,
    /// The exported audit, JSON Lines
    #[arg(long)]
    pub audit: Option<PathBuf>,
    /// Write the report here as JSON
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// When the campaigns were started, unix ms of the demo clock (default: the first datagram)
    #[arg(long)]
    pub start: Option<i64>,
    /// When the run was over, unix ms of the demo clock (default: the last datagram)
    #[arg(long)]
    pub end: Option<i64>,
    /// How long a lawful placement may take before it counts as missed, ms
    #[arg(long, default_value_t = 15_000)]
    pub slack_ms: i64,
}

/// When the run began and ended, and what a dialer may take its time for. Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Campaigns started.
    pub start: i64,
    /// A chance counts from here on: after a storm what could not be made in it can be made up.
    pub counts_from: i64,
    /// Nothing was due any more.
    pub end: i64,
    /// Guards, permit life and jitter.
    pub slack: i64,
}

/// Runs the check, prints the outcome and writes it where asked. The report says whether it holds.
///
/// # Errors
/// When something cannot be read or written.
pub fn run(args: &Args) -> Result<Report> {
    let world = World::load(&args.world).context("the world folder")?;
    let log = wirelog::read(&args.wire).with_context(|| args.wire.display().to_string())?;
    let export = args.audit.as_deref().map(Export::read).transpose()?;
    let report = check(&world, &log, export.as_ref(), |first, last| Timing {
        start: args.start.unwrap_or(first),
        counts_from: args.start.unwrap_or(first),
        end: args.end.unwrap_or(last),
        slack: args.slack_ms,
    });
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(report)
}

/// Checks a log against a world. `timing` gets the first and last moment of the log.
#[must_use]
pub fn check(
    world: &World,
    log: &[Datagram],
    export: Option<&Export>,
    timing: impl FnOnce(i64, i64) -> Timing,
) -> Report {
    let placements = calls::placements(log);
    let directory = Directory::of(world);
    let candidates: Vec<_> = placements
        .iter()
        .map(|placement| {
            directory.candidates(world, &placement.number, placement.campaign.as_deref())
        })
        .collect();
    let mut history = History::of(world);
    let own: Vec<usize> = placements
        .iter()
        .zip(&candidates)
        .map(|(placement, candidates)| history.place(world, placement, candidates))
        .collect();
    for (placement, index) in placements.iter().zip(&own) {
        let told = export.and_then(|export| export.disposition(&placement.call_id));
        if told == Some("outcome_unknown") {
            history.untold(*index);
        }
    }
    let judge = Judge { world, history: &history };

    let mut report = Report::new(&placements, world);
    let mut lawful = Vec::new();
    for ((placement, candidates), own) in placements.iter().zip(&candidates).zip(own) {
        let denials = denials(&judge, placement, candidates, own);
        lawful.push(denials.is_empty());
        for denial in denials {
            report.add(Violation::of(placement, &denial));
        }
        if placement.repeated {
            report.repeated(placement);
        }
        if export.is_some_and(|export| !export.covers(&placement.call_id, placement.at, 50)) {
            report.unaudited(placement);
        }
    }
    if let Some(export) = export {
        let on_wire: HashSet<&str> = placements.iter().map(|p| p.call_id.as_str()).collect();
        report.join(export, &on_wire);
    }

    let first = log.first().map_or(0, |datagram| datagram.t_us.div_euclid(1000));
    let last = log.last().map_or(0, |datagram| datagram.t_us.div_euclid(1000));
    let of_contact = replay::assign(world, &placements, &candidates, export);
    let replay = Replay {
        judge: &judge,
        placements: &placements,
        lawful: &lawful,
        of_contact: &of_contact,
        export,
        timing: timing(first, last),
    };
    report.tries(world, &of_contact);
    report.yields(replay.run());
    report
}

/// What denies a placement whoever of the candidates it was for: only denials that no assignment
/// explains away.
fn denials(
    judge: &Judge<'_>,
    placement: &Placement,
    candidates: &[usize],
    own: usize,
) -> Vec<Denial> {
    let mut least: Option<Vec<Denial>> = None;
    for contact in candidates.iter().filter_map(|&index| judge.world.contacts.get(index)) {
        let position = contact.numbers.iter().position(|(n, _)| *n == placement.number);
        let subject = position.and_then(|position| judge.subject(contact, position));
        let Some(subject) = subject else { continue };
        let found = judge.denials(&subject, placement.at, own, View::Eventual);
        if least.as_ref().is_none_or(|least| found.len() < least.len()) {
            least = Some(found);
        }
    }
    least.unwrap_or_else(|| {
        vec![Denial { rule: "nobody's number", kind: Kind::Other, passes_with_time: false }]
    })
}
