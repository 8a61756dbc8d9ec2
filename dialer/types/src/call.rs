//! What a call is: the facts rules are scoped by. Words and spellings follow `VECTORS.md`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Say, say};

/// A word that is not in the vocabulary, with the words that are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {word:?}; use one of: {known}")]
pub struct UnknownWord {
    /// What the word should have named, for example `purpose`.
    pub what: &'static str,
    /// The word found.
    pub word: String,
    /// The words that would have been understood, comma separated.
    pub known: String,
}

/// For people: the same words as `Display`, and others in other languages.
impl From<UnknownWord> for Say {
    fn from(error: UnknownWord) -> Self {
        let UnknownWord { what, word, known } = error;
        say!("unknown {what} {word}; use one of: {known}", word = format!("{word:?}"), known)
            .with("what", Self::of(what))
    }
}

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident, $what:literal, { $($(#[$vdoc:meta])* $variant:ident = $code:literal, $word:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant = $code,)+ }

        impl $name {
            /// Every value, in order of its code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in packs, the API and exports.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The stable one-byte code used in packed histories and the database.
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The value with this code.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord {
                        what: $what,
                        word: word.chars().take(40).collect(),
                        known: [$($word),+].join(", "),
                    }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use vocabulary;

vocabulary! {
    /// Why the call is made.
    Purpose, "purpose", {
        /// Selling.
        Telemarketing = 1, "telemarketing";
        /// News the person asked for, nothing sold.
        Informational = 2, "informational";
        /// Collecting a debt.
        DebtCollection = 3, "debt_collection";
        /// A health-care provider to its patient.
        Healthcare = 4, "healthcare";
        /// Political.
        Political = 5, "political";
        /// Fund raising by a charity.
        Charity = 6, "charity";
        /// Research.
        Survey = 7, "survey";
        /// Informational and not commercial (47 CFR 64.1200(a)(3)(ii)).
        NoncommercialInformational = 8, "noncommercial_informational";
        /// Commercial without advertising (47 CFR 64.1200(a)(3)(iii)).
        CommercialNoAdvertising = 9, "commercial_no_advertising";
        /// By or for a tax-exempt non-profit organisation (47 CFR 64.1200(a)(3)(iv)).
        TaxExemptNonprofit = 10, "tax_exempt_nonprofit";
        /// A financial institution's alert.
        FinancialAlert = 11, "financial_alert";
        /// A parcel's delivery.
        Delivery = 12, "delivery";
    }
}

vocabulary! {
    /// How the call is made.
    Technology, "technology", {
        /// A person dialled it.
        Manual = 1, "manual";
        /// One call per free agent.
        Progressive = 2, "progressive";
        /// More calls than free agents.
        Predictive = 3, "predictive";
        /// A recorded message.
        Prerecorded = 4, "prerecorded";
        /// A synthetic voice.
        ArtificialVoice = 5, "artificial_voice";
        /// A generated voice that converses.
        AiVoice = 6, "ai_voice";
    }
}

impl Technology {
    /// Class R of `VECTORS.md` section 2: recorded, artificial or generated voice.
    #[must_use]
    pub const fn is_robocall(self) -> bool {
        matches!(self, Self::Prerecorded | Self::ArtificialVoice | Self::AiVoice)
    }

    /// Class AUTO of `VECTORS.md` section 2: class R and automated selection or dialing.
    #[must_use]
    pub const fn is_automated(self) -> bool {
        self.is_robocall() || matches!(self, Self::Predictive | Self::Progressive)
    }
}

vocabulary! {
    /// What kind of line a number is on.
    LineType, "line_type", {
        /// Mobile.
        Wireless = 1, "wireless";
        /// Fixed.
        Landline = 2, "landline";
        /// Voice over IP: treated as landline.
        Voip = 3, "voip";
        /// Not known: satisfies every line scope at once.
        Unknown = 4, "unknown";
    }
}

vocabulary! {
    /// Whether a consumer or a business is called.
    PartyType, "party_type", {
        /// A natural person in private.
        Consumer = 1, "consumer";
        /// A business.
        Business = 2, "business";
    }
}

vocabulary! {
    /// Who will be spoken to.
    PartyRole, "party_role", {
        /// The person the matter concerns.
        Principal = 1, "principal";
        /// Husband or wife.
        Spouse = 2, "spouse";
        /// Parent of a minor.
        ParentOfMinor = 3, "parent_of_minor";
        /// Guardian.
        Guardian = 4, "guardian";
        /// Executor of the estate.
        Executor = 5, "executor";
        /// Attorney.
        Attorney = 6, "attorney";
        /// Guarantor of the debt.
        Guarantor = 7, "guarantor";
        /// Anybody else.
        ThirdParty = 8, "third_party";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_is_told_in_the_words_of_the_error() {
        let error = "selling".parse::<Purpose>().unwrap_err();
        assert_eq!(Say::from(error.clone()).to_string(), error.to_string());
    }
}
