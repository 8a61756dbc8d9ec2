//! The one configuration file, `ringfence.toml`, shared by both processes. It is read once and
//! every fault in it is reported at once.

mod reader;
mod redis;

use std::{
    fmt,
    net::SocketAddr,
    ops::Range,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reader::Reader;
pub use redis::{Login, Place, Redis, RedisWay};

use crate::numbers::NumberKeys;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// What is wrong in it, every fault on a line of its own.
    #[error("{} has {} fault(s):\n  {}", path.display(), faults.len(), faults.join("\n  "))]
    Faults {
        /// Which file.
        path: PathBuf,
        /// Each names its key.
        faults: Vec<String>,
    },
}

/// Something that must not be printed. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    #[must_use]
    pub const fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(redacted)")
    }
}

/// A store's URL; `Debug` and `Display` hide its password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// Wraps it.
    #[must_use]
    pub const fn new(url: String) -> Self {
        Self(url)
    }

    /// The whole URL, password included.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return f.write_str("(not a URL)");
        };
        match rest.rsplit_once('@') {
            Some((login, place)) => {
                let user = login.split_once(':').map_or(login, |(user, _)| user);
                write!(f, "{scheme}://{user}:***@{place}")
            }
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `ringfence.toml`.
#[derive(Debug, Clone)]
pub struct Config {
    /// The truth.
    pub postgres: Postgres,
    /// The copy.
    pub redis: Redis,
    /// Read from the file that `[keys]` names.
    pub keys: Keys,
    /// The API process.
    pub api: Api,
    /// The dialer process.
    pub dialer: Dialer,
}

/// `[postgres]`.
#[derive(Debug, Clone)]
pub struct Postgres {
    /// `postgres://user:password@host:port/database`, of a login in the role `ringfence_app`.
    /// Given as `url`, or as `url_file`: the path of a file that holds nothing else.
    pub url: StoreUrl,
    /// Connections of one process, 1 to 200.
    pub max_connections: u32,
}

/// The keys file.
#[derive(Clone)]
pub struct Keys {
    /// `numbers_cipher` and `numbers_lookup`.
    pub numbers: NumberKeys,
    /// `audit_signing`: seed of the Ed25519 key that signs checkpoints.
    pub audit_signing: [u8; 32],
    /// `audit_name`: origin of the checkpoints, for example `ringfence.example.com/audit`.
    pub audit_name: String,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("audit_name", &self.audit_name).finish_non_exhaustive()
    }
}

/// `[api]`.
#[derive(Debug, Clone)]
pub struct Api {
    /// Where the API listens (HTTP).
    pub listen: SocketAddr,
    /// Where its metrics listen.
    pub admin: SocketAddr,
}

/// `[dialer]`.
#[derive(Debug, Clone)]
pub struct Dialer {
    /// Name of this process in `node` and in metrics.
    pub name: String,
    /// Local address of the SIP socket (UDP).
    pub sip: SocketAddr,
    /// The address that Via, Contact and SDP give; `sip` if absent.
    pub advertise: SocketAddr,
    /// Where health and metrics listen.
    pub admin: SocketAddr,
    /// Folder of the prompts (WAV).
    pub prompts: PathBuf,
    /// Folder of the national lists.
    pub lists: PathBuf,
    /// Folder of the rule packs; `None` for those built in.
    pub packs: Option<PathBuf>,
    /// File of overrides of the house rules; `None` for the house rules as they are. This and `packs`
    /// are looked at while a process runs, and taken when they have changed and have no fault.
    pub house: Option<PathBuf>,
    /// UDP ports of RTP, end excluded.
    pub rtp_ports: Range<u16>,
}

impl Config {
    /// Reads the file and the keys file it names. Relative paths in it start at its own folder.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path)?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let mut config = Self::parse(&text, folder)
            .map_err(|faults| ConfigError::Faults { path: path.to_owned(), faults })?;
        let keys = std::mem::take(&mut config.1);
        let keys_text = read(&keys)?;
        config.0.keys =
            Keys::parse(&keys_text).map_err(|faults| ConfigError::Faults { path: keys, faults })?;
        Ok(config.0)
    }

    /// The configuration without its keys, and where those are.
    fn parse(text: &str, folder: &Path) -> Result<(Self, PathBuf), Vec<String>> {
        let mut reader = Reader::new(text, &["postgres", "redis", "keys", "api", "dialer"])?;
        let postgres = reader.section("postgres", &["url", "url_file", "max_connections"]);
        let postgres_url = reader.url(&postgres, folder, &["postgres://", "postgresql://"]);
        let max_connections = reader.number(&postgres, "max_connections", 8, 1, 200);
        let redis = Redis::read(&mut reader, folder);
        let keys = reader.section("keys", &["file"]);
        let keys_file = reader.path(&keys, "file", folder);
        let api = reader.section("api", &["listen", "admin"]);
        let listen = reader.address(&api, "listen", Some("127.0.0.1:8080"));
        let api_admin = reader.address(&api, "admin", Some("127.0.0.1:9101"));
        let section = reader.section(
            "dialer",
            &[
                "name",
                "sip",
                "advertise",
                "admin",
                "prompts",
                "lists",
                "packs",
                "house",
                "rtp_ports",
            ],
        );
        let name = reader.text(&section, "name", Some("dialer-1"));
        let sip = reader.address(&section, "sip", Some("127.0.0.1:5070"));
        let advertise = if section.has("advertise") {
            reader.address(&section, "advertise", None)
        } else {
            sip
        };
        let dialer = Dialer {
            name,
            sip,
            advertise,
            admin: reader.address(&section, "admin", Some("127.0.0.1:9102")),
            prompts: reader.path(&section, "prompts", folder),
            lists: reader.path(&section, "lists", folder),
            packs: reader.optional_path(&section, "packs", folder),
            house: reader.optional_path(&section, "house", folder),
            rtp_ports: reader.ports(&section, "rtp_ports", 20_000..24_000),
        };
        reader.finish()?;
        let max_connections = u32::try_from(max_connections).unwrap_or(8);
        let config = Self {
            postgres: Postgres { url: StoreUrl(postgres_url), max_connections },
            redis,
            keys: Keys {
                numbers: NumberKeys { cipher: [0; 32], lookup: [0; 32] },
                audit_signing: [0; 32],
                audit_name: String::new(),
            },
            api: Api { listen, admin: api_admin },
            dialer,
        };
        Ok((config, keys_file))
    }
}

impl Keys {
    /// Reads the text of a keys file.
    ///
    /// # Errors
    /// Every fault, none of which repeats a key.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        const NAMES: [&str; 4] =
            ["numbers_cipher", "numbers_lookup", "audit_signing", "audit_name"];
        // The faults of the TOML parser quote the line, which may hold a key.
        let mut reader = Reader::new(text, &NAMES).map_err(|faults| {
            faults
                .into_iter()
                .map(|fault| match fault.starts_with("unknown") {
                    true => fault,
                    false => "not a TOML file of four texts".to_owned(),
                })
                .collect::<Vec<_>>()
        })?;
        let top = reader.top();
        let keys = Self {
            numbers: NumberKeys {
                cipher: reader.key(&top, "numbers_cipher"),
                lookup: reader.key(&top, "numbers_lookup"),
            },
            audit_signing: reader.key(&top, "audit_signing"),
            audit_name: reader.text(&top, "audit_name", None),
        };
        reader.finish()?;
        Ok(keys)
    }

    /// The text of a new keys file, made from 96 random bytes. Keep the file readable by the
    /// processes only.
    #[must_use]
    pub fn generate(random: &[u8; 96], audit_name: &str) -> String {
        let mut parts = random.chunks(32).map(|part| STANDARD.encode(part));
        let mut next = || parts.next().unwrap_or_default();
        format!(
            "# The keys of one Ringfence deployment. Whoever has them can read its telephone numbers\n\
             # and sign its audit; without them the numbers are lost.\n\
             numbers_cipher = \"{}\"\nnumbers_lookup = \"{}\"\naudit_signing = \"{}\"\naudit_name = {}\n",
            next(),
            next(),
            next(),
            toml::Value::String(audit_name.to_owned()),
        )
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|reason| ConfigError::Unreadable { path: path.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[postgres]
url = "postgres://user:secret@127.0.0.1:5432/ringfence"
[redis]
url = "redis://:hidden@127.0.0.1:6379"
[keys]
file = "keys.toml"
[dialer]
prompts = "prompts"
lists = "/lists"
rtp_ports = [30000, 30100]
"#;

    #[test]
    fn a_good_file_is_read_with_defaults_and_paths_from_its_own_folder() {
        let (config, keys) = Config::parse(GOOD, Path::new("/etc/ringfence")).unwrap();
        assert_eq!(keys, Path::new("/etc/ringfence/keys.toml"));
        assert_eq!(config.dialer.prompts, Path::new("/etc/ringfence/prompts"));
        assert_eq!(config.dialer.lists, Path::new("/lists"));
        assert_eq!(config.dialer.advertise, config.dialer.sip);
        assert_eq!(config.dialer.rtp_ports, 30_000..30_100);
        assert_eq!(config.postgres.max_connections, 8);
    }

    #[test]
    fn every_fault_is_reported_at_once_with_its_key() {
        let text = r#"
[postgres]
url = "mysql://x"
max_connections = 0
[redis]
urk = "redis://x"
[api]
listen = "nowhere"
[dialer]
prompts = 3
rtp_ports = [5, 4]
[speling]
"#;
        let faults = Config::parse(text, Path::new(".")).unwrap_err();
        for key in [
            "postgres.url",
            "postgres.max_connections",
            "redis.urk",
            "redis.url",
            "keys.file",
            "api.listen",
            "dialer.prompts",
            "dialer.lists",
            "dialer.rtp_ports",
            "speling",
        ] {
            assert!(faults.iter().any(|fault| fault.contains(key)), "{key} in {faults:?}");
        }
    }

    #[test]
    fn redis_is_reached_by_one_server_by_sentinels_or_as_a_cluster() {
        let url = "url = \"redis://:hidden@127.0.0.1:6379\"";
        let parsed = |redis: &str| {
            let text = GOOD.replace(url, redis);
            Config::parse(&text, Path::new("/nowhere")).map(|(config, _)| config.redis)
        };
        let redis = parsed("sentinels = [\"c:3\", \"a:1\", \"[::1]:2\"]\nservice = \"voice\"");
        let said = redis.unwrap().to_string();
        assert_eq!(said, "the master \"voice\" of the Sentinels [::1]:2, a:1, c:3");
        let redis = parsed("cluster = [\"a:1\"]\ntls = true").unwrap();
        assert_eq!((redis.to_string().as_str(), redis.tls), ("the cluster of a:1", true));
        assert!(parsed("url = \"rediss://u:hidden@h:1\"").unwrap().tls);
        for (wrong, key) in [
            ("cluster = [\"a:1\"]\nurl = \"redis://h\"", "redis.cluster is one way too many"),
            ("cluster = [\"a\"]", "redis.cluster must be a list"),
            ("cluster = [\"a:1\", 2]", "redis.cluster must be a list"),
            ("cluster = [\"a:1\"]\nservice = \"x\"", "redis.service is for Sentinel only"),
            ("cluster = [\"a:1\"]\nusername = \"u\"", "redis.username has no password_file"),
            ("cluster = [\"a:1\"]\ntls = 1", "redis.tls must be true or false"),
            ("cluster = [\"a:1\"]\npassword_file = \"no\"", "redis.password_file cannot be read"),
            (
                "sentinels = [\"a:1\", \"b:1\"]\nservice = \"x\"",
                "redis.sentinels must be a list of 3",
            ),
            ("sentinels = [\"a:1\", \"b:1\", \"c:1\"]", "redis.service is missing"),
            (
                "url = \"redis://h\"\ntls = true",
                "redis.tls is for Sentinel and Cluster: write rediss",
            ),
            (
                "url = \"redis://h\"\nusername = \"u\"\npassword_file = \"p\"",
                "redis.username is for",
            ),
            ("url = \"rediss://h\"\nca_file = \"no.pem\"", "redis.ca_file cannot be read"),
        ] {
            let faults = parsed(wrong).unwrap_err();
            assert!(faults.iter().any(|fault| fault.contains(key)), "{wrong}: {faults:?}");
        }
    }

    #[test]
    fn a_url_may_stand_in_a_file_of_its_own_which_no_fault_repeats() {
        let folder = std::env::temp_dir().join(format!("ringfence-url-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = "url = \"postgres://user:secret@127.0.0.1:5432/ringfence\"";
        let text = GOOD.replace(file, "url_file = \"postgres-url\"");
        let parsed = |content: &str| {
            std::fs::write(folder.join("postgres-url"), content).unwrap();
            Config::parse(&text, &folder)
        };
        let (config, _) = parsed("postgres://u:hidden@db:5432/ringfence\n").unwrap();
        assert_eq!(config.postgres.url.expose(), "postgres://u:hidden@db:5432/ringfence");
        for wrong in ["mysql://u:hidden@db", "", "postgres://u:hidden@db\npostgres://u:hidden@db"] {
            let faults = parsed(wrong).unwrap_err().join(" ");
            assert!(faults.contains("postgres.url_file") && !faults.contains("hidden"), "{faults}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(Config::parse(&text, &folder).unwrap_err().join(" ").contains("postgres.url_file"));
        let both = GOOD.replace(file, &format!("{file}\nurl_file = \"postgres-url\""));
        assert!(Config::parse(&both, &folder).unwrap_err().join(" ").contains("either url or"));
    }

    #[test]
    fn printing_a_configuration_shows_no_secret() {
        let (config, _) = Config::parse(GOOD, Path::new(".")).unwrap();
        let printed = format!("{config:?}");
        assert!(!printed.contains("secret") && !printed.contains("hidden"), "{printed}");
        assert!(printed.contains("postgres://user:***@127.0.0.1:5432/ringfence"), "{printed}");
    }

    #[test]
    fn a_generated_keys_file_is_read_back_and_bad_keys_are_not_repeated() {
        let mut random = [0; 96];
        for (byte, value) in random.iter_mut().zip(0u8..) {
            *byte = value;
        }
        let text = Keys::generate(&random, "ringfence.test/audit");
        let keys = Keys::parse(&text).unwrap();
        assert_eq!(keys.numbers.cipher.as_slice(), &random[..32]);
        assert_eq!(keys.audit_signing.as_slice(), &random[64..]);
        assert_eq!(keys.audit_name, "ringfence.test/audit");
        let faults =
            Keys::parse("numbers_cipher = \"c2hvcnQ=\"\nnumbers_lookup = broken").unwrap_err();
        assert!(!faults.join(" ").contains("broken"), "{faults:?}");
        let faults = Keys::parse("numbers_cipher = \"c2hvcnQ=\"").unwrap_err();
        assert_eq!(faults.len(), 4, "{faults:?}");
        assert!(!faults.join(" ").contains("c2hvcnQ="), "{faults:?}");
    }
}
