//! `ringfence.toml` and `keys.toml` of a private stack: addresses that are free right now.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use toml::{Table, Value};

use super::folder::RunFolder;

/// The prompt that is there when no other is given.
pub(super) const PROMPT: &str = "demo.wav";
/// Its length: a second.
const PROMPT_SAMPLES: usize = 8000;

/// First port of the range from which RTP blocks are taken, below the ports that the operating
/// system hands out by itself.
const RTP_FIRST: u16 = 12_000;
/// Ports in a block: 500 calls, RTP and RTCP each.
const RTP_BLOCK: u16 = 1000;
/// Blocks to choose from.
const RTP_BLOCKS: u16 = 20;

/// What the files say.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    postgres: String,
    redis: String,
    prompts: PathBuf,
    lists: PathBuf,
    rtp_first: u16,
    sip: SocketAddr,
    /// Metrics of the API.
    pub(super) api_admin: SocketAddr,
    /// The API (HTTP).
    pub(super) api: SocketAddr,
    /// Health and metrics of the dialer.
    pub(super) dialer_admin: SocketAddr,
    /// The carrier (UDP).
    pub(super) carrier: SocketAddr,
}

impl Settings {
    pub(super) fn choose(folder: &RunFolder, postgres: &str, redis: &str) -> anyhow::Result<Self> {
        let (tcp, udp) = (free_tcp::<3>()?, free_udp::<2>()?);
        let mut random = [0; 2];
        getrandom::fill(&mut random).context("random bytes")?;
        let rtp_first = free_rtp(u16::from_le_bytes(random))?;
        Ok(Self {
            postgres: postgres.to_owned(),
            redis: redis.to_owned(),
            prompts: folder.path().join("prompts"),
            lists: folder.path().join("lists"),
            rtp_first,
            sip: udp[0],
            carrier: udp[1],
            api: tcp[0],
            api_admin: tcp[1],
            dialer_admin: tcp[2],
        })
    }

    /// Takes these folders; where there is none, an own one: without lists, or with a prompt.
    pub(super) fn with_folders(
        mut self,
        prompts: Option<&Path>,
        lists: Option<&Path>,
    ) -> anyhow::Result<Self> {
        for (given, own) in [(prompts, &mut self.prompts), (lists, &mut self.lists)] {
            match given {
                Some(given) => {
                    *own = fs::canonicalize(given).context(given.display().to_string())?
                }
                None => fs::create_dir_all(&*own).context(own.display().to_string())?,
            }
        }
        let prompt = self.prompts.join(PROMPT);
        if prompts.is_none() && !prompt.exists() {
            write_prompt(&prompt).with_context(|| prompt.display().to_string())?;
        }
        Ok(self)
    }

    pub(super) fn write(&self, folder: &RunFolder, house: Option<&str>) -> anyhow::Result<()> {
        let mut random = [0; 96];
        getrandom::fill(&mut random).context("random bytes")?;
        let keys = schema::config::Keys::generate(&random, "demo.ringfence.invalid/audit");
        folder.write_secret("keys.toml", &keys)?;
        let text = |value: &str| Value::String(value.to_owned());
        let address = |value: SocketAddr| Value::String(value.to_string());
        let path = |value: &Path| Value::String(value.display().to_string());
        let port = |value: u16| Value::Integer(i64::from(value));
        let mut dialer = vec![
            ("sip", address(self.sip)),
            ("admin", address(self.dialer_admin)),
            ("prompts", path(&self.prompts)),
            ("lists", path(&self.lists)),
            (
                "rtp_ports",
                Value::Array(vec![port(self.rtp_first), port(self.rtp_first + RTP_BLOCK)]),
            ),
        ];
        if let Some(house) = house {
            dialer.push(("house", path(&folder.write_secret("house.toml", house)?)));
        }
        let file = Table::from_iter([
            section("postgres", [("url", text(&self.postgres))]),
            section("redis", [("url", text(&self.redis))]),
            section("keys", [("file", text("keys.toml"))]),
            section("api", [("listen", address(self.api)), ("admin", address(self.api_admin))]),
            section("dialer", dialer),
        ]);
        folder.write_secret("ringfence.toml", &toml::to_string(&file)?)?;
        Ok(())
    }
}

/// A short tone as a prompt: 8 kHz, mono, 16 bits.
fn write_prompt(path: &Path) -> anyhow::Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    // 400 Hz: twenty samples a wave; a quarter of full scale.
    const WAVE: [i16; 20] = [
        0, 2531, 4815, 6627, 7791, 8192, 7791, 6627, 4815, 2531, 0, -2531, -4815, -6627, -7791,
        -8192, -7791, -6627, -4815, -2531,
    ];
    for sample in WAVE.iter().cycle().take(PROMPT_SAMPLES) {
        writer.write_sample(*sample)?;
    }
    writer.finalize()?;
    Ok(())
}

fn section<'a>(name: &str, entries: impl IntoIterator<Item = (&'a str, Value)>) -> (String, Value) {
    let table = entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    (name.to_owned(), Value::Table(table))
}

/// Addresses on loopback whose TCP ports are free right now, each another.
pub(super) fn free_tcp<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    let mut held = Vec::new();
    let mut found = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for address in &mut found {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free TCP port")?;
        *address = listener.local_addr()?;
        held.push(listener);
    }
    Ok(found)
}

/// The first port of a block for media that nobody has: another stack may be running. Looked for
/// from a block chosen by chance, so that two that start together do not choose alike.
fn free_rtp(chance: u16) -> anyhow::Result<u16> {
    let free = |port: u16| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    (0..RTP_BLOCKS)
        .map(|step| RTP_FIRST + (chance.wrapping_add(step) % RTP_BLOCKS) * RTP_BLOCK)
        .find(|first| (*first..*first + RTP_BLOCK).step_by(100).all(free))
        .context("no block of free UDP ports for media: is another demo running?")
}

/// The same for UDP.
fn free_udp<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    let mut held = Vec::new();
    let mut found = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for address in &mut found {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("a free UDP port")?;
        *address = socket.local_addr()?;
        held.push(socket);
    }
    Ok(found)
}
