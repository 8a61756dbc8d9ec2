//! The dialer as a process: real PostgreSQL and Redis, a carrier of a few lines on real UDP.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use dialer_limiter::{Mark, Token};
use dialer_types::{E164, LineType, Mint, SellerNo, SubjectId, UnixMillis};
use schema::{
    config::Keys,
    opt_outs::OptOut,
    rows,
    testing::{PostgresOptions, PrivatePostgres, PrivateRedis},
};
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

/// Answers every request with 200, or lets every INVITE ring until it is cancelled; counts INVITEs,
/// CANCELs and RTP packets.
struct Carrier {
    sip: SocketAddr,
    invites: Arc<AtomicUsize>,
    cancels: Arc<AtomicUsize>,
    rtp: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    message
        .lines()
        .find_map(|line| line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case(name)))
        .map_or("", |(_, value)| value.trim())
}

impl Carrier {
    fn start(rings: bool) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let media = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (sip, port) = (socket.local_addr().unwrap(), media.local_addr().unwrap().port());
        let (invites, rtp) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let cancels = Arc::<AtomicUsize>::default();
        let stop = Arc::<AtomicBool>::default();
        for socket in [&socket, &media] {
            socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        }
        let (seen, ends) = (Arc::clone(&invites), Arc::clone(&stop));
        let cancelled = Arc::clone(&cancels);
        let signalling = thread::spawn(move || {
            let mut buffer = [0; 4096];
            let mut ringing = std::collections::BTreeMap::new();
            while !ends.load(Ordering::Acquire) {
                let Ok((length, source)) = socket.recv_from(&mut buffer) else { continue };
                let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let say = |text: String| {
                    socket.send_to(text.as_bytes(), source).unwrap();
                };
                match request.split(' ').next().unwrap_or_default() {
                    "INVITE" if rings => {
                        seen.fetch_add(1, Ordering::AcqRel);
                        say(answer(&request, "180 Ringing", None));
                        ringing.insert(header(&request, "Call-ID").to_owned(), request);
                    }
                    "INVITE" => {
                        seen.fetch_add(1, Ordering::AcqRel);
                        say(answer(&request, "200 OK", Some(port)));
                    }
                    "CANCEL" => {
                        cancelled.fetch_add(1, Ordering::AcqRel);
                        say(answer(&request, "200 OK", None));
                        if let Some(invite) = ringing.remove(header(&request, "Call-ID")) {
                            say(answer(&invite, "487 Request Terminated", None));
                        }
                    }
                    "ACK" | "SIP/2.0" => {}
                    _ => say(answer(&request, "200 OK", None)),
                }
            }
        });
        let (seen, ends) = (Arc::clone(&rtp), Arc::clone(&stop));
        let listening = thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !ends.load(Ordering::Acquire) {
                if media.recv_from(&mut buffer).is_ok_and(|(length, _)| length == 172) {
                    seen.fetch_add(1, Ordering::AcqRel);
                }
            }
        });
        Self { sip, invites, cancels, rtp, stop, threads: vec![signalling, listening] }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

fn answer(request: &str, status: &str, media: Option<u16>) -> String {
    let body = media.map_or_else(String::new, |media| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {media} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        )
    });
    let to = header(request, "To");
    let tag = if to.contains(";tag=") { "" } else { ";tag=carrier" };
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:carrier@127.0.0.1:5060>\r\n{}Content-Length: {}\r\n\r\n{body}",
        header(request, "Via"),
        header(request, "From"),
        header(request, "Call-ID"),
        header(request, "CSeq"),
        if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" },
        body.len()
    )
}

struct Rig {
    postgres: PrivatePostgres,
    redis: PrivateRedis,
    database: String,
    owner: PgPool,
    folder: PathBuf,
    admin: SocketAddr,
    mint: Mint,
}

fn free_tcp() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// The first of forty-one UDP ports that nobody has, below the range that systems hand out.
fn free_block() -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let first = usize::try_from(std::process::id()).unwrap();
    for _ in 0..250 {
        let place = (first + NEXT.fetch_add(1, Ordering::AcqRel)) % 250;
        let port = 20_000 + u16::try_from(place).unwrap() * 50;
        if (port..=port + 40).all(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
            return port;
        }
    }
    panic!("no forty-one free UDP ports in a row");
}

/// `hello.wav`: two seconds, which are a hundred packets.
fn write_prompt(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(folder.join("hello.wav"), spec).unwrap();
    for sample in dialer_media::tone(440, 2_000) {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
}

impl Rig {
    async fn new() -> Self {
        let postgres = PrivatePostgres::start(PostgresOptions::default()).unwrap();
        let database = postgres.new_database().unwrap();
        let url = postgres.owner_url(&database);
        let owner = PgPoolOptions::new().max_connections(2).connect(&url).await.unwrap();
        schema::MIGRATOR.run(&owner).await.unwrap();
        let redis = PrivateRedis::start().unwrap();
        let folder = std::env::temp_dir().join(format!("rf-process-{database}"));
        fs::create_dir_all(folder.join("lists")).unwrap();
        write_prompt(&folder.join("prompts"));
        let mut random = [0; 96];
        getrandom::fill(&mut random).unwrap();
        fs::write(folder.join("keys.toml"), Keys::generate(&random, "ringfence.test/audit"))
            .unwrap();
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).unwrap();
        let rig = Self {
            postgres,
            redis,
            database,
            owner,
            folder,
            admin: free_tcp(),
            mint: Mint::new(seed),
        };
        rig.configure(&rig.postgres.app_url(&rig.database));
        rig
    }

    fn configure(&self, postgres: &str) {
        let port = free_block();
        let text = format!(
            "[postgres]\nurl = \"{postgres}\"\n[redis]\nurl = \"{}\"\n[keys]\nfile = \"keys.toml\"\n\
             [dialer]\nname = \"d1\"\nsip = \"127.0.0.1:{}\"\nadmin = \"{}\"\nprompts = \"prompts\"\n\
             lists = \"lists\"\nrtp_ports = [{port}, {}]\n",
            self.redis.url(),
            port + 40,
            self.admin,
            port + 40,
        );
        fs::write(self.config(), text).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.folder.join("ringfence.toml")
    }

    fn run(&self) -> Dialer {
        let log = fs::File::create(self.folder.join("dialer.log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_dialer"))
            .args(["run", "--config"])
            .arg(self.config())
            .stderr(log)
            .spawn()
            .unwrap();
        Dialer { child, admin: self.admin, log: self.folder.join("dialer.log") }
    }

    async fn sql(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.owner).await.unwrap();
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.owner).await.unwrap()
    }

    /// Waits until a count is reached.
    async fn reaches(&self, sql: &'static str, count: i64, dialer: &Dialer) {
        for _ in 0..300 {
            if self.count(sql).await >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let contacts: Vec<String> = sqlx::query_scalar(
            "SELECT concat_ws(' ', c.state, c.try_no, c.made, c.finished, d.because, d.due_at, p.cause,
                    p.rules, (SELECT string_agg(o.disposition::text, ',') FROM placement x
                              LEFT JOIN outcome o ON o.placement_id = x.id WHERE x.contact_id = c.id))
             FROM contact c LEFT JOIN due d ON d.contact_id = c.id
             LEFT JOIN parked p ON p.contact_id = c.id",
        )
        .fetch_all(&self.owner)
        .await
        .unwrap();
        panic!("{sql} never reached {count}; {contacts:#?} {}", dialer.log());
    }

    /// A campaign of live informational calls to landlines in Texas, in the middle of a working day.
    async fn campaign(&mut self, carrier: SocketAddr, contacts: u64) {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        // Tuesday 2026-12-01, 18:00 UTC: noon in Texas.
        let offset = 1_796_148_000_000 - i64::try_from(now.as_millis()).unwrap();
        let wall = UnixMillis(1_796_148_000_000);
        let id = Uuid::from_u128(self.mint.ulid(wall));
        self.sql(&format!(
            "UPDATE deployment SET mode = 'demo', clock_offset_ms = {offset};
             INSERT INTO seller (id, name, created_at) VALUES ('{id}', 'seller', 0);
             INSERT INTO trunk (id, name, address, milli_cps, max_concurrent, created_at)
             VALUES ('{id}', 'trunk', '{carrier}', 50000, 20, 0);
             INSERT INTO campaign (id, seller_id, name, purpose, technology, status, caller_id,
                 announces, prompt, milli_cps, max_concurrent, max_tries, ring_timeout_ms, retry, created_at)
             VALUES ('{id}', '{id}', 'campaign', 2, 1, 'running', '+15125550100',
                 '{{identity,purpose,callback_number}}', 'hello', 50000, 20, 3, 20000, '{{}}', 0);
             INSERT INTO campaign_trunk VALUES ('{id}', '{id}', 1);
             INSERT INTO contact_list (id, campaign_id, name, state, created_at)
             VALUES ('{id}', '{id}', 'list', 'imported', 0);"
        ))
        .await;
        let keys =
            Keys::parse(&fs::read_to_string(self.folder.join("keys.toml")).unwrap()).unwrap();
        let seller = dialer_types::SellerId(id.as_u128());
        for at in 0..contacts {
            let mut connection = self.owner.acquire().await.unwrap();
            let number = E164::from_digits(15_125_550_200 + at).unwrap();
            let lines = [(number, LineType::Landline)];
            let number =
                rows::numbers(&mut connection, &keys.numbers, &lines, &mut self.mint, wall);
            let number = number.await.unwrap()[0].subject.0;
            let name = format!("p{at}");
            let people = [name.as_str()];
            let person = rows::persons(&mut connection, seller, &people, &mut self.mint, wall);
            let person = person.await.unwrap()[0].subject.0;
            let contact = Uuid::from_u128(self.mint.ulid(wall));
            self.sql(&format!(
                "INSERT INTO contact (id, campaign_id, list_id, person_subject, party_type, party_role,
                                      country, region, time_zone, state)
                 VALUES ('{contact}', '{id}', '{id}', {person}, 1, 1, 'US', 'TX', 'America/Chicago', 2);
                 INSERT INTO contact_number VALUES ('{contact}', 0, {number});
                 INSERT INTO due (contact_id, campaign_id, due_at) VALUES ('{contact}', '{id}', 0);"
            ))
            .await;
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if !thread::panicking() {
            fs::remove_dir_all(&self.folder).ok();
        }
    }
}

struct Dialer {
    child: Child,
    admin: SocketAddr,
    log: PathBuf,
}

impl Dialer {
    fn get(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(self.admin) else { return String::new() };
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        let sent = stream.write_all(request.as_bytes());
        sent.and_then(|()| stream.read_to_string(&mut answer)).ok();
        answer
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn wait_for(&self, path: &str, text: &str) {
        for _ in 0..150 {
            if self.get(path).contains(text) {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("{path} never said {text:?}; {}\n{}", self.get(path), self.log());
    }

    fn signal(&mut self, signal: &str) -> bool {
        Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap();
        self.child.wait().unwrap().success()
    }
}

impl Drop for Dialer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn dialer(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialer"));
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), said)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_campaign_is_called_through_every_layer_and_its_audit_verifies() {
    let mut rig = Rig::new().await;
    let carrier = Carrier::start(false);
    rig.campaign(carrier.sip, 5).await;
    let mut dialer_process = rig.run();
    dialer_process.wait_for("/readyz", "200 OK");
    rig.reaches("SELECT count(*) FROM outcome WHERE disposition = 1", 5, &dialer_process).await;
    assert_eq!(carrier.invites.load(Ordering::Acquire), 5);
    // A tone of two seconds is a hundred packets.
    assert_eq!(carrier.rtp.load(Ordering::Acquire), 500, "{}", dialer_process.log());
    assert!(dialer_process.get("/metrics").contains("ringfence_invites_sent_total 5"));
    assert!(dialer_process.signal("-TERM"), "{}", dialer_process.log());
    assert_eq!(rig.count("SELECT count(*) FROM contact WHERE finished = 'answered'").await, 5);
    assert_eq!(rig.count("SELECT count(*) FROM node WHERE stopped_at IS NOT NULL").await, 1);

    let out = rig.folder.join("export");
    let exported =
        dialer(&["audit", "export", "--config", text(&rig.config()), "--out", text(&out)]);
    assert!(exported.0, "{}", exported.1);
    let key = out.join("key.pub");
    let verified = dialer(&["audit", "verify", text(&out), "--key", text(&key)]);
    assert!(verified.0 && verified.1.contains("5 sent"), "{}", verified.1);

    // Of one campaign, by its name as people write it.
    let (config, part) = (rig.config(), rig.folder.join("part"));
    let of = |name: &str| {
        let out = text(&part);
        dialer(&["audit", "export", "--config", text(&config), "--out", out, "--campaign", name])
    };
    let refused = of("recall");
    assert!(!refused.0 && refused.1.contains("no campaign is called so"), "{}", refused.1);
    let exported = of("Camp");
    assert!(exported.0 && exported.1.contains("each with the proof"), "{}", exported.1);
}

#[tokio::test]
async fn a_suppression_cancels_what_rings_and_nothing_rings_again() {
    let mut rig = Rig::new().await;
    let carrier = Carrier::start(true);
    rig.campaign(carrier.sip, 3).await;
    let mut running = rig.run();
    running.wait_for("/metrics", "ringfence_invites_sent_total 3");
    // As the API does it.
    let mut connection = rig.owner.acquire().await.unwrap();
    let subjects: Vec<i64> = sqlx::query_scalar("SELECT person_subject FROM contact ORDER BY 1")
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    let people: Vec<_> = subjects.iter().copied().map(SubjectId).collect();
    let token = Token(rig.mint.ulid(UnixMillis(1)));
    schema::heads::move_heads(&mut connection, &people, |_, head| {
        head.with_mark(token, Mark::suppressed(Some(SellerNo(1)))).ok()
    })
    .await
    .unwrap();
    let out = OptOut { subjects: people, seller: SellerNo(1), purpose: None };
    schema::opt_outs::announce(&mut connection, &out, UnixMillis(1)).await.unwrap();
    rig.reaches("SELECT count(*) FROM outcome WHERE disposition = 15", 3, &running).await;
    assert_eq!(carrier.cancels.load(Ordering::Acquire), 3);
    rig.reaches("SELECT count(*) FROM parked WHERE cause = 'suppression'", 3, &running).await;
    assert_eq!(carrier.invites.load(Ordering::Acquire), 3);
    assert!(running.signal("-TERM"), "{}", running.log());
}

/// A list that goes stale parks the contacts that need it, and the others are called: parking does
/// not cost the campaign's pace.
#[tokio::test]
async fn those_who_may_not_be_called_do_not_hold_up_those_who_may() {
    let mut rig = Rig::new().await;
    let carrier = Carrier::start(false);
    rig.campaign(carrier.sip, 102).await;
    // At one call a second; a hundred contacts stand before the two who may be called.
    rig.sql(
        "UPDATE campaign SET milli_cps = 1000;
         UPDATE due SET due_at = 1 WHERE contact_id IN
             (SELECT c.id FROM contact c ORDER BY c.id DESC LIMIT 2)",
    )
    .await;
    let mut connection = rig.owner.acquire().await.unwrap();
    let refused: Vec<i64> = sqlx::query_scalar(
        "SELECT c.person_subject FROM contact c JOIN due d ON d.contact_id = c.id AND d.due_at = 0",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let people: Vec<_> = refused.into_iter().map(SubjectId).collect();
    assert_eq!(people.len(), 100);
    let token = Token(rig.mint.ulid(UnixMillis(1)));
    schema::heads::move_heads(&mut connection, &people, |_, head| {
        head.with_mark(token, Mark::suppressed(Some(SellerNo(1)))).ok()
    })
    .await
    .unwrap();
    let mut running = rig.run();
    // A hundred seconds if every refusal cost a call's pace, and nobody waits here for so long.
    let parked = "SELECT count(*) FROM parked WHERE cause = 'suppression'";
    rig.reaches(parked, 100, &running).await;
    rig.reaches("SELECT count(*) FROM outcome WHERE disposition = 1", 2, &running).await;
    assert_eq!(carrier.invites.load(Ordering::Acquire), 2);
    assert!(running.signal("-TERM"), "{}", running.log());
}

#[tokio::test]
async fn stores_that_fail_in_the_middle_lose_nobody_and_nobody_is_called_twice() {
    let mut rig = Rig::new().await;
    let carrier = Carrier::start(false);
    rig.campaign(carrier.sip, 40).await;
    let mut running = rig.run();
    rig.reaches("SELECT count(*) FROM placement", 3, &running).await;
    rig.redis.empty().unwrap();
    rig.reaches("SELECT count(*) FROM placement", 8, &running).await;
    rig.redis.stop();
    running.wait_for("/readyz", "redis");
    rig.redis.start_again().unwrap();
    rig.reaches("SELECT count(*) FROM placement", 24, &running).await;
    rig.postgres.stop(true);
    running.wait_for("/readyz", "postgres");
    rig.postgres.start_again().unwrap();
    running.wait_for("/readyz", "200 OK");
    rig.owner = PgPoolOptions::new().connect(&rig.postgres.owner_url(&rig.database)).await.unwrap();
    // Finished, or deferred because a placement whose end nobody knows counts.
    let decided = "SELECT count(*) FROM contact c WHERE c.state = 5 OR EXISTS
        (SELECT FROM due d WHERE d.contact_id = c.id AND d.because LIKE 'house.%')";
    rig.reaches(decided, 40, &running).await;
    assert!(running.signal("-TERM"), "{}", running.log());
    let open = "SELECT count(*) FROM placement p
        WHERE NOT EXISTS (SELECT FROM outcome o WHERE o.placement_id = p.id)";
    assert_eq!(rig.count(open).await, 0);
    let answered = rig.count("SELECT count(*) FROM contact WHERE finished = 'answered'").await;
    assert!(answered >= 35, "{answered} answered; {}", running.log());
    let sent = carrier.invites.load(Ordering::Acquire);
    let counted = rig.count("SELECT count(*) FROM outcome WHERE disposition <> 18").await;
    assert!(
        i64::try_from(sent).unwrap() <= counted && counted <= 40,
        "{sent} sent, {counted} counted"
    );
}

#[tokio::test]
async fn a_killed_dialer_is_finished_by_the_next_and_nobody_is_called_twice() {
    let mut rig = Rig::new().await;
    let carrier = Carrier::start(false);
    rig.campaign(carrier.sip, 12).await;
    let mut first = rig.run();
    rig.reaches("SELECT count(*) FROM placement", 4, &first).await;
    first.signal("-KILL");
    let second = rig.run();
    rig.reaches("SELECT count(*) FROM outcome WHERE revision = 0", 12, &second).await;
    assert!(rig.count("SELECT count(*) FROM outcome WHERE disposition = 19").await > 0);
    assert_eq!(rig.count("SELECT count(*) FROM placement").await, 12);
    assert!(carrier.invites.load(Ordering::Acquire) <= 12);
    assert_eq!(rig.count("SELECT count(*) FROM contact WHERE state = 3").await, 0);
}

#[tokio::test]
async fn without_a_store_the_gate_closes_and_opens_again_by_itself() {
    let mut rig = Rig::new().await;
    let mut running = rig.run();
    running.wait_for("/readyz", "200 OK");
    rig.redis.stop();
    running.wait_for("/readyz", "redis");
    rig.redis.start_again().unwrap();
    running.wait_for("/readyz", "200 OK");
    rig.postgres.stop(true);
    running.wait_for("/readyz", "postgres");
    rig.postgres.start_again().unwrap();
    running.wait_for("/readyz", "200 OK");
    assert!(running.signal("-INT"), "{}", running.log());
}

#[tokio::test]
async fn a_store_that_is_away_at_the_start_is_waited_for_and_named_without_its_password() {
    let mut rig = Rig::new().await;
    let (redis, postgres) = (rig.redis.port(), rig.postgres.port());
    rig.redis.stop();
    let mut running = rig.run();
    running.wait_for("/readyz", "not ready: Redis is away");
    assert!(running.get("/healthz").contains("200 OK"), "the process lives");
    let (said, place) = (running.log(), format!("Redis at redis://:***@127.0.0.1:{redis}"));
    assert!(said.contains("waiting for a store that is away") && said.contains(&place), "{said}");
    rig.redis.start_again().unwrap();
    running.wait_for("/readyz", "200 OK");
    assert!(running.signal("-TERM"), "{}", running.log());
    rig.postgres.stop(false);
    let mut running = rig.run();
    running.wait_for("/readyz", "not ready: PostgreSQL is away");
    let (said, place) = (running.log(), format!("127.0.0.1:{postgres}"));
    assert!(said.contains("cannot use PostgreSQL") && said.contains(&place), "{said}");
    // Told to stop, it waits for nobody.
    let clock = || std::time::UNIX_EPOCH.elapsed().unwrap();
    let told = clock();
    assert!(running.signal("-TERM"), "{}", running.log());
    let took = clock().saturating_sub(told);
    assert!(took < Duration::from_secs(1), "{took:?}");
    let mut running = rig.run();
    running.wait_for("/readyz", "not ready: PostgreSQL is away");
    rig.postgres.start_again().unwrap();
    running.wait_for("/readyz", "200 OK");
    assert!(running.signal("-TERM"), "{}", running.log());
}

#[tokio::test]
async fn a_name_that_nobody_knows_yet_is_waited_for_and_a_configuration_that_is_missing_is_not() {
    let rig = Rig::new().await;
    let text_of = fs::read_to_string(rig.config()).unwrap();
    let nowhere = text_of.replace(&rig.redis.url(), "redis://redis.ringfence.invalid:6379");
    assert_ne!(nowhere, text_of);
    fs::write(rig.config(), nowhere).unwrap();
    let mut running = rig.run();
    running.wait_for("/readyz", "not ready: Redis is away");
    assert!(running.signal("-TERM"), "{}", running.log());
    let (ran, said) = dialer(&["run", "--config", "/nowhere/ringfence.toml"]);
    assert!(!ran && said.contains("/nowhere/ringfence.toml"), "{said}");
}

#[tokio::test]
async fn a_release_that_a_migration_retires_places_nothing_more() {
    let mut rig = Rig::new().await;
    let carrier = Carrier::start(false);
    rig.campaign(carrier.sip, 6).await;
    rig.sql("UPDATE campaign SET status = 'paused'").await;
    let mut running = rig.run();
    running.wait_for("/readyz", "200 OK");
    rig.sql("UPDATE schema_version SET version = 1002, oldest = 1001").await;
    running.wait_for("/readyz", "closed: postgres");
    rig.sql("UPDATE campaign SET status = 'running'").await;
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!running.get("/readyz").contains("200 OK"), "{}", running.log());
    }
    assert_eq!(carrier.invites.load(Ordering::Acquire), 0);
    assert!(running.log().contains("a migration has retired this release"), "{}", running.log());
    assert!(running.signal("-TERM"), "{}", running.log());
}

#[tokio::test]
async fn a_clock_offset_outside_the_demo_is_refused() {
    let rig = Rig::new().await;
    rig.sql(
        "ALTER TABLE deployment DROP CONSTRAINT deployment_check;
         UPDATE deployment SET clock_offset_ms = 5",
    )
    .await;
    let (ran, said) = dialer(&["run", "--config", text(&rig.config())]);
    assert!(!ran && said.contains("clock_offset_ms is 5"), "{said}");
}
