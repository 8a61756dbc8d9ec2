//! An opt-out over three dialers (G7): once it is answered no INVITE to the person leaves any of them,
//! whichever is paused, and what rings is cancelled; a Redis that is away changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::{SocketAddr, UdpSocket},
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use loadtest::{
    opt_outs,
    stack::{Api, Stack, Stop, clock},
};
use serde_json::json;

use crate::common;

/// People, each with two numbers in two campaigns.
const PEOPLE: u32 = 90;
/// Calls a second over all dialers.
const RATE: u32 = 20;

/// What came from the dialers.
#[derive(Debug, Clone)]
struct Heard {
    at: Instant,
    method: String,
    call: String,
    number: String,
}

/// Rings for whoever calls, until a CANCEL; every second call is answered just then.
#[derive(Clone)]
struct Phone {
    heard: Arc<Mutex<Vec<Heard>>>,
    stop: Arc<AtomicBool>,
    address: SocketAddr,
}

impl Phone {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let address = socket.local_addr().unwrap();
        let phone = Self { heard: Arc::default(), stop: Arc::default(), address };
        let answering = phone.clone();
        thread::spawn(move || answering.answer(&socket));
        phone
    }

    fn heard(&self) -> MutexGuard<'_, Vec<Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, method: &str) -> Vec<Heard> {
        self.heard().iter().filter(|heard| heard.method == method).cloned().collect()
    }

    fn answer(&self, socket: &UdpSocket) {
        let mut ringing: BTreeMap<String, (String, bool)> = BTreeMap::new();
        let mut buffer = [0; 65_536];
        while !self.stop.load(Ordering::Acquire) {
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            let at = clock::monotonic();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let method = text.split(' ').next().unwrap().to_owned();
            let call = header(&text, "Call-ID:");
            let number = text.split("sip:").nth(1).unwrap_or("").split('@').next().unwrap();
            let heard =
                Heard { at, method: method.clone(), call: call.clone(), number: number.to_owned() };
            self.heard().push(heard);
            let send = |answer: String| socket.send_to(answer.as_bytes(), from).map(drop).unwrap();
            match method.as_str() {
                "INVITE" => {
                    send(response(&text, "180 Ringing", ""));
                    let crosses = ringing.len().is_multiple_of(2);
                    ringing.entry(call).or_insert((text, crosses));
                }
                "CANCEL" => {
                    send(response(&text, "200 OK", ""));
                    match ringing.get(&call) {
                        Some((invite, true)) => {
                            let contact = format!("Contact: <sip:{}>\r\n", self.address);
                            send(response(invite, "200 OK", &contact));
                        }
                        Some((invite, false)) => {
                            send(response(invite, "487 Request Terminated", ""));
                        }
                        None => {}
                    }
                }
                "ACK" => {}
                _ => send(response(&text, "200 OK", "")),
            }
        }
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        if Arc::strong_count(&self.stop) <= 2 {
            self.stop.store(true, Ordering::Release);
        }
    }
}

fn header(text: &str, name: &str) -> String {
    let line = text.split("\r\n").find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default().trim().to_owned()
}

fn response(request: &str, status: &str, more: &str) -> String {
    let mut answer = format!("SIP/2.0 {status}\r\n");
    for line in request.split("\r\n") {
        if ["Via:", "From:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)) {
            write!(answer, "{line}\r\n").unwrap();
        } else if line.starts_with("To:") {
            let tag = if line.contains(";tag=") { "" } else { ";tag=phone" };
            write!(answer, "{line}{tag}\r\n").unwrap();
        }
    }
    answer + more + "Content-Length: 0\r\n\r\n"
}

/// Two campaigns of one seller that call everybody on one number each.
fn campaigns(api: &Api, seller: &str, trunk: &str) -> [String; 2] {
    [2000, 4000].map(|first| {
        let body = json!({
            "seller": seller, "name": format!("c{first}"), "purpose": "informational",
            "technology": "prerecorded", "caller_id": "+12125550100",
            "announces": ["identity", "purpose_statement", "callback_number"],
            "prompt": "demo.wav", "calls_per_second": RATE, "max_concurrent": 400, "max_tries": 1,
            "ring_timeout_seconds": 100, "retry": {}, "trunks": [trunk],
        });
        let campaign = common::text(&api.post("/v1/campaigns", &body).unwrap(), "id");
        common::named_people(api, &campaign, (0, first), PEOPLE);
        campaign
    })
}

fn numbers(person: u32) -> [String; 2] {
    [2000, 4000].map(|first| format!("+1212555{:04}", first + person))
}

/// What was asked of the API, and when it was answered.
struct OptOut {
    person: u32,
    asked: Instant,
    answered: Instant,
}

fn opt_out(api: &Api, seller: &str, person: u32) -> OptOut {
    let body = json!({ "seller": seller, "person": format!("p{person}"), "reason": "asked" });
    let asked = clock::monotonic();
    let said = api.post("/v1/suppressions", &body).unwrap();
    let answered = clock::monotonic();
    assert_eq!(said["subjects"].as_array().unwrap().len(), 3, "{said}");
    OptOut { person, asked, answered }
}

fn three_dialers() -> Stack {
    let three = NonZeroUsize::new(3).unwrap();
    let builder = Stack::builder().starts_at(common::INSTANT_MS).dialers(three);
    let mut stack = builder.house(common::HOUSE.to_owned()).start().unwrap();
    stack.start_api().unwrap();
    stack.start_dialers().unwrap();
    stack
}

/// Everybody who is called opts out, about when their second call is to leave; says when.
fn opt_outs(api: &Api, seller: &str, phone: &Phone, limit: Duration) -> Vec<OptOut> {
    let (done, started) = (AtomicUsize::new(0), clock::monotonic());
    let outs = Mutex::new(Vec::new());
    let people = usize::try_from(PEOPLE).unwrap();
    thread::scope(|scope| {
        for worker in 0..8_u32 {
            let (done, outs) = (&done, &outs);
            scope.spawn(move || {
                let mut left: BTreeSet<u32> =
                    (0..PEOPLE).filter(|person| person % 8 == worker).collect();
                while !left.is_empty() && started.elapsed() < limit {
                    let calls = phone.of("INVITE");
                    let rings = |person: &u32| {
                        let theirs = numbers(*person);
                        // The house rules put a second between two calls to one person.
                        let since = Duration::from_millis(900 + u64::from(*person) * 3 % 300);
                        let of = |call: &&Heard| theirs.contains(&call.number);
                        calls.iter().find(of).is_some_and(|call| call.at.elapsed() > since)
                    };
                    let Some(person) = left.iter().copied().find(rings) else {
                        thread::sleep(Duration::from_millis(5));
                        continue;
                    };
                    left.remove(&person);
                    let out = opt_out(api, seller, person);
                    outs.lock().unwrap().push(out);
                    done.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
    });
    let outs = outs.into_inner().unwrap();
    assert_eq!(outs.len(), people, "not everybody was called");
    outs
}

#[test]
fn nothing_leaves_after_an_opt_out_is_answered_and_what_rings_is_cancelled() {
    let _turn = common::turn();
    let mut stack = three_dialers();
    let api = stack.api().unwrap();
    let phone = Phone::start();
    let body = json!({ "name": "phone", "address": phone.address.to_string(),
        "calls_per_second": RATE, "max_concurrent": 400 });
    let trunk = common::text(&api.post("/v1/trunks", &body).unwrap(), "id");
    let seller = common::seller(&api);
    let both = campaigns(&api, &seller, &trunk);
    both.iter().for_each(|campaign| common::start(&api, campaign));
    // Dialers are paused all the while, longer than a lease: one second each in turn.
    let calm = AtomicBool::new(false);
    let outs = thread::scope(|scope| {
        let (api, seller, phone, calm) = (&api, seller.as_str(), &phone, &calm);
        let asking = scope.spawn(move || {
            let outs = opt_outs(api, seller, phone, Duration::from_secs(60));
            calm.store(true, Ordering::Release);
            outs
        });
        let mut turn = 0;
        while !calm.load(Ordering::Acquire) && !asking.is_finished() {
            stack.nth_dialer(turn % 3).unwrap().pause();
            thread::sleep(Duration::from_millis(250));
            stack.nth_dialer(turn % 3).unwrap().resume();
            thread::sleep(Duration::from_millis(250));
            turn += 1;
        }
        asking.join().unwrap()
    });
    thread::sleep(Duration::from_secs(3));
    judge(&phone, &outs);
    for number in 0..3 {
        stack.nth_dialer(number).unwrap().must_run().unwrap();
    }
}

/// No INVITE to a person after the answer; every call that rang then is cancelled, those that were
/// answered just then are acknowledged and hung up; nobody got more calls a second than the trunk.
fn judge(phone: &Phone, outs: &[OptOut]) {
    let invites = phone.of("INVITE");
    let mut first: BTreeMap<String, Heard> = BTreeMap::new();
    for invite in &invites {
        first.entry(invite.call.clone()).or_insert_with(|| invite.clone());
    }
    let mut crossed = 0;
    let (mut second_calls, mut stopped) = (0, 0);
    for out in outs {
        let theirs = numbers(out.person);
        let late: Vec<_> = invites
            .iter()
            .filter(|invite| theirs.contains(&invite.number) && invite.at > out.answered)
            .map(|invite| invite.at - out.answered)
            .collect();
        assert!(late.is_empty(), "INVITEs to p{} after the answer: {late:?}", out.person);
        let calls: Vec<_> =
            first.values().filter(|call| theirs.contains(&call.number)).cloned().collect();
        second_calls += usize::from(calls.len() > 1);
        stopped += usize::from(calls.len() == 1);
        for call in calls {
            let has = |method: &str| phone.of(method).iter().any(|it| it.call == call.call);
            assert!(has("CANCEL"), "a call to p{} rings on", out.person);
            assert!(has("ACK"), "p{}", out.person);
            crossed += usize::from(has("BYE"));
        }
    }
    assert!(crossed > 10, "{crossed} answers crossed their CANCEL and were hung up");
    assert!(second_calls + stopped == outs.len() && stopped > 0, "{second_calls} {stopped}");
    let mut took: Vec<Duration> = outs.iter().map(|out| out.answered - out.asked).collect();
    took.sort_unstable();
    // How long it takes is a matter for the drill; it must not be quicker than a lease lapses.
    assert!(took[0] >= schema::opt_outs::SEND_LEASE, "{:?}", took[0]);
    let calls: Vec<Instant> = {
        let mut at: Vec<_> = first.values().map(|call| call.at).collect();
        at.sort_unstable();
        at
    };
    // A datagram may lie in a socket for a moment before it is read here.
    let window = Duration::from_millis(950);
    for (place, begin) in calls.iter().enumerate() {
        let within = calls[place..].iter().take_while(|at| **at < *begin + window).count();
        assert!(within <= usize::try_from(RATE).unwrap(), "{within} calls in one second");
    }
}

#[test]
fn with_redis_stopped_an_opt_out_takes_effect_and_with_postgres_stopped_it_is_refused() {
    let _turn = common::turn();
    let mut stack = common::stack();
    stack.start_dialer().unwrap();
    let api = stack.api().unwrap();
    let phone = Phone::start();
    let address = phone.address.to_string();
    let trunk = common::trunk(&api, "phone", &address, None);
    let seller = common::seller(&api);
    let both = campaigns(&api, &seller, &trunk);
    common::start(&api, &both[0]);
    let rings = || phone.of("INVITE").len();
    common::wait_for(Duration::from_secs(20), rings, |count| *count >= 40);
    assert!(rings() >= 40);
    stack.redis.stop();
    let called = phone.of("INVITE")[0].number.clone();
    let person = (0..PEOPLE).find(|person| numbers(*person).contains(&called)).unwrap();
    let out = opt_out(&api, &seller, person);
    let cancelled = || phone.of("CANCEL").iter().any(|it| it.number == called);
    assert!(common::wait_for(Duration::from_secs(2), cancelled, |found| *found));
    assert!(!phone.of("INVITE").iter().any(|it| it.number == called && it.at > out.answered));
    stack.postgres.stop(true);
    let body = json!({ "seller": seller, "person": "p5", "reason": "asked" });
    assert!(api.post("/v1/suppressions", &body).is_err(), "never an empty success");
    stack.postgres.start_again().unwrap();
    stack.redis.start_again().unwrap();
}

#[test]
fn opt_outs_are_answered_soon_while_dialers_are_paused_cut_off_and_killed() {
    let _turn = common::turn();
    let args = opt_outs::Args { count: 40, rate: RATE, fair: false, json: None };
    let measured = opt_outs::run(&args, &Stop::default()).unwrap();
    assert_eq!(measured.invites_after, 0, "{measured}");
    assert!(measured.answers.count >= 40 && measured.stopped > 0, "{measured}");
    assert!(measured.troubles >= 12, "{measured}");
    // 150 ms are promised on a machine that has nothing else to do, as `loadtest opt-outs` is to be
    // run. What waits for a killed dialer, or for a Redis that is cut off, takes longer than this.
    assert!(measured.answers.p50_ms <= 500 && measured.answers.max_ms <= 2_000, "{measured}");
}
