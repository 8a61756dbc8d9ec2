//! What the shard lets out.

use std::sync::Arc;

use dialer_policy::{Options, Ruleset};
use dialer_types::{Mint, NodeId};

use super::*;
use crate::{gate::Gate, inbox::inbox, rtp};

fn engine(address: SocketAddr) -> Engine {
    let sip = dialer_engine::SipConfig {
        advertised: address,
        user_agent: "test".to_owned(),
        timers: dialer_engine::Timers::default(),
        max_calls: 1,
    };
    let second = Duration::from_secs(1);
    let config = dialer_engine::Config {
        node: NodeId(1),
        sip,
        rtp_address: address.ip(),
        rtp_ports: vec![10_000],
        permit_life: second,
        clock_bound: second,
        store_patience: second,
        spread: second,
        clock_offset_ms: 0,
        campaign_header: false,
    };
    let rules = Ruleset::shipped(Options { house: true }).unwrap();
    Engine::new(config, Arc::new(rules), [7; 32])
}

/// A shard whose wishes nobody hears.
fn shard(address: SocketAddr, metrics: &Metrics) -> Shard {
    let (sender, _) = inbox();
    let (media, _) = rtp::spawn(
        std::collections::BTreeMap::new(),
        std::path::Path::new("/nonexistent"),
        Clock::default(),
        sender,
        metrics.clone(),
        Mint::new([1; 32]),
    )
    .unwrap();
    let outbox = Outbox {
        heads: mpsc::channel(1).0,
        facts: mpsc::channel(1).0,
        reserve: mpsc::channel(1).0,
        commit: mpsc::channel(1).0,
        forget: mpsc::channel(1).0,
        ledger: mpsc::channel(1).0,
        shares: crate::trunks::Shares::default(),
        clock: Clock::default(),
        media,
        loads: crate::scheduler::Loads::default(),
        campaigns: Arc::default(),
        gate: Gate::new(metrics.clone()),
        metrics: metrics.clone(),
        backlog: VecDeque::new(),
    };
    Shard::new(engine(address), Clock::default(), outbox, metrics.clone(), Load::default())
}

#[tokio::test]
async fn an_invite_that_nobody_cleared_is_held_back_and_counted() {
    let metrics = Metrics::new().unwrap();
    let far_end = UdpSocket::bind("127.0.0.1:0").unwrap();
    far_end.set_nonblocking(true).unwrap();
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut shard = shard(socket.local_addr().unwrap(), &metrics);
    let mut transmit = Transmit {
        destination: far_end.local_addr().unwrap(),
        payload: b"INVITE sip:x SIP/2.0\r\nCall-ID: nobody@test\r\n\r\n".to_vec(),
        kind: TransmitKind::InviteFirst,
        call: None,
        send_before: None,
    };
    assert!(shard.send(&transmit, &socket).await.is_none());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(far_end.recv(&mut [0; 100]).is_err(), "it left");
    assert_eq!(metrics.violations.with_label_values(&["G1"]).get(), 1);
    assert_eq!(metrics.sent.get(), 0);

    // What is no INVITE leaves: the socket and the far end are there.
    transmit.kind = TransmitKind::Bye;
    shard.send(&transmit, &socket).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(far_end.recv(&mut [0; 100]).is_ok());
}
