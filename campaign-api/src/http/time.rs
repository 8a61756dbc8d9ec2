//! Moments as RFC 3339 in UTC.

use chrono::{DateTime, SecondsFormat};
use dialer_types::{Say, UnixMillis};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use utoipa::ToSchema;

/// A moment: RFC 3339 with milliseconds, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-23T14:05:00.000Z")]
pub struct Time(pub UnixMillis);

impl Time {
    /// The moment of a column.
    pub(crate) const fn at(millis: i64) -> Self {
        Self(UnixMillis(millis))
    }

    /// Its text.
    pub(crate) fn text(self) -> String {
        DateTime::from_timestamp_millis(self.0.0)
            .map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
            .unwrap_or_default()
    }

    /// The moment that a text names.
    pub(crate) fn read(text: &str) -> Result<Self, Say> {
        DateTime::parse_from_rfc3339(text)
            .map(|time| Self::at(time.timestamp_millis()))
            .map_err(|_| "not a moment in RFC 3339, like 2026-11-23T14:05:00Z".into())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
