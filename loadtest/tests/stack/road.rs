//! The lawful road back, through the gate of a running dialer: an opt-out of another purpose does not
//! stop calls, a consent that lifts an entry brings the person back, and what it lifted does not end
//! their call when the subscription to opt-outs was away.

use std::{collections::BTreeSet, net::UdpSocket, thread, time::Duration};

use loadtest::{
    stack::{Api, Stack},
    wirelog,
};
use serde_json::{Value, json};

use crate::common;

/// People called: the first opted out of marketing only, the second of every call.
const PEOPLE: u32 = 4;

fn opt_out(api: &Api, seller: &str, person: &str, purpose: Option<&str>) -> String {
    let body = json!({ "seller": seller, "person": person, "purpose": purpose, "reason": "asked" });
    common::text(&api.post("/v1/suppressions", &body).unwrap(), "event")
}

fn lift(api: &Api, seller: &str, person: &str, entry: &str) -> Value {
    let body = json!({
        "seller": seller, "person": person, "kind": "grant", "form": "prior_express_written",
        "purpose": "informational", "source": "file 12", "channel": "web form",
        "wording": "Call me about my order again.", "lifts": [entry],
    });
    api.post("/v1/consents", &body).unwrap()
}

fn called(stack: &Stack) -> BTreeSet<String> {
    let log = wirelog::read(&stack.wire_log()).unwrap_or_default();
    let number = |raw: &[u8]| {
        let text = String::from_utf8_lossy(raw).into_owned();
        text.strip_prefix("INVITE sip:")?.split('@').next().map(str::to_owned)
    };
    log.iter().filter_map(|datagram| number(&datagram.raw)).collect()
}

#[test]
fn an_opt_out_binds_its_purpose_and_a_consent_that_lifts_it_brings_the_person_back() {
    let _turn = common::turn();
    let mut stack = common::stack();
    stack.start_carrier(1).unwrap();
    let api = stack.api().unwrap();
    let seller = common::seller(&api);
    let trunk = common::trunk(&api, "carrier", &stack.carrier_address().to_string(), None);
    let campaign = common::campaign(&api, &seller, "c", json!({}), &[trunk]);
    common::people(&api, &campaign, 2000, PEOPLE);
    opt_out(&api, &seller, "p2000", Some("telemarketing"));
    let entry = opt_out(&api, &seller, "p2001", None);
    stack.start_dialer().unwrap();
    common::start(&api, &campaign);
    let limit = Duration::from_secs(30);
    let shown = common::wait_for(limit, || common::show(&api, &campaign), common::is_done);
    assert_eq!(shown["counts"]["parked"], json!({ "suppression": 1 }), "{shown}");
    let numbers = called(&stack);
    let one = "+12125552001";
    assert_eq!(numbers.len(), PEOPLE as usize - 1, "{numbers:?}");
    assert!(numbers.contains("+12125552000") && !numbers.contains(one), "{numbers:?}");

    let said = lift(&api, &seller, "p2001", &entry);
    assert_eq!((&said["woken"], &said["note"]), (&json!(1), &Value::Null), "{said}");
    let back = common::wait_for(limit, || called(&stack), |numbers| numbers.contains(one));
    assert!(back.contains(one), "{back:?}");
    // Both verdicts say why the entries did not deny.
    let consent = common::text(&said, "event");
    for told in [format!("{entry} lifted by consent {consent}"), "1 about other purposes".into()] {
        let sql = format!(
            "SELECT count(*) FROM audit_entry WHERE kind IN (1, 15) AND position('{told}'::bytea IN leaf) > 0"
        );
        assert_ne!(stack.sql(&sql).unwrap(), "0", "{told}");
    }
}

/// Rings for whoever calls, and tells which methods came.
struct Phone {
    socket: UdpSocket,
    heard: Vec<String>,
}

impl Phone {
    fn listen(&mut self) {
        let mut buffer = [0; 65_536];
        while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let method = text.split(' ').next().unwrap().to_owned();
            let status = match method.as_str() {
                "INVITE" => "180 Ringing",
                _ => "200 OK",
            };
            self.heard.push(method);
            let kept = ["Via:", "From:", "Call-ID:", "CSeq:"];
            let mut answer = format!("SIP/2.0 {status}\r\n");
            for line in text.split("\r\n") {
                if kept.iter().any(|name| line.starts_with(name)) {
                    answer += &format!("{line}\r\n");
                } else if line.starts_with("To:") {
                    answer += &format!("{line};tag=phone\r\n");
                }
            }
            answer += "Content-Length: 0\r\n\r\n";
            self.socket.send_to(answer.as_bytes(), from).unwrap();
        }
    }

    fn waits_for(&mut self, method: &str, limit: Duration) -> bool {
        let count = |heard: &[String]| heard.iter().filter(|it| *it == method).count();
        common::wait_for(
            limit,
            || {
                self.listen();
                count(&self.heard)
            },
            |count| *count > 0,
        ) > 0
    }
}

#[test]
fn a_lifted_entry_does_not_end_a_ringing_call_when_the_subscription_comes_back_and_a_new_one_does()
{
    let _turn = common::turn();
    let mut stack = common::stack();
    let api = stack.api().unwrap();
    let seller = common::seller(&api);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let mut phone = Phone { socket, heard: Vec::new() };
    let trunk = common::trunk(&api, "phone", &address, None);
    let body = json!({
        "seller": seller, "name": "c", "purpose": "informational", "technology": "prerecorded",
        "caller_id": "+12125550100",
        "announces": ["identity", "purpose_statement", "callback_number"],
        "prompt": "demo.wav", "calls_per_second": 50, "max_concurrent": 100, "max_tries": 1,
        "ring_timeout_seconds": 60, "retry": {}, "trunks": [trunk],
    });
    let campaign = common::text(&api.post("/v1/campaigns", &body).unwrap(), "id");
    common::people(&api, &campaign, 2000, 1);
    let entry = opt_out(&api, &seller, "p2000", None);
    lift(&api, &seller, "p2000", &entry);
    // What was recorded within some seconds of the judgement counts as not seen by it.
    thread::sleep(Duration::from_secs(8));
    stack.start_dialer().unwrap();
    common::start(&api, &campaign);
    let limit = Duration::from_secs(20);
    assert!(phone.waits_for("INVITE", limit), "{:?}", phone.heard);
    phone.waits_for("PRACK", Duration::from_secs(1));

    stack.redis.stop();
    thread::sleep(Duration::from_secs(1));
    stack.redis.start_again().unwrap();
    assert!(!phone.waits_for("CANCEL", Duration::from_secs(6)), "{:?}", phone.heard);
    // It is there again, and hears what is new.
    opt_out(&api, &seller, "p2000", Some("delivery"));
    assert!(!phone.waits_for("CANCEL", Duration::from_secs(2)), "of another purpose");
    opt_out(&api, &seller, "p2000", Some("informational"));
    assert!(phone.waits_for("CANCEL", Duration::from_secs(5)), "{:?}", phone.heard);
}
