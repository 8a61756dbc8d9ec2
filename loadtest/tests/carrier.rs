//! The carrier as a process of its own, on real UDP.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use loadtest::{
    checker::calls,
    wirelog::{self, Direction},
};
use serde_json::Value;

struct Carrier {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
    log: PathBuf,
    phone: UdpSocket,
}

impl Carrier {
    fn start(name: &str, more: &[&str]) -> Self {
        let log = std::env::temp_dir().join(format!("wire-{name}-{}.jsonl", std::process::id()));
        let mut child = Command::new(env!("CARGO_BIN_EXE_loadtest"))
            .args(["carrier", "--listen", "127.0.0.1:0", "--clock-offset-ms", "-1000000"])
            .args(["--ring-ms", "20..40", "--log"])
            .arg(&log)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.next().unwrap().unwrap();
        let address = ready.strip_prefix("ready ").unwrap().parse().unwrap();
        let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
        phone.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Self { child, lines, address, log, phone }
    }

    fn send(&self, method: &str, branch: &str, cseq: &str, to_tag: &str) {
        let here = self.phone.local_addr().unwrap();
        let text = format!(
            "{method} sip:+13055550123@{} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {here};branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:a@h>;tag=f\r\nTo: <sip:+13055550123@h>{to_tag}\r\nCall-ID: c1\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:a@{here}>\r\nContent-Length: 0\r\n\r\n",
            self.address
        );
        self.phone.send_to(text.as_bytes(), self.address).unwrap();
    }

    /// Waits for a response with this status; what else comes is passed over.
    fn wait(&self, status: u16) -> String {
        let mut buffer = [0; 4096];
        loop {
            let (length, _) = self.phone.recv_from(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with(&format!("SIP/2.0 {status} ")) {
                return text;
            }
        }
    }

    /// Stops it with SIGTERM; its summary and its log.
    fn stop(mut self) -> (Value, Vec<wirelog::Datagram>) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let summary = self.lines.next().unwrap().unwrap();
        assert!(self.child.wait().unwrap().success());
        let log = wirelog::read(&self.log).unwrap();
        fs::remove_file(&self.log).unwrap();
        (serde_json::from_str(&summary).unwrap(), log)
    }
}

#[test]
fn an_answered_call_is_logged_raw_and_its_rtp_is_counted() {
    let carrier = Carrier::start("answer", &["--mix", "answer=1", "--talk-ms", "60000"]);
    carrier.phone.send_to(b"\xff\x00 rubbish", carrier.address).unwrap();
    carrier.send("INVITE", "a", "1", "");
    let answer = carrier.wait(200);
    let port: u16 =
        answer.split("m=audio ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    carrier.send("ACK", "b", "1", ";tag=carrier-1");
    let mut packet = [0; 172];
    packet[0] = 0x80;
    for _ in 0..5 {
        carrier.phone.send_to(&packet, ("127.0.0.1", port)).unwrap();
    }
    carrier.phone.send_to(b"not rtp at all", ("127.0.0.1", port)).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    carrier.send("BYE", "c", "2", ";tag=carrier-1");
    carrier.wait(200);
    let (summary, log) = carrier.stop();
    assert_eq!((&summary["invites"], &summary["answered"]), (&1.into(), &1.into()));
    assert_eq!((&summary["rtp_min"], &summary["rtp_median"]), (&5.into(), &5.into()));

    assert_eq!(log[0].raw, b"\xff\x00 rubbish", "logged although nothing can read it");
    assert!(log.iter().all(|datagram| datagram.t_us > 1_700_000_000_000_000));
    assert!(log.iter().any(|datagram| datagram.dir == Direction::Out));
    let placements = calls::placements(&log);
    assert_eq!(placements.len(), 1);
    assert_eq!(
        (placements[0].number.as_str(), placements[0].disposition()),
        ("+13055550123", "answered")
    );
    assert!(placements[0].bye_at.is_some());
}

#[test]
fn a_call_that_is_cancelled_and_a_carrier_that_fails_everything() {
    let carrier = Carrier::start("cancel", &["--never-answer"]);
    carrier.send("INVITE", "a", "1", "");
    carrier.wait(180);
    carrier.send("CANCEL", "a", "1", "");
    carrier.wait(487);
    carrier.send("ACK", "a", "1", ";tag=carrier-1");
    let (summary, log) = carrier.stop();
    assert_eq!(summary["cancelled"], 1);
    assert_eq!(calls::placements(&log)[0].disposition(), "no_answer");

    let carrier = Carrier::start("fail", &["--fail-all", "503"]);
    carrier.send("INVITE", "a", "1", "");
    carrier.wait(503);
    let (summary, _) = carrier.stop();
    assert_eq!((&summary["invites"], &summary["answered"]), (&1.into(), &0.into()));
}
