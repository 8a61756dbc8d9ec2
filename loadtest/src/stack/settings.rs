//! `ringfence.toml` and `keys.toml` of a private stack: addresses that are free right now. The first
//! dialer, the API and the tools share the file in the run folder; every further dialer has a folder
//! with a file, keys and house rules of its own.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use toml::{Table, Value};

use super::{Stack, folder::RunFolder};

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

/// How a program reaches the stores.
#[derive(Debug, Clone)]
pub struct Stores {
    /// URL of PostgreSQL.
    pub postgres: String,
    /// What stands in `[redis]`.
    pub redis: Table,
}

impl Stores {
    /// One Redis by its URL.
    #[must_use]
    pub fn by_url(postgres: &str, redis: &str) -> Self {
        let redis = Table::from_iter([("url".to_owned(), Value::String(redis.to_owned()))]);
        Self { postgres: postgres.to_owned(), redis }
    }

    /// The primary that these Sentinels name; the password of the servers goes into a file of the
    /// stack's folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn by_sentinels(
        stack: &Stack,
        postgres: &str,
        sentinels: &[SocketAddr],
        service: &str,
        password: &str,
    ) -> anyhow::Result<Self> {
        let file = stack.folder.write_secret("redis-password", password)?;
        let places = sentinels.iter().map(|place| Value::String(place.to_string())).collect();
        let (_, redis) = section(
            "redis",
            [
                ("sentinels", Value::Array(places)),
                ("service", Value::String(service.to_owned())),
                ("password_file", Value::String(file.display().to_string())),
            ],
        );
        let Value::Table(redis) = redis else { bail!("a section is a table") };
        Ok(Self { postgres: postgres.to_owned(), redis })
    }
}

/// Where one dialer is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Its name in `node` and in metrics.
    pub(super) name: String,
    /// Health and metrics.
    pub(super) admin: SocketAddr,
    sip: SocketAddr,
    rtp_first: u16,
}

/// What the files say.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    stores: Stores,
    prompts: PathBuf,
    lists: PathBuf,
    keys: String,
    house: Option<String>,
    /// The first dialer.
    pub(super) first: Place,
    /// The other dialers.
    pub(super) others: Vec<Place>,
    /// Metrics of the API.
    pub(super) api_admin: SocketAddr,
    /// The API (HTTP).
    pub(super) api: SocketAddr,
    /// The carrier (UDP).
    pub(super) carrier: SocketAddr,
}

impl Settings {
    pub(super) fn choose(
        folder: &RunFolder,
        stores: Stores,
        dialers: NonZeroUsize,
    ) -> anyhow::Result<Self> {
        let mut tcp = free_tcp(dialers.get() + 2)?.into_iter();
        let mut udp = free_udp(dialers.get() + 1)?.into_iter();
        let mut random = [0; 2];
        getrandom::fill(&mut random).context("random bytes")?;
        let mut rtp = free_rtp(u16::from_le_bytes(random), dialers.get())?.into_iter();
        let mut next = || tcp.next().zip(udp.next()).context("too few free ports");
        let mut place = |number: usize| {
            let (admin, sip) = next()?;
            let rtp_first = rtp.next().context("too few blocks of free UDP ports")?;
            Ok(Place { name: format!("dialer-{number}"), admin, sip, rtp_first })
        };
        let first = place(1)?;
        let others = (2..=dialers.get()).map(&mut place).collect::<anyhow::Result<_>>()?;
        let (api, carrier) = next()?;
        let mut random = [0; 96];
        getrandom::fill(&mut random).context("random bytes")?;
        Ok(Self {
            stores,
            prompts: folder.path().join("prompts"),
            lists: folder.path().join("lists"),
            keys: schema::config::Keys::generate(&random, "demo.ringfence.invalid/audit"),
            house: None,
            first,
            others,
            carrier,
            api,
            api_admin: tcp.next().context("too few free ports")?,
        })
    }

    /// Changes the house rules.
    pub(super) fn with_house(mut self, house: Option<String>) -> Self {
        self.house = house;
        self
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

    /// Writes the file of a program into a folder of the run folder, with keys and house rules
    /// beside it; returns where it is. The API asks nothing of a dialer, so any place does for it.
    pub(super) fn write(
        &self,
        run: &RunFolder,
        folder: &str,
        place: &Place,
        stores: Option<&Stores>,
    ) -> anyhow::Result<PathBuf> {
        let own = run.path().join(folder);
        fs::create_dir_all(&own).with_context(|| own.display().to_string())?;
        let secret = |name: &str, text: &str| {
            run.write_secret(&Path::new(folder).join(name).display().to_string(), text)
        };
        secret("keys.toml", &self.keys)?;
        let stores = stores.unwrap_or(&self.stores);
        let text = |value: &str| Value::String(value.to_owned());
        let address = |value: SocketAddr| Value::String(value.to_string());
        let path = |value: &Path| Value::String(value.display().to_string());
        let port = |value: u16| Value::Integer(i64::from(value));
        let mut dialer = vec![
            ("name", text(&place.name)),
            ("sip", address(place.sip)),
            ("admin", address(place.admin)),
            ("prompts", path(&self.prompts)),
            ("lists", path(&self.lists)),
            (
                "rtp_ports",
                Value::Array(vec![port(place.rtp_first), port(place.rtp_first + RTP_BLOCK)]),
            ),
        ];
        if let Some(house) = &self.house {
            dialer.push(("house", path(&secret("house.toml", house)?)));
        }
        let file = Table::from_iter([
            section("postgres", [("url", text(&stores.postgres))]),
            ("redis".to_owned(), Value::Table(stores.redis.clone())),
            section("keys", [("file", text("keys.toml"))]),
            section("api", [("listen", address(self.api)), ("admin", address(self.api_admin))]),
            section("dialer", dialer),
        ]);
        secret("ringfence.toml", &toml::to_string(&file)?)
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
pub(crate) fn free_tcp(count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()
        .context("a free TCP port")?;
    Ok(held.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?)
}

/// The first ports of so many blocks for media that nobody has: another stack may be running. Looked
/// for from a block chosen by chance, so that two that start together do not choose alike.
fn free_rtp(chance: u16, count: usize) -> anyhow::Result<Vec<u16>> {
    let free = |port: u16| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let found: Vec<u16> = (0..RTP_BLOCKS)
        .map(|step| RTP_FIRST + (chance.wrapping_add(step) % RTP_BLOCKS) * RTP_BLOCK)
        .filter(|first| (*first..*first + RTP_BLOCK).step_by(100).all(free))
        .take(count)
        .collect();
    if found.len() < count {
        bail!("no {count} blocks of free UDP ports for media: is another demo running?");
    }
    Ok(found)
}

/// The same for UDP.
fn free_udp(count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    let held: Vec<UdpSocket> = (0..count)
        .map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()
        .context("a free UDP port")?;
    Ok(held.iter().map(UdpSocket::local_addr).collect::<Result<_, _>>()?)
}
