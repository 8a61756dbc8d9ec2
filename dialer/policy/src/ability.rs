//! What the campaign announces and what the build can do: the words obligations are written in.

use std::fmt;

macro_rules! abilities {
    ($($(#[$doc:meta])* $variant:ident = $word:literal;)+) => {
        /// One thing a rule may oblige the caller to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Ability { $($(#[$doc])* $variant,)+ }

        impl Ability {
            /// Every ability.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in packs and verdicts.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The ability with this name.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

abilities! {
    /// The prompt says who calls, at the beginning.
    Identity = "identity";
    /// The prompt says why.
    PurposeStatement = "purpose_statement";
    /// The prompt gives a number to call back.
    CallbackNumber = "callback_number";
    /// A key press or a word during the message opts out at once.
    OptOutKey = "opt_out_key";
    /// The person learns that they speak to a machine (AI Act art. 50).
    AiDisclosure = "ai_disclosure";
    /// Recording is announced at the start.
    RecordingNotice = "recording_notice";
    /// The caller ID is sent and can be called back.
    CallerId = "caller_id";
    /// The caller ID comes from the number range the country reserves for such calls.
    CallerIdRange = "caller_id_range";
    /// Unanswered calls ring for 15 seconds or more.
    MinRing = "min_ring";
    /// A live answer without an agent hears a message within two seconds.
    AbandonMessage = "abandon_message";
    /// The abandonment rate is kept within the limit of the campaign.
    AbandonmentControl = "abandonment_control";
    /// Records are kept for as long as the law asks.
    Retention = "retention";
    /// Reassigned numbers are looked up.
    ReassignedNumbers = "reassigned_numbers";
}

/// A set of abilities.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Abilities(u32);

impl Abilities {
    /// No ability.
    pub const NONE: Self = Self(0);
    /// Every ability: judges the law alone.
    pub const ALL: Self = Self((1 << Ability::ALL.len()) - 1);

    /// This set and one more.
    #[must_use]
    pub const fn with(self, ability: Ability) -> Self {
        Self(self.0 | 1 << ability as u8)
    }

    /// This set without one.
    #[must_use]
    pub const fn without(self, ability: Ability) -> Self {
        Self(self.0 & !(1 << ability as u8))
    }

    /// Whether it is in the set.
    #[must_use]
    pub const fn has(self, ability: Ability) -> bool {
        self.0 & (1 << ability as u8) != 0
    }

    /// What of `self` is not in `other`.
    #[must_use]
    pub const fn missing_from(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those in the set, in declaration order.
    pub fn iter(self) -> impl Iterator<Item = Ability> {
        Ability::ALL.iter().copied().filter(move |ability| self.has(*ability))
    }
}

impl FromIterator<Ability> for Abilities {
    fn from_iter<I: IntoIterator<Item = Ability>>(abilities: I) -> Self {
        abilities.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Abilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Ability::as_str)).finish()
    }
}
