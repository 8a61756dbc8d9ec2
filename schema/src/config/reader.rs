//! Reads typed values out of a TOML table and gathers every fault.

use std::{
    net::SocketAddr,
    ops::Range,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use toml::{Table, Value};

/// A table and its name, with the dot, for messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Section {
    prefix: String,
    table: Table,
}

#[derive(Debug)]
pub(super) struct Reader {
    top: Table,
    faults: Vec<String>,
}

const NOWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

impl Section {
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }
}

impl Reader {
    pub(super) fn new(text: &str, known: &[&str]) -> Result<Self, Vec<String>> {
        let top: Table = text.parse().map_err(|error: toml::de::Error| vec![error.to_string()])?;
        let mut reader = Self { top, faults: Vec::new() };
        let top = reader.top();
        reader.unknown(&top, known);
        Ok(reader)
    }

    pub(super) fn finish(self) -> Result<(), Vec<String>> {
        if self.faults.is_empty() { Ok(()) } else { Err(self.faults) }
    }

    pub(super) fn top(&self) -> Section {
        Section { prefix: String::new(), table: self.top.clone() }
    }

    /// A sub-table; an absent one is empty, so that each of its required keys is missed by name.
    pub(super) fn section(&mut self, name: &str, known: &[&str]) -> Section {
        let prefix = format!("{name}.");
        let section = match self.top.get(name) {
            Some(Value::Table(table)) => Section { prefix, table: table.clone() },
            Some(_) => {
                self.faults.push(format!("{name} must be a table"));
                Section { prefix, ..Section::default() }
            }
            None => Section { prefix, ..Section::default() },
        };
        self.unknown(&section, known);
        section
    }

    fn unknown(&mut self, section: &Section, known: &[&str]) {
        for key in section.table.keys().filter(|key| !known.contains(&key.as_str())) {
            let known = known.join(", ");
            self.faults.push(format!("unknown key {}{key} (known: {known})", section.prefix));
        }
    }

    pub(super) fn fault(&mut self, section: &Section, key: &str, what: &str) {
        self.faults.push(format!("{}{key} {what}", section.prefix));
    }

    pub(super) fn text(&mut self, section: &Section, key: &str, default: Option<&str>) -> String {
        match (section.table.get(key), default) {
            (Some(Value::String(text)), _) if !text.trim().is_empty() => text.clone(),
            (Some(_), _) => {
                self.fault(section, key, "must be a text that is not empty");
                String::new()
            }
            (None, Some(default)) => default.to_owned(),
            (None, None) => {
                self.fault(section, key, "is missing");
                String::new()
            }
        }
    }

    /// A store's URL: `url`, or the content of the file that `url_file` names. No fault repeats it.
    pub(super) fn url(&mut self, section: &Section, folder: &Path, schemes: &[&str]) -> String {
        let missing = self.faults.len();
        let (key, url) = match (section.has("url"), section.has("url_file")) {
            (true, true) => {
                self.fault(section, "url", "is given twice: give either url or url_file");
                return String::new();
            }
            (false, true) => ("url_file", self.one_line(section, "url_file", folder)),
            _ => ("url", self.text(section, "url", None)),
        };
        if self.faults.len() == missing && !schemes.iter().any(|scheme| url.starts_with(scheme)) {
            self.fault(section, key, &format!("must start with {}", schemes.join(" or ")));
        }
        url
    }

    /// The only line of the file that a key names.
    pub(super) fn one_line(&mut self, section: &Section, key: &str, folder: &Path) -> String {
        let missing = self.faults.len();
        let path = self.path(section, key, folder);
        if self.faults.len() > missing {
            return String::new();
        }
        let text = self.content(section, key, &path);
        if text.trim().lines().count() > 1 {
            self.fault(section, key, "must name a file of one line");
        }
        text.trim().to_owned()
    }

    fn content(&mut self, section: &Section, key: &str, path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_else(|error| {
            self.fault(section, key, &format!("cannot be read: {}: {error}", path.display()));
            String::new()
        })
    }

    /// What stands in the file that a key names, if it is there.
    pub(super) fn optional_text_of(
        &mut self,
        section: &Section,
        key: &str,
        folder: &Path,
    ) -> Option<String> {
        let path = self.optional_path(section, key, folder)?;
        Some(self.content(section, key, &path))
    }

    /// A list of texts; anything else in it counts as an empty text, which the caller refuses.
    pub(super) fn texts(&self, section: &Section, key: &str) -> Vec<String> {
        let list = section.table.get(key).and_then(Value::as_array).into_iter().flatten();
        list.map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
    }

    pub(super) fn flag(&mut self, section: &Section, key: &str, default: bool) -> bool {
        match section.table.get(key) {
            None => default,
            Some(Value::Boolean(flag)) => *flag,
            Some(_) => {
                self.fault(section, key, "must be true or false");
                default
            }
        }
    }

    pub(super) fn number(
        &mut self,
        section: &Section,
        key: &str,
        default: i64,
        least: i64,
        most: i64,
    ) -> i64 {
        match section.table.get(key) {
            None => default,
            Some(Value::Integer(number)) if (least..=most).contains(number) => *number,
            Some(_) => {
                self.fault(section, key, &format!("must be a whole number from {least} to {most}"));
                default
            }
        }
    }

    pub(super) fn address(
        &mut self,
        section: &Section,
        key: &str,
        default: Option<&str>,
    ) -> SocketAddr {
        let missing = self.faults.len();
        let text = self.text(section, key, default);
        if self.faults.len() > missing {
            return NOWHERE;
        }
        text.parse().unwrap_or_else(|_| {
            self.fault(section, key, "must be an IP address and port, like 127.0.0.1:8080");
            NOWHERE
        })
    }

    pub(super) fn path(&mut self, section: &Section, key: &str, folder: &Path) -> PathBuf {
        folder.join(self.text(section, key, None))
    }

    pub(super) fn optional_path(
        &mut self,
        section: &Section,
        key: &str,
        folder: &Path,
    ) -> Option<PathBuf> {
        section.has(key).then(|| self.path(section, key, folder))
    }

    pub(super) fn ports(
        &mut self,
        section: &Section,
        key: &str,
        default: Range<u16>,
    ) -> Range<u16> {
        let Some(value) = section.table.get(key) else {
            return default;
        };
        let ports: Option<Vec<u16>> = value.as_array().and_then(|ports| {
            ports.iter().map(|port| port.as_integer().and_then(|p| u16::try_from(p).ok())).collect()
        });
        match ports.as_deref() {
            Some([first, end]) if *first >= 1024 && first < end => *first..*end,
            _ => {
                self.fault(section, key, "must be two ports, like [20000, 24000], from 1024 on");
                default
            }
        }
    }

    pub(super) fn key(&mut self, section: &Section, key: &str) -> [u8; 32] {
        let missing = self.faults.len();
        let text = self.text(section, key, None);
        if self.faults.len() > missing {
            return [0; 32];
        }
        STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).unwrap_or_else(|| {
            self.fault(section, key, "must be 32 bytes in base64");
            [0; 32]
        })
    }
}
