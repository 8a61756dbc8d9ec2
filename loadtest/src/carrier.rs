//! A simulated carrier: a SIP user agent server on real UDP, its own process, that answers, is
//! busy, rings on or fails as told, and logs every datagram before it looks into it.
//!
//! What it does follows from its seed, the called number and how often that number was called, so
//! a run can be repeated. The protocol is in `server`, without IO; this file is the sockets.

mod auth;
mod behaviour;
mod clock;
mod rtp;
mod server;

use std::{
    fs,
    io::Write as _,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    net::UdpSocket,
    signal::unix::{SignalKind, signal},
};

pub use self::behaviour::{Behaviour, Mix, Span};
use self::{
    behaviour::Plans,
    rtp::Rtp,
    server::{Carrier, Settings},
};
use crate::wirelog::{Direction, Writer};

/// `loadtest carrier`
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// UDP address to listen on
    #[arg(long, default_value = "127.0.0.1:5070")]
    pub listen: SocketAddr,
    /// Append every datagram to this file
    #[arg(long)]
    pub log: Option<PathBuf>,
    /// Seed of the behaviour
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Added to the clock in the log, milliseconds (the demo's clock offset)
    #[arg(
        long = "clock-offset-ms",
        alias = "offset-ms",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub clock_offset_ms: i64,
    /// Shares of what calls come to
    #[arg(long, default_value = "answer=55,busy=15,no_answer=20,fail=5,unavailable=5")]
    pub mix: Mix,
    /// How long it rings before it is answered or rejected
    #[arg(long, default_value = "200..1500")]
    pub ring_ms: Span,
    /// How long people listen before they hang up (half of them leave that to the caller)
    #[arg(long, default_value = "300..1200")]
    pub talk_ms: Span,
    /// Behaviour of single numbers, TOML: `[numbers."+13055550123"]`, `calls = ["busy", "answer"]`
    #[arg(long)]
    pub script: Option<PathBuf>,
    /// Ask for digest authentication (user:password)
    #[arg(long)]
    pub auth: Option<String>,
    /// Reject every INVITE at once with this status
    #[arg(long)]
    pub fail_all: Option<u16>,
    /// Answer OPTIONS with this status
    #[arg(long, default_value_t = 200)]
    pub options: u16,
    /// Say Retry-After with 503: so many seconds
    #[arg(long)]
    pub retry_after: Option<u32>,
    /// Ring for ever, whoever is called
    #[arg(long)]
    pub never_answer: bool,
    /// Say nothing at all, as a carrier that is down would
    #[arg(long)]
    pub silent: bool,
}

/// How often the log reaches the operating system.
const FLUSH: Duration = Duration::from_millis(100);

/// Runs until SIGTERM or SIGINT; prints `ready ADDRESS` first and a JSON summary last.
///
/// # Errors
/// When the address cannot be bound or a file not opened or written.
pub fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(args))
}

async fn serve(args: &Args) -> Result<()> {
    let socket = UdpSocket::bind(args.listen)
        .await
        .with_context(|| format!("carrier: listening on {}", args.listen))?;
    let local = socket.local_addr()?;
    let script = args.script.as_deref().map(read_script).transpose()?;
    let settings = Settings {
        local,
        plans: Plans {
            seed: args.seed,
            mix: if args.never_answer { Mix::never() } else { args.mix.clone() },
            ring: args.ring_ms,
            talk: args.talk_ms,
            script: script.unwrap_or_default(),
        },
        auth: args.auth.clone(),
        fail_all: args.fail_all,
        options: args.options,
        retry_after: args.retry_after,
    };
    let log = args.log.as_deref().map(open_log).transpose()?;
    let mut wire = Wire { socket, log, offset_us: args.clock_offset_ms.saturating_mul(1000) };
    let mut carrier = Carrier::new(settings);
    let mut rtp = Rtp::new(local.ip());
    say(&format!("ready {local}"))?;
    let outcome = wire.serve(&mut carrier, &mut rtp, args.silent).await;
    wire.flush()?;
    rtp.stop().await;
    say(&serde_json::to_string(&carrier.summary(&rtp))?)?;
    outcome
}

fn read_script(path: &Path) -> Result<behaviour::Script> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

fn open_log(path: &Path) -> Result<Writer> {
    Writer::open(path).with_context(|| path.display().to_string())
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// The signalling socket and its log.
struct Wire {
    socket: UdpSocket,
    log: Option<Writer>,
    offset_us: i64,
}

impl Wire {
    async fn serve(&mut self, carrier: &mut Carrier, rtp: &mut Rtp, silent: bool) -> Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut flush = tokio::time::interval(FLUSH);
        let mut buffer = vec![0; 65_536];
        loop {
            let wait = carrier.poll_timeout().map(|at| at.saturating_sub(clock::monotonic_ms()));
            let timer = tokio::time::sleep(Duration::from_millis(wait.unwrap_or(1000)));
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    // An ICMP error of an earlier send is no reason to stop.
                    let Ok((length, peer)) = received else { continue };
                    let datagram = buffer.get(..length).unwrap_or_default();
                    self.note(Direction::In, peer, datagram)?;
                    if !silent {
                        carrier.handle_datagram(datagram, peer, rtp, clock::monotonic_ms());
                    }
                }
                () = timer => carrier.handle_timeout(rtp, clock::monotonic_ms()),
                _ = flush.tick() => self.flush()?,
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
            }
            while let Some((peer, datagram)) = carrier.poll_transmit() {
                self.note(Direction::Out, peer, &datagram)?;
                // A lost datagram is what UDP is about; retransmission makes it good.
                drop(self.socket.send_to(&datagram, peer).await);
            }
        }
    }

    fn note(&mut self, dir: Direction, peer: SocketAddr, raw: &[u8]) -> Result<()> {
        if let Some(log) = &mut self.log {
            log.write(clock::unix_us() + self.offset_us, dir, peer, raw)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.log.as_mut().map_or(Ok(()), Writer::flush).context("writing the wire log")
    }
}

/// Loopback stands in where the carrier listens on every address.
const fn sdp_address(listen: IpAddr) -> IpAddr {
    if listen.is_unspecified() { IpAddr::V4(std::net::Ipv4Addr::LOCALHOST) } else { listen }
}
