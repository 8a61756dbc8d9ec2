//! How fast judgements are: `cargo bench -p dialer-policy`.
//!
//! Over the 79 public cases, facts and history given, one core. First a table with what criterion
//! does not say (tails, allocations, ratios to the slowest road in the same run), then criterion.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench reads the clock, prints, and may fail by panicking"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use allocation_counter::measure;
use criterion::{Criterion, Throughput};
use dialer_policy::{
    Address, Evaluation, Judgement, Options, Ruleset, Verdict,
    check::{Asked, read_case},
    explain,
};
use dialer_types::{Language, UnixMillis};
use nix::time::{ClockId, clock_gettime};

const HOUR: i64 = 3_600_000;
/// Each case is timed so often; the fastest counts as the case's time where a worst case is named,
/// because the machine's pauses are not ours.
const ROUNDS: usize = 400;

fn cases() -> Vec<Asked> {
    let lines = include_str!("../tests/vectors.jsonl").lines();
    lines.map(|line| read_case(line).unwrap()).collect()
}

fn judge<'a>(rules: &'a Ruleset, case: &'a Asked) -> Judgement<'a> {
    rules.judge(&case.facts, &Evaluation::LAW, case.now)
}

/// A permit with its evidence and duties, or the judgement, which names the rules that deny.
fn permit_or_deny<'a>(
    rules: &'a Ruleset,
    case: &'a Asked,
) -> (Option<Verdict>, Option<Judgement<'a>>) {
    let judgement = judge(rules, case);
    if judgement.is_permitted() {
        (Some(judgement.into_verdict()), None)
    } else {
        (None, Some(judgement))
    }
}

/// The whole verdict, with a sentence for every denial: as `policy check` and the API tell it.
fn told(rules: &Ruleset, case: &Asked) -> (Verdict, Vec<String>) {
    let verdict = rules.evaluate(&case.facts, &Evaluation::LAW, case.now);
    let told = verdict.denials().iter().map(|no| explain(no, Language::English)).collect();
    (verdict, told)
}

/// What this thread has had of a processor: what others take of it meanwhile does not count.
fn worked() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

/// Times and allocations of one way to judge.
struct Row {
    per_second: f64,
    /// Sorted.
    nanos: Vec<u64>,
    /// Of the slowest case at its fastest.
    slowest: u64,
    /// Made for one judgement, on average, and those of them that were gone when it was done.
    made: f64,
    passing: f64,
}

impl Row {
    fn of<'a, T>(cases: &'a [Asked], run: impl Fn(&'a Asked) -> T) -> Self {
        let started = worked();
        for case in cases.iter().cycle().take(ROUNDS * cases.len()) {
            black_box(run(case));
        }
        let per_second = (ROUNDS * cases.len()) as f64 / (worked() - started).as_secs_f64();
        let (mut nanos, mut fastest) = (Vec::new(), vec![u64::MAX; cases.len()]);
        for _ in 0..ROUNDS {
            for (case, fastest) in cases.iter().zip(&mut fastest) {
                let start = Instant::now();
                let answer = black_box(run(case));
                let took = u64::try_from(start.elapsed().as_nanos()).unwrap();
                drop(answer);
                *fastest = took.min(*fastest);
                nanos.push(took);
            }
        }
        nanos.sort_unstable();
        let (mut made, mut passing) = (0, 0);
        for case in cases {
            let mut answer = None;
            let info = measure(|| answer = Some(run(case)));
            made += info.count_total;
            passing += info.count_total - u64::try_from(info.count_current).unwrap();
        }
        let each = |count: u64| count as f64 / cases.len() as f64;
        let slowest = fastest.into_iter().max().unwrap();
        Self { per_second, nanos, slowest, made: each(made), passing: each(passing) }
    }

    fn share(&self, thousandths: usize) -> f64 {
        self.nanos.get(self.nanos.len() * thousandths / 1000).copied().unwrap() as f64 / 1000.0
    }

    fn print(&self, name: &str, base: &Self) {
        println!(
            "{name:<34}{:>11.0}{:>8.1}x{:>9.2}{:>9.2}{:>10.2}{:>9.1}{:>9.1}",
            self.per_second,
            self.per_second / base.per_second,
            self.share(500),
            self.share(990),
            self.slowest as f64 / 1000.0,
            self.made,
            self.passing,
        );
    }
}

fn table(rules: &Ruleset, cases: &[Asked]) {
    let denied: Vec<Judgement<'_>> = cases.iter().map(|case| judge(rules, case)).collect();
    let deferred = cases.iter().zip(&denied).filter(|(_, no)| no.first_lawful().is_some());
    let deferred: Vec<Asked> = deferred.map(|(case, _)| case.clone()).collect();
    let base = Row::of(cases, |case| told(rules, case));
    let (head, units) = (["a second", "ratio", "p50", "p99", "slowest", "allocs", "passing"], "µs");
    println!("\n{} cases, {ROUNDS} times; a second of one core; times in {units}", cases.len());
    println!(
        "{:<34}{:>11}{:>9}{:>9}{:>9}{:>10}{:>9}{:>9}",
        "", head[0], head[1], head[2], head[3], head[4], head[5], head[6]
    );
    base.print("verdict with sentences (baseline)", &base);
    Row::of(cases, |case| rules.evaluate(&case.facts, &Evaluation::LAW, case.now))
        .print("verdict", &base);
    Row::of(cases, |case| permit_or_deny(rules, case)).print("permit or deny", &base);
    let until = Row::of(&deferred, |case| judge(rules, case).first_lawful());
    until.print(&format!("judged, and until ({} deferred)", deferred.len()), &base);
    println!("passing: allocations that are gone when the verdict is there");
}

/// The worst search for the first lawful moment, over every hour of two weeks with a weekend and
/// holidays, of the public cases and of two parties with many zones.
fn worst_until(rules: &Ruleset, cases: &[Asked]) {
    let mut all: Vec<Asked> = cases.to_vec();
    for (id, number, country) in
        [("us-anywhere", "+18005550123", "US"), ("au-mobile", "+61491570156", "AU")]
    {
        let mut case = cases.first().unwrap().clone();
        id.clone_into(&mut case.id);
        case.facts.call.number = number.parse().unwrap();
        case.facts.call.address = Some(Address {
            country: country.to_owned(),
            region: None,
            postal_code: None,
            time_zone: None,
        });
        all.push(case);
    }
    // 2026-12-21T00:00:00Z.
    let (start, mut worst) = (1_797_811_200_000, (Duration::ZERO, String::new()));
    for case in &mut all {
        for hour in 0..14 * 24 {
            case.now = UnixMillis(start + hour * HOUR);
            let case = &*case;
            let time = || {
                let judgement = judge(rules, case);
                let start = Instant::now();
                black_box(judgement.first_lawful());
                start.elapsed()
            };
            let took = (0..5).map(|_| time()).min().unwrap();
            if took > worst.0 {
                let zones = judge(rules, case).zones().len();
                worst = (took, format!("{}, hour {hour}, {zones} zones", case.id));
            }
        }
    }
    println!(
        "until, worst of {} at every hour of two weeks: {:?} ({})",
        all.len(),
        worst.0,
        worst.1
    );
}

fn load() -> Ruleset {
    Ruleset::shipped(Options { house: true }).unwrap()
}

fn measured(criterion: &mut Criterion, rules: &Ruleset, cases: &[Asked]) {
    let mut group = criterion.benchmark_group("vectors");
    group.throughput(Throughput::Elements(u64::try_from(cases.len()).unwrap()));
    group.bench_function("permit_or_deny", |bencher| {
        bencher
            .iter(|| cases.iter().filter(|case| permit_or_deny(rules, case).0.is_some()).count());
    });
    group.bench_function("verdict", |bencher| {
        bencher.iter(|| {
            let verdict = |case: &Asked| rules.evaluate(&case.facts, &Evaluation::LAW, case.now);
            cases.iter().map(verdict).filter(|verdict| verdict.denials().is_empty()).count()
        });
    });
    let judged: Vec<Judgement<'_>> = cases.iter().map(|case| judge(rules, case)).collect();
    let deferred: Vec<_> = judged.iter().filter(|one| one.first_lawful().is_some()).collect();
    group.throughput(Throughput::Elements(u64::try_from(deferred.len()).unwrap()));
    group.bench_function("until", |bencher| {
        bencher.iter(|| deferred.iter().filter_map(|one| one.first_lawful()).max());
    });
    group.finish();
    criterion.bench_function("load_all_packs", |bencher| bencher.iter(load));
}

fn main() {
    let (rules, cases) = (Ruleset::shipped(Options::default()).unwrap(), cases());
    // `cargo test --benches` only looks whether it runs.
    if !std::env::args().any(|argument| argument == "--test") {
        table(&rules, &cases);
        worst_until(&rules, &cases);
    }
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    measured(&mut criterion, &rules, &cases);
    criterion.final_summary();
}
