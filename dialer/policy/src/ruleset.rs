//! Loading packs.

use std::fmt;

/// A file of rules, calendars or overrides.
#[derive(Debug, Clone, Copy)]
pub struct PackSource<'a> {
    /// The file's name, for faults.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// How packs are loaded.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// House rules (`house.*`) apply too, and must be among the packs. `policy check` judges by law
    /// alone.
    pub house: bool,
}

/// Something wrong in a pack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {field}: {message}")]
pub struct PackFault {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The field, for example `rule.us.fl.cap.limits[0].max`.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// The hash over all loaded packs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RulesetVersion(pub [u8; 32]);

impl fmt::Display for RulesetVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RulesetVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RulesetVersion({self})")
    }
}

/// The rules a process judges by. Immutable: a change loads another.
#[derive(Debug)]
pub struct Ruleset {
    version: RulesetVersion,
}

impl Ruleset {
    /// Reads packs.
    ///
    /// # Errors
    /// Every fault of every pack, at once.
    pub fn load(packs: &[PackSource<'_>], options: Options) -> Result<Self, Vec<PackFault>> {
        let _ = (packs, options);
        Ok(Self { version: RulesetVersion([0; 32]) })
    }

    /// The packs that ship with this build, with or without the house rules.
    ///
    /// # Errors
    /// Every fault of every pack, at once.
    pub fn shipped(options: Options) -> Result<Self, Vec<PackFault>> {
        Self::load(&[], options)
    }

    /// The hash over all loaded packs.
    #[must_use]
    pub const fn version(&self) -> RulesetVersion {
        self.version
    }
}
