//! What a judgement rests on. Everything is relative to the call (`same_seller`, `same_number`), so
//! that the evaluator needs no ids and sees no other party's data.

use std::sync::Arc;

use chrono::NaiveDate;
use dialer_types::{
    E164, EventId, LineType, Outcome, PartyRole, PartyType, Purpose, Technology, UnixMillis,
};
use serde::{Deserialize, Serialize};

use crate::{CallerCounter, Licence, LineCheck, ReassignmentCheck, Wishes};

/// All a verdict is made from.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The call that is asked about.
    pub call: Call,
    /// Consents of the called party, to any seller and for any purpose.
    pub consents: Vec<Consent>,
    /// Do-not-call entries that concern this seller or everybody.
    pub suppressions: Vec<Suppression>,
    /// Which consents were given to end which entries for the calls that they cover.
    pub lifts: Vec<Lift>,
    /// What the national lists say about the number. A list that is missing here is absent.
    pub lists: Vec<ListFact>,
    /// Earlier placements (and inbound conversations), in any order.
    pub history: Vec<Past>,
    /// The emergency feed, if one was read.
    pub emergency: Option<Feed>,
    /// When the person does not want to be called; `None` if nobody knows.
    pub wishes: Option<Wishes>,
    /// What databases of reassigned numbers said; one that is missing here was not asked.
    pub reassignment: Vec<ReassignmentCheck>,
    /// What a look-up of the line said; `None` if there was none.
    pub line_check: Option<LineCheck>,
    /// What the seller, the agent and the script may show for this call.
    pub licences: Vec<Licence>,
    /// Counters over all calls of the caller; one that is missing here is not kept.
    pub counters: Vec<CallerCounter>,
}

/// The call that is asked about.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who is called.
    pub number: E164,
    /// The kind of line.
    pub line: LineType,
    /// Consumer or business.
    pub party: PartyType,
    /// The known address.
    pub address: Option<Address>,
    /// How well the address is known.
    pub address_basis: AddressBasis,
    /// Why.
    pub purpose: Purpose,
    /// How.
    pub technology: Technology,
    /// Whether the call is about an account (debt, contract): then `same_account` of a past
    /// placement means something.
    pub has_account: bool,
    /// The relationship between the seller and the party.
    pub relationship: Option<Relationship>,
    /// Who will be spoken to.
    pub role: PartyRole,
    /// Whether the call would be recorded.
    pub recorded: bool,
}

impl Call {
    /// A live (manual) call to a consumer with nothing else known: a start for `..` updates.
    #[must_use]
    pub fn manual(number: E164, purpose: Purpose) -> Self {
        Self {
            number,
            line: LineType::Unknown,
            party: PartyType::Consumer,
            address: None,
            address_basis: AddressBasis::Stated,
            purpose,
            technology: Technology::Manual,
            has_account: false,
            relationship: None,
            role: PartyRole::Principal,
            recorded: false,
        }
    }
}

impl Facts {
    /// Facts about a call of which nothing else is known.
    #[must_use]
    pub const fn of(call: Call) -> Self {
        Self {
            call,
            consents: Vec::new(),
            suppressions: Vec::new(),
            lifts: Vec::new(),
            lists: Vec::new(),
            history: Vec::new(),
            emergency: None,
            wishes: None,
            reassignment: Vec::new(),
            line_check: None,
            licences: Vec::new(),
            counters: Vec::new(),
        }
    }
}

/// Where the called party lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// ISO 3166-2 subdivision without the country, for example `TX`.
    #[serde(default)]
    pub region: Option<String>,
    /// Adds candidates where it contradicts region or zone; never narrows them.
    #[serde(default)]
    pub postal_code: Option<String>,
    /// IANA name. A name that does not exist leaves the place without a zone, which denies.
    #[serde(default)]
    pub time_zone: Option<String>,
}

/// How well an address is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressBasis {
    /// Somebody said so: it adds to what the number says.
    #[default]
    Stated,
    /// The seller checked that the party lives there. Only with [`crate::Evaluation::narrowing`] does
    /// it take the place of what the number says.
    Verified,
}

/// What ties the party to the seller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relationship {
    /// Customer or inquirer.
    pub kind: RelationshipKind,
    /// Date of the last transaction or of the inquiry.
    pub since: NaiveDate,
}

/// The kind of a [`Relationship`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationshipKind {
    /// Bought something.
    ExistingCustomer,
    /// Asked for something.
    Inquiry,
}

/// How a consent was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentForm {
    /// Prior express consent (47 CFR 64.1200(a)(1)).
    PriorExpress,
    /// Prior express written consent (47 CFR 64.1200(f)(9)).
    PriorExpressWritten,
    /// Opt-in as understood outside the US.
    OptIn,
}

/// One consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consent {
    /// How it was given.
    pub form: ConsentForm,
    /// Whether it was given to the call's seller.
    pub same_seller: bool,
    /// For what.
    pub purpose: Purpose,
    /// For which technology only; `None` for all.
    pub technology: Option<Technology>,
    /// When it was given.
    pub given_at: UnixMillis,
    /// When it was revoked.
    pub revoked_at: Option<UnixMillis>,
    /// What is on file of how it was given.
    pub evidence: Evidenced,
    /// What it was recorded as; without that it lifts nothing.
    pub event: Option<EventId>,
}

/// A piece of evidence of a consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Piece {
    /// Where the proof of it is kept.
    Source = 1,
    /// The very words that the person agreed to.
    Wording = 2,
    /// The way it was given: a web form, a paper, a call.
    Channel = 4,
}

impl Piece {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 3] = [Self::Source, Self::Wording, Self::Channel];

    /// The word in packs and cases.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Wording => "wording",
            Self::Channel => "channel",
        }
    }

    /// What has this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|piece| piece.as_str() == word)
    }
}

/// The pieces of evidence that there are of a consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Evidenced(u8);

impl Evidenced {
    /// None.
    pub const NONE: Self = Self(0);
    /// What a consent needs that is to lift a do-not-call entry: the words, and where they are kept.
    pub const TO_LIFT: Self = Self::NONE.with(Piece::Source).with(Piece::Wording);

    /// One more.
    #[must_use]
    pub const fn with(self, piece: Piece) -> Self {
        Self(self.0 | piece as u8)
    }

    /// Whether all of `others` are among them.
    #[must_use]
    pub const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Piece> {
        Piece::ALL.into_iter().filter(move |piece| self.has(Self::NONE.with(*piece)))
    }
}

/// A consent was given to end a do-not-call entry for the calls that it covers, and for those only.
/// It does so while it is valid, was given later than the entry was made, and has the evidence of
/// [`Evidenced::TO_LIFT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lift {
    /// The do-not-call entry.
    pub entry: EventId,
    /// The consent.
    pub consent: EventId,
}

/// A do-not-call entry that concerns this call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suppression {
    /// Whose entry it is.
    pub scope: SuppressionScope,
    /// The purpose that it is about; `None`: every purpose, and that is the default everywhere.
    pub purpose: Option<Purpose>,
    /// Since when it holds.
    pub added_at: UnixMillis,
    /// What it was recorded as; without that no consent lifts it.
    pub event: Option<EventId>,
}

/// Whom a [`Suppression`] binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionScope {
    /// The call's seller.
    Seller,
    /// Every seller.
    Global,
}

/// What one list says about the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListFact {
    /// The list's id, for example `us.national_dnc`.
    pub list: Arc<str>,
    /// Of which day (UTC) the copy is.
    pub as_of: NaiveDate,
    /// Whether the number is on it.
    pub contains: bool,
}

/// An earlier placement, or an inbound conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// When it was reserved.
    pub at: UnixMillis,
    /// The same number was dialled.
    pub same_number: bool,
    /// It concerned the same (non-null) account.
    pub same_account: bool,
    /// It reached for the same person, by the person subject.
    pub same_person: bool,
    /// It was made for the same seller.
    pub same_seller: bool,
    /// It was made by the same campaign; also true where nobody knows.
    pub same_campaign: bool,
    /// Why.
    pub purpose: Purpose,
    /// How.
    pub technology: Technology,
    /// How it ended. Pending and unknown count in every cap. Unknown starts every cool-down; pending
    /// only those of at most 24 hours, because it will be known in a minute.
    pub outcome: Outcome,
    /// They called us. Never counts in a cap; starts cool-downs that say so (Reg F).
    pub inbound: bool,
}

/// What the emergency feed says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// When it was read.
    pub as_of: UnixMillis,
    /// Where an emergency is declared.
    pub areas: Vec<Area>,
}

/// An area of the emergency feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Area {
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// Subdivision code without the country; `None` for the whole country.
    #[serde(default)]
    pub region: Option<String>,
}
