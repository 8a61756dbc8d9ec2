//! Where the API is, whose key is used, and in which language and zone is spoken: flags first, then
//! the environment, then `~/.config/ringfence/terminal.toml`. The only file that reads the
//! environment.
#![allow(clippy::disallowed_methods, reason = "configuration is read once, here")]

use std::{
    env, fmt, fs,
    io::{self, IsTerminal as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use dialer_types::{Language, Say, say};
use serde::{Deserialize, Serialize};

use crate::{
    arguments::Global,
    page::{Page, zone},
    trouble::Trouble,
    words::Tongue,
};

/// Columns when nobody says how wide the terminal is: a file or a pipe, which need no wrapping.
const WIDTH_OF_A_FILE: u16 = 200;

/// An API key. Never shown, not even by `Debug`.
#[derive(Clone)]
pub(crate) struct Key(String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(hidden)")
    }
}

impl Key {
    /// For the header, and for nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    fn read(text: &str) -> Result<Self, Say> {
        let key = text.trim();
        if key.is_empty() {
            return Err(say!("the API key is empty"));
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(say!("the API key holds blanks or characters that no key has"));
        }
        Ok(Self(key.to_owned()))
    }
}

/// `terminal.toml`
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    /// The API's address.
    pub(crate) api: Option<String>,
    /// The file that holds the key.
    pub(crate) key_file: Option<PathBuf>,
}

/// Where requests go, and as whom.
#[derive(Debug)]
pub(crate) struct Access {
    /// `http://host:port`, without a slash at the end.
    pub(crate) api: String,
    pub(crate) key: Key,
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

/// The language of the flag or of the locale.
pub(crate) fn tongue(asked: Option<&str>) -> Tongue {
    let locale = asked
        .map(str::to_owned)
        .or_else(|| ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(variable));
    Tongue(locale.map_or_else(Language::default, |locale| Language::of_locale(&locale)))
}

/// The paper to write on; the width is that of where it goes.
pub(crate) fn page(global: &Global, tongue: Tongue, errors: bool) -> Page {
    let terminal = if errors { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
    let screen = if errors { console::Term::stderr() } else { console::Term::stdout() };
    let known = variable("COLUMNS").and_then(|columns| columns.parse().ok());
    let width = known
        .or_else(|| terminal.then(|| screen.size().1))
        .unwrap_or(WIDTH_OF_A_FILE)
        .clamp(20, 1000);
    let colors = terminal
        && variable("NO_COLOR").is_none()
        && variable("TERM").is_none_or(|term| term != "dumb");
    let named = global.zone.clone().or_else(|| variable("TZ"));
    Page { tongue, width, colors, zone: named.as_deref().and_then(zone) }
}

/// Where and as whom.
pub(crate) fn access(global: &Global) -> Result<Access, Trouble> {
    let saved = saved()?;
    let api = global.api.clone().or_else(|| variable("RINGFENCE_API")).or(saved.api);
    let api = api.ok_or_else(|| Trouble::Usage(say!("no API address: set RINGFENCE_API=http://HOST:PORT, give --api, or run `./ringfence login --api http://HOST:PORT --key-file FILE` once")))?;
    let file = global.key_file.clone();
    let key = match (file, variable("RINGFENCE_KEY")) {
        (Some(file), _) => key_in(&file)?,
        (None, Some(key)) => Key::read(&key).map_err(Trouble::Usage)?,
        (None, None) => {
            let file = variable("RINGFENCE_KEY_FILE").map(PathBuf::from).or(saved.key_file);
            let file = file.ok_or_else(|| Trouble::Usage(say!("no API key: set RINGFENCE_KEY_FILE=FILE or RINGFENCE_KEY, give --key-file, or run `./ringfence login` once; an operator makes a key with: ./ringfence campaign-api key create --name YOU --role campaign_manager")))?;
            key_in(&file)?
        }
    };
    Ok(Access { api: address(&api)?, key })
}

/// A base address in its plain form.
pub(crate) fn address(text: &str) -> Result<String, Trouble> {
    let plain = text.trim().trim_end_matches('/');
    let rest = plain.strip_prefix("http://").or_else(|| plain.strip_prefix("https://"));
    // A name and a password in the address would be shown with it.
    if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['@', ' ', '?', '#'])) {
        return Err(Trouble::Usage(say!(
            "the API address must look like http://HOST:PORT or https://HOST"
        )));
    }
    Ok(plain.to_owned())
}

/// The key that a file holds, alone on its first line.
pub(crate) fn key_in(file: &Path) -> Result<Key, Trouble> {
    let text = fs::read_to_string(file).map_err(|error| trouble(file, &error))?;
    Key::read(text.lines().next().unwrap_or_default()).map_err(|say| {
        Trouble::Usage(say!("{file}: {reason}", file = file.display()).with("reason", say))
    })
}

/// A file and why it cannot be used.
pub(crate) fn trouble(path: &Path, error: &dyn fmt::Display) -> Trouble {
    Trouble::File { path: path.display().to_string(), reason: error.to_string() }
}

fn settings_file() -> Option<PathBuf> {
    let folder = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".config")))?;
    Some(folder.join("ringfence").join("terminal.toml"))
}

fn saved() -> Result<Saved, Trouble> {
    let Some(file) = settings_file() else { return Ok(Saved::default()) };
    match fs::read_to_string(&file) {
        Ok(text) => toml::from_str(&text).map_err(|error| trouble(&file, &error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Saved::default()),
        Err(error) => Err(trouble(&file, &error)),
    }
}

/// Keeps the settings, readable for their owner only. Gives the file.
pub(crate) fn save(saved: &Saved) -> Result<PathBuf, Trouble> {
    let file = settings_file().ok_or_else(|| {
        Trouble::Usage(say!("neither HOME nor XDG_CONFIG_HOME says where settings are kept"))
    })?;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|error| trouble(folder, &error))?;
    }
    let text = toml::to_string(saved).map_err(|error| trouble(&file, &error))?;
    let mut options = fs::OpenOptions::new();
    let mut open = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&file)
        .map_err(|error| trouble(&file, &error))?;
    // The mode above holds for a new file only.
    open.set_permissions(fs::Permissions::from_mode(0o600))
        .and_then(|()| open.write_all(text.as_bytes()))
        .map_err(|error| trouble(&file, &error))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let key = Key::read("  rfk_secret\n").unwrap();
        assert_eq!(format!("{key:?}"), "Key(hidden)");
        assert_eq!(key.expose(), "rfk_secret");
        assert!(Key::read("").is_err());
        assert!(Key::read("two words").is_err());
    }

    #[test]
    fn addresses_lose_their_last_slash_and_hold_no_password() {
        assert_eq!(address("http://x:8080/").unwrap(), "http://x:8080");
        for bad in ["x:8080", "ftp://x", "http://", "https://name:word@x", "http://x?y"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_flag_chooses_the_language() {
        assert_eq!(tongue(Some("zh")).0, Language::Chinese);
        assert_eq!(tongue(Some("zh_CN.UTF-8")).0, Language::Chinese);
        assert_eq!(tongue(Some("en")).0, Language::English);
    }
}
