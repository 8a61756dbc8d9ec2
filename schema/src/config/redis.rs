//! `[redis]`: one of three ways to the copies, and what opens the door there.

use std::{fmt, path::Path};

use super::{
    Secret, StoreUrl,
    reader::{Reader, Section},
};

/// Fewer Sentinels than this cannot outvote one that is wrong.
const LEAST_SENTINELS: usize = 3;
/// More places than anybody has; each is asked at every discovery.
const MOST_PLACES: usize = 32;

pub(super) const KEYS: &[&str] = &[
    "url",
    "url_file",
    "sentinels",
    "service",
    "cluster",
    "username",
    "password_file",
    "sentinel_username",
    "sentinel_password_file",
    "tls",
    "ca_file",
];

/// `[redis]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redis {
    /// Where the master is, or who says so.
    pub way: RedisWay,
    /// For Sentinel and Cluster; a URL has its own.
    pub login: Login,
    /// Whether connections are encrypted; a URL says so itself (`rediss://`).
    pub tls: bool,
    /// PEM of the authorities that sign the servers' certificates; `None` for those of the system.
    pub ca: Option<String>,
}

/// Where the master is, or who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisWay {
    /// One server: `redis://` or `rediss://`.
    Single(StoreUrl),
    /// The Sentinels, all of them, name the master of `service`.
    Sentinel {
        /// Every Sentinel there is: a majority of these must agree.
        sentinels: Vec<Place>,
        /// What they call the master.
        service: String,
        /// For the Sentinels themselves.
        login: Login,
    },
    /// Some of the nodes of a cluster, which name the others.
    Cluster(Vec<Place>),
}

/// A user of Redis. Without a name it is `default`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// Its name.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
}

/// A host and its TCP port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// A name or an address; an IPv6 address without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Place {
    /// Reads `host:port`, or `[address]:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let bare = !host.is_empty() && !host.contains(['/', '@', ' ', '[', ']']);
        bare.then(|| Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Redis {
    /// Where, without a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |places: &[Place]| {
            places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        match &self.way {
            RedisWay::Single(url) => write!(f, "{url}"),
            RedisWay::Sentinel { sentinels, service, .. } => {
                write!(f, "the master \"{service}\" of the Sentinels {}", listed(sentinels))
            }
            RedisWay::Cluster(nodes) => write!(f, "the cluster of {}", listed(nodes)),
        }
    }
}

impl Redis {
    /// One server, by its URL.
    #[must_use]
    pub const fn single(url: StoreUrl) -> Self {
        let login = Login { username: None, password: None };
        Self { way: RedisWay::Single(url), login, tls: false, ca: None }
    }

    pub(super) fn read(reader: &mut Reader, folder: &Path) -> Self {
        let section = reader.section("redis", KEYS);
        let ways: Vec<_> = [("url", "url_file"), ("sentinels", ""), ("cluster", "")]
            .into_iter()
            .filter(|(one, other)| section.has(one) || section.has(other))
            .map(|(name, _)| name)
            .collect();
        if ways.len() > 1 {
            let what = format!("is one way too many: {} are given", ways.join(" and "));
            reader.fault(&section, ways.last().unwrap_or(&"url"), &what);
        }
        let ca = reader.optional_text_of(&section, "ca_file", folder);
        let way = match ways.first() {
            Some(&"sentinels") => Self::sentinels(reader, &section, folder),
            Some(&"cluster") => RedisWay::Cluster(places(reader, &section, "cluster", 1)),
            _ => {
                let url = reader.url(&section, folder, &["redis://", "rediss://"]);
                RedisWay::Single(StoreUrl::new(url))
            }
        };
        let needless: &[&str] = match &way {
            RedisWay::Single(_) => &[
                "service",
                "username",
                "password_file",
                "sentinel_username",
                "sentinel_password_file",
                "tls",
            ],
            RedisWay::Sentinel { .. } => &[],
            RedisWay::Cluster(_) => &["service", "sentinel_username", "sentinel_password_file"],
        };
        for key in needless.iter().filter(|key| section.has(key)) {
            let what = match &way {
                RedisWay::Single(_) if !["service", "tls"].contains(key) => {
                    "is for Sentinel and Cluster: the url holds user and password"
                }
                RedisWay::Single(_) if *key == "tls" => {
                    "is for Sentinel and Cluster: write rediss://"
                }
                _ => "is for Sentinel only",
            };
            reader.fault(&section, key, what);
        }
        let tls = match &way {
            RedisWay::Single(url) => url.expose().starts_with("rediss://"),
            _ => reader.flag(&section, "tls", false),
        };
        if ca.as_ref().is_some_and(|ca| !ca.contains("-----BEGIN CERTIFICATE-----")) {
            reader.fault(&section, "ca_file", "must name a file with certificates (PEM)");
        }
        if ca.is_some() && !tls {
            reader.fault(
                &section,
                "ca_file",
                "is given, and nothing is encrypted: rediss:// or tls",
            );
        }
        let login = login(reader, &section, folder, ["username", "password_file"]);
        Self { way, login, tls, ca }
    }

    fn sentinels(reader: &mut Reader, section: &Section, folder: &Path) -> RedisWay {
        let sentinels = places(reader, section, "sentinels", LEAST_SENTINELS);
        let service = reader.text(section, "service", None);
        let keys = ["sentinel_username", "sentinel_password_file"];
        RedisWay::Sentinel { sentinels, service, login: login(reader, section, folder, keys) }
    }
}

fn login(reader: &mut Reader, section: &Section, folder: &Path, keys: [&str; 2]) -> Login {
    let [name, file] = keys;
    let username = section.has(name).then(|| reader.text(section, name, None));
    let password = section.has(file).then(|| Secret::new(reader.one_line(section, file, folder)));
    if username.is_some() && password.is_none() {
        reader.fault(section, name, &format!("has no {file}"));
    }
    Login { username, password }
}

fn places(reader: &mut Reader, section: &Section, key: &str, least: usize) -> Vec<Place> {
    let texts = reader.texts(section, key);
    let places: Option<Vec<_>> = texts.iter().map(|text| Place::parse(text)).collect();
    let mut places = places.unwrap_or_default();
    places.sort();
    places.dedup();
    if places.len() < texts.len().max(least) || places.len() > MOST_PLACES {
        let what = format!(
            "must be a list of {least} to {MOST_PLACES} different places like \"host:port\"{}",
            if least > 1 { ", every Sentinel there is" } else { "" }
        );
        reader.fault(section, key, &what);
    }
    places
}
