//! Every state within the bounds is visited: no promise is broken; and with a fence out, one is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Instant;

use dialer_model::{Action, Broken, Gate, Setup};
use stateright::{Checker, HasDiscoveries, Model};

mod fences;
mod whole;

/// Threads of an exploration. Tests run beside each other on two cores anyway.
const THREADS: usize = 1;

/// Visits every state: nothing is broken, and calls are made.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "how many and how long, for whoever reads the output"
)]
fn holds(name: &str, setup: Setup) {
    let begun = Instant::now();
    let checker = Gate::new(setup).checker().threads(THREADS).spawn_bfs().join();
    println!(
        "{name}: {} states, {} transitions, depth {}, {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs_f64()
    );
    assert!(checker.is_done(), "{name}: not every state was visited");
    if let Some(path) = checker.discovery("no promise is broken") {
        let broken = path.last_state().broken;
        panic!("{name}: {broken:?}\n{}", steps(&path.into_actions()));
    }
    for shown in ["an INVITE leaves", "as many leave as the cap allows"] {
        assert!(checker.discovery(shown).is_some(), "{name}: never seen: {shown}");
    }
}

/// Looks for a broken promise and prints the way there.
#[expect(clippy::print_stdout, reason = "the way there, for whoever reads the output")]
fn breaks(name: &str, setup: Setup, expected: &[Broken]) {
    let checker = Gate::new(setup)
        .checker()
        .threads(THREADS)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let Some(path) = checker.discovery("no promise is broken") else {
        panic!("{name}: {} states and nothing is broken", checker.unique_state_count());
    };
    let broken = path.last_state().broken;
    println!(
        "{name}: {broken:?} after {} states\n{}",
        checker.unique_state_count(),
        steps(&path.into_actions())
    );
    assert!(expected.contains(&broken.unwrap()), "{name}: {broken:?}, not {expected:?}");
}

fn steps(actions: &[Action]) -> String {
    let lines = actions.iter().zip(1..).map(|(action, at)| format!("{at:>4}  {action:?}"));
    lines.collect::<Vec<_>>().join("\n")
}
