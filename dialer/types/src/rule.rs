//! The name of a rule, as it appears in verdicts, metrics, exports and packs.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// A rule's id, for example `us.fcc.hours` or `house.person_day_cap`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(Arc<str>);

impl RuleId {
    /// Wraps a rule's name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name as written in the pack.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a rule of the house and not of the law.
    #[must_use]
    pub fn is_house(&self) -> bool {
        self.0.starts_with("house.")
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
