//! A country, a country's region, or a union of countries, in twelve bytes that copy.

use std::fmt;

/// A jurisdiction: `US`, `US-FL`, `EU`, `US-STRICTEST`. Beware: `US-CA` is California, `CA` Canada.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    text: [u8; 14],
    len: u8,
}

const US_STATES: [&str; 51] = [
    "AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DC", "DE", "FL", "GA", "HI", "ID", "IL", "IN", "IA",
    "KS", "KY", "LA", "ME", "MD", "MA", "MI", "MN", "MS", "MO", "MT", "NE", "NV", "NH", "NJ", "NM",
    "NY", "NC", "ND", "OH", "OK", "OR", "PA", "RI", "SC", "SD", "TN", "TX", "UT", "VT", "VA", "WA",
    "WV", "WI", "WY",
];

impl Place {
    /// The European Union.
    pub const EU: Self = Self { text: *b"EU\0\0\0\0\0\0\0\0\0\0\0\0", len: 2 };
    /// Everywhere: the jurisdiction of house rules.
    pub const EVERYWHERE: Self = Self { text: *b"*\0\0\0\0\0\0\0\0\0\0\0\0\0", len: 1 };
    /// A place in the US of which the state is not known.
    pub const US_STRICTEST: Self = Self { text: *b"US-STRICTEST\0\0", len: 12 };

    /// The place with this name, upper-cased. `None` if it is empty, too long or not ASCII
    /// letters, digits, `-` and `*`.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let mut text = [0; 14];
        let len = u8::try_from(name.len()).ok().filter(|len| (1..=14).contains(len))?;
        for (slot, byte) in text.iter_mut().zip(name.bytes()) {
            if !(byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'*') {
                return None;
            }
            *slot = byte.to_ascii_uppercase();
        }
        Some(Self { text, len })
    }

    /// The place of a country's region.
    #[must_use]
    pub fn region(country: &str, region: &str) -> Option<Self> {
        let (country, region) = (country.trim(), region.trim());
        let mut name = [0; 14];
        let length = country.len() + 1 + region.len();
        let bytes = country.bytes().chain([b'-']).chain(region.bytes());
        name.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = byte);
        std::str::from_utf8(name.get(..length)?).ok().and_then(Self::new)
    }

    /// In a state of the United States, or the District of Columbia: a region for which the rules of the
    /// states were looked through. A territory or a post office of the forces is none.
    #[must_use]
    pub fn is_us_state(&self) -> bool {
        let mut parts = self.as_str().split('-');
        parts.next() == Some("US") && parts.next().is_some_and(|code| US_STATES.contains(&code))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text
            .get(..usize::from(self.len))
            .and_then(|text| std::str::from_utf8(text).ok())
            .unwrap_or_default()
    }

    /// The country it lies in; for a country itself, itself.
    #[must_use]
    pub fn country(&self) -> Self {
        self.as_str().split('-').next().and_then(Self::new).unwrap_or(*self)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}
