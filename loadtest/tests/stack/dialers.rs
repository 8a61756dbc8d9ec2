//! Several dialers on one stack: they share the work, and together they keep every rule. What they do
//! while everything around them fails is the drill's (`loadtest/tests/chaos.rs`).

use std::{net::SocketAddr, num::NonZeroUsize};

use clap::Parser;
use loadtest::{
    chaos::{self, Args},
    stack::{Stack, Stop},
    view::Teller,
};

use crate::common;

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    args: Args,
}

#[test]
fn three_dialers_share_the_campaigns_and_break_nothing_together() {
    let _turn = common::turn();
    let flags = ["chaos", "--minutes", "0.2", "--faults", "none", "--rate", "40"];
    let args = Flags::parse_from(flags).args;
    let outcome = chaos::run(&args, &Stop::default(), &mut Teller::silent()).unwrap();
    // The checker on the wire log, among others; and each of the three has placed.
    assert_eq!(outcome.faults(), Vec::<String>::new(), "{outcome:#?}");
    assert!(outcome.invites >= 150, "{} INVITEs", outcome.invites);
    assert_eq!((outcome.dialers_that_placed, outcome.faults_injected), (3, 0));
}

#[test]
fn a_dialer_is_paused_killed_and_drained_while_the_others_run() {
    let _turn = common::turn();
    let three = NonZeroUsize::new(3).unwrap();
    let mut stack = Stack::builder().starts_at(common::INSTANT_MS).dialers(three).start().unwrap();
    stack.start_dialers().unwrap();
    let names: Vec<String> = (0..3).map(|number| stack.dialer_name(number).unwrap()).collect();
    assert_eq!(names, ["dialer-1", "dialer-2", "dialer-3"]);
    let nodes = stack.sql("SELECT count(DISTINCT name) FROM node WHERE kind = 'dialer'").unwrap();
    assert_eq!(nodes, "3");

    let ready = |stack: &Stack| -> Vec<bool> {
        let ask = |admin: SocketAddr| {
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .timeout_global(Some(std::time::Duration::from_millis(500)))
                .build()
                .into();
            agent.get(format!("http://{admin}/readyz")).call().is_ok()
        };
        stack.dialer_admins().map(ask).collect()
    };
    assert_eq!(ready(&stack), [true, true, true]);
    stack.nth_dialer(1).unwrap().pause();
    assert_eq!(ready(&stack), [true, false, true]);
    stack.nth_dialer(1).unwrap().resume();
    stack.kill_nth_dialer(2).unwrap();
    assert_eq!(ready(&stack), [true, true, false]);
    stack.must_run().unwrap();
    stack.start_nth_dialer(2).unwrap();
    assert_eq!(ready(&stack), [true, true, true]);
    stack.drain_nth_dialer(0).unwrap();
    assert_eq!(ready(&stack), [false, true, true]);
    stack.drain_dialers().unwrap();
    assert!(stack.nth_dialer(3).is_none() && stack.launch_nth_dialer(3).is_err());
}
