//! What is recorded. No telephone numbers and no names: people are surrogate ids.
//!
//! Layout changes add keys or kinds under a new [`VERSION`]; a key or kind is never given another
//! meaning. A record is written in the oldest version that has all its fields ([`Body::version`]), so
//! that an older build reads all it can. `schema/audit/README.md` lists them.

mod permit;

use dialer_types::{
    AttemptId, CampaignId, Disposition, LineType, NodeId, Outcome, PlacementId, Purpose, RuleId,
    SellerId, SubjectId, Technology, TrunkId, UnixMillis,
};

pub use permit::{Asked, Base, Cap, Grounds, Permit, ZonePlace};

use crate::{
    canonical::{CanonicalError, Reader, Writer},
    dictionary::Layout,
    field::{Field, map, take_array, vocabularies},
    shown::Shown,
    tree::Hash,
};

/// The newest layout version that this build writes and reads; it reads all older ones too.
pub const VERSION: u8 = 6;

/// One leaf of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Layout version: [`Body::version`].
    pub version: u8,
    /// When it was recorded, by the recorder's wall clock.
    pub at: UnixMillis,
    /// The dialer process that recorded it; `None` for the API and the importer.
    pub node: Option<NodeId>,
    /// What happened.
    pub body: Body,
}

impl Record {
    /// A record in the layout version of its body.
    #[must_use]
    pub const fn new(node: Option<NodeId>, body: Body, at: UnixMillis) -> Self {
        Self { version: body.version(), at, node, body }
    }
}

/// What a head's token was or became: the last event that changed it. Shown as a ULID, like the
/// placement ids that most tokens are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Token(pub u128);

impl Field for Token {
    fn put(&self, writer: &mut Writer) {
        writer.bytes(&self.0.to_be_bytes());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        take_array(reader, "token of 16 bytes").map(|bytes| Self(u128::from_be_bytes(bytes)))
    }
    fn show(&self) -> Shown {
        PlacementId(self.0).show()
    }
}

impl Field for Hash {
    fn put(&self, writer: &mut Writer) {
        writer.bytes(&self.0);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        take_array(reader, "hash of 32 bytes").map(Self)
    }
    fn show(&self) -> Shown {
        Shown::Text(self.to_string())
    }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal, $word:literal;)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant = $code,)+ }

        impl $name {
            /// Every value, in order of its code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word shown in exports.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
            /// The code in the leaf.
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
    )+};
}

words! {
    /// What the rules said.
    Verdict {
        /// The placement may be made.
        Permit = 1, "permit";
        /// Not now; maybe later.
        Defer = 2, "defer";
        /// No, until something changes.
        Refuse = 3, "refuse";
    }
    /// What was imported.
    ImportedKind {
        /// An outbound attempt made elsewhere.
        Attempt = 1, "attempt";
        /// The person called, and was spoken to.
        InboundConversation = 2, "inbound_conversation";
    }
    /// What was done to a campaign.
    Action {
        /// Made.
        Created = 1, "created";
        /// Set going.
        Started = 2, "started";
        /// Halted for a while.
        Paused = 3, "paused";
        /// Ended by a person.
        Stopped = 4, "stopped";
        /// Settings changed.
        Changed = 5, "changed";
        /// Nothing left to do.
        Finished = 6, "finished";
    }
    /// What sort of fact was recorded.
    FactKind {
        /// When a person does not want to be called.
        Wishes = 1, "wishes";
        /// What a look-up of a number said.
        NumberCheck = 2, "number_check";
        /// A licence, registration, approval or certificate, or the end of one.
        Licence = 3, "licence";
        /// A count over all persons.
        Counter = 4, "counter";
        /// Whether a seller's verified addresses are believed.
        Narrowing = 5, "narrowing";
    }
}

vocabularies! {
    Verdict, "verdict known to this build";
    ImportedKind, "kind of import known to this build";
    Action, "campaign action known to this build";
    FactKind, "kind of fact known to this build";
}

map! {
    /// A rule that denied.
    Denial {
        /// Which.
        0 => rule: RuleId,
        /// The law it stands on.
        1 => citation: String,
        /// The first moment it would no longer deny by the passing of time alone.
        2 => until: Option<UnixMillis>,
        /// In a sentence, with its inputs.
        3 => why: String,
    }

    /// A place and zone the person may be in: every candidate must allow.
    Place {
        /// ISO 3166 code, for example `US-FL`.
        0 => jurisdiction: String,
        /// IANA zone, for example `America/New_York`.
        1 => zone: String,
        /// Local date, time and offset when judged, for example `2026-11-23T14:05:00-05:00`.
        2 => local_time: String,
    }

    /// A counter of a rule that applied.
    Counter {
        /// Whose cap.
        0 => rule: RuleId,
        /// Placements that counted, before this one.
        1 => count: u32,
        /// How many may count. A permit has `count < cap`.
        2 => cap: u32,
    }

    /// A list that was looked up.
    ListSeen {
        /// The list's id, for example `us.national_dnc`.
        0 => list: String,
        /// The version or hash of the snapshot; empty if it has none.
        1 => version: String,
        /// As of which date (`YYYY-MM-DD`), as the list says of itself.
        2 => as_of: String,
        /// Whether the number is on it.
        3 => contains: bool,
    }

    /// A rule that an exception of the deployment's own pack lifted: without it, it would have
    /// denied.
    Lifted {
        /// Which rule.
        0 => rule: RuleId,
        /// The exception in law, as the pack names it; who entered it stands in the pack.
        1 => relies_on: String,
    }

    /// Another input of the judgement, by name. Never a telephone number: that is refused.
    Input {
        /// What.
        0 => name: String,
        /// Its value.
        1 => value: String,
    }

    /// A judgement, permit or denial, with the evidence it rested on.
    Decision {
        /// The business try.
        0 => attempt: AttemptId,
        /// The placement judged; always there with a permit.
        1 => placement: Option<PlacementId>,
        /// The campaign.
        2 => campaign: CampaignId,
        /// On whose behalf.
        3 => seller: SellerId,
        /// The number, the account and the person, as subjects.
        4 => subjects: Vec<SubjectId>,
        /// Why the call.
        5 => purpose: Purpose,
        /// How it would be made.
        6 => technology: Technology,
        /// What kind of line.
        7 => line_type: LineType,
        /// What the rules said.
        8 => verdict: Verdict,
        /// With a deferral: the first lawful moment.
        9 => until: Option<UnixMillis>,
        /// Every rule that denied; empty with a permit and only then.
        10 => denied_by: Vec<Denial>,
        /// How many rules were asked.
        11 => rules_asked: u32,
        /// SHA-256 of the rule packs as loaded.
        12 => ruleset: Hash,
        /// Candidate places and local times.
        13 => places: Vec<Place>,
        /// Counters of the caps that applied.
        14 => counters: Vec<Counter>,
        /// Lists looked up.
        15 => lists: Vec<ListSeen>,
        /// Obligations that go with a permit.
        16 => obligations: Vec<String>,
        /// What else was looked at.
        17 => inputs: Vec<Input>,
        /// Ids of the rules that were asked and passed, in the order of the packs; nothing in
        /// decisions recorded before layout version 3.
        18 => rules_passed: Option<Vec<RuleId>>,
        /// Rules that passed only because the deployment relies on an exception in law; nothing
        /// where there is none.
        19 => exceptions: Option<Vec<Lifted>>,
    }

    /// How an event moved the head of a subject.
    Advance {
        /// Whose head.
        0 => subject: SubjectId,
        /// The token that was judged on.
        1 => judged: Token,
        /// The token it has now.
        2 => token: Token,
    }

    /// A placement was committed: it may be sent until `not_after`.
    Intent {
        /// The placement; its id is the new token of its heads.
        0 => placement: PlacementId,
        /// The business try.
        1 => attempt: AttemptId,
        /// By which trunk.
        2 => trunk: TrunkId,
        /// The heads it extends.
        3 => heads: Vec<Advance>,
        /// The INVITE may not leave later.
        4 => not_after: UnixMillis,
        /// Bound of the clock's error, milliseconds.
        5 => clock_bound_ms: u32,
        /// Offset of the demo clock, milliseconds; 0 in production.
        6 => clock_offset_ms: i64,
        /// The Call-ID that its INVITE will carry.
        7 => sip_call_id: String,
    }

    /// The INVITE of a placement left.
    Sent {
        /// Which.
        0 => placement: PlacementId,
        /// When the bytes left.
        1 => sent_at: UnixMillis,
        /// Its Call-ID: that of the intent.
        2 => sip_call_id: String,
    }

    /// The INVITE of a placement provably never left: it stops counting.
    NotSent {
        /// Which.
        0 => placement: PlacementId,
        /// Why not.
        1 => reason: String,
    }

    /// How a placement ended.
    Ended {
        /// The business try.
        0 => attempt: AttemptId,
        /// Which.
        1 => placement: PlacementId,
        /// How.
        2 => disposition: Disposition,
        /// The final SIP status, 200 to 699.
        3 => sip_code: Option<u16>,
        /// The Q.850 cause of a Reason header, 1 to 127.
        4 => q850: Option<u8>,
        /// Milliseconds of ringing.
        5 => ring_ms: Option<u32>,
        /// When it was answered.
        6 => answered_at: Option<UnixMillis>,
        /// When it was over.
        7 => ended_at: Option<UnixMillis>,
        /// Whether the dialer corrects an earlier `outcome_unknown` of its own.
        8 => correction: bool,
    }

    /// A do-not-call entry.
    Suppressed {
        /// The event: the new token of its heads.
        0 => event: Token,
        /// Whom.
        1 => subjects: Vec<SubjectId>,
        /// For which seller; `None` for all of them.
        2 => seller: Option<SellerId>,
        /// Where it came from, for example `api`, `import`, `608`.
        3 => source: String,
        /// Since when.
        4 => effective_at: UnixMillis,
        /// Why, in words.
        5 => reason: String,
        /// The purpose that it is about; nothing for all of them.
        6 => purpose: Option<Purpose>,
    }

    /// A consent was given.
    ConsentGiven {
        /// The event.
        0 => event: Token,
        /// Whose.
        1 => subjects: Vec<SubjectId>,
        /// To whom; `None` for every seller.
        2 => seller: Option<SellerId>,
        /// The form, for example `prior_express_written`.
        3 => form: String,
        /// For which purpose.
        4 => purpose: Purpose,
        /// For which technology only.
        5 => technology: Option<Technology>,
        /// When it was given.
        6 => given_at: UnixMillis,
        /// Where the evidence of it is kept.
        7 => evidence: String,
        /// The very words agreed to, where they are on file.
        8 => wording: Option<String>,
        /// The way it was given, where that is on file.
        9 => channel: Option<String>,
        /// The do-not-call entries that it lifts for the calls it covers; nothing where it lifts none.
        10 => lifts: Option<Vec<Token>>,
    }

    /// A consent was taken back.
    Revoked {
        /// The event.
        0 => event: Token,
        /// Whose.
        1 => subjects: Vec<SubjectId>,
        /// From whom; `None` for every seller.
        2 => seller: Option<SellerId>,
        /// For which purpose; `None` for all.
        3 => purpose: Option<Purpose>,
        /// Where it came from.
        4 => source: String,
        /// When it was said.
        5 => revoked_at: UnixMillis,
    }

    /// A contact made elsewhere, imported because rules count it.
    Imported {
        /// The event.
        0 => event: Token,
        /// What.
        1 => what: ImportedKind,
        /// Whom it concerns.
        2 => subjects: Vec<SubjectId>,
        /// On whose behalf.
        3 => seller: SellerId,
        /// When it took place.
        4 => occurred_at: UnixMillis,
        /// How it ended.
        5 => outcome: Outcome,
        /// Where it came from.
        6 => source: String,
    }

    /// Somebody set a campaign going, halted or changed it.
    CampaignAction {
        /// Which.
        0 => campaign: CampaignId,
        /// Whose.
        1 => seller: SellerId,
        /// What was done.
        2 => action: Action,
        /// By whom: the id of a user or key.
        3 => actor: String,
        /// Why, where a reason is asked for.
        4 => reason: Option<String>,
    }

    /// Somebody corrected how a placement ended. The earlier outcome stays where it is.
    Corrected {
        /// The business try.
        0 => attempt: AttemptId,
        /// Which placement.
        1 => placement: PlacementId,
        /// What was on record until now.
        2 => was: Disposition,
        /// What is right, and what rules count from now on.
        3 => disposition: Disposition,
        /// By whom: the id of a user.
        4 => actor: String,
        /// Why, where it was said.
        5 => reason: Option<String>,
    }

    /// A dialer process judges by other rule packs from now on.
    RulesChanged {
        /// SHA-256 of the rule packs until now, as loaded.
        0 => ruleset_before: Hash,
        /// SHA-256 of the rule packs from now on, as loaded.
        1 => ruleset: Hash,
    }

    /// A fact that rules ask for was recorded: looked up, written down or counted by somebody.
    FactRecorded {
        /// The event: the new token of the heads it moved, if it moved any.
        0 => event: Token,
        /// What sort of fact.
        1 => what: FactKind,
        /// Whom it concerns; nobody where it is about a seller or a campaign.
        2 => subjects: Vec<SubjectId>,
        /// For which seller; `None` for all of them.
        3 => seller: Option<SellerId>,
        /// For which campaign only.
        4 => campaign: Option<CampaignId>,
        /// Which: the id of the database, the licence or the counter; nothing of wishes.
        5 => about: Option<String>,
        /// What was recorded, in a line.
        6 => said: String,
        /// When it was said, looked up or counted.
        7 => said_at: UnixMillis,
        /// Where the evidence of it is kept.
        8 => evidence: String,
        /// By whom: the id of a user.
        9 => actor: String,
    }
}

macro_rules! bodies {
    ($($(#[$doc:meta])* $variant:ident($type:ident) = $code:literal, $word:literal;)+) => {
        /// What happened, by kind.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Body { $($(#[$doc])* $variant($type),)+ }

        words! {
            /// The kind of a record.
            Kind { $($(#[$doc])* $variant = $code, $word;)+ }
        }

        impl Body {
            /// Its kind.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$variant(_) => Kind::$variant,)+ }
            }

            /// The fields of this kind.
            pub(crate) const fn layout(kind: Kind) -> Layout {
                match kind { $(Kind::$variant => $type::LAYOUT,)+ }
            }

            pub(crate) fn put(&self, writer: &mut Writer) {
                match self { $(Self::$variant(body) => body.put(writer),)+ }
            }

            pub(crate) fn take(kind: Kind, reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
                match kind { $(Kind::$variant => $type::take(reader).map(Self::$variant),)+ }
            }

            pub(crate) fn show(&self) -> Shown {
                match self { $(Self::$variant(body) => body.show(),)+ }
            }
        }

        $(impl From<$type> for Body {
            fn from(body: $type) -> Self {
                Self::$variant(body)
            }
        })+
    };
}

bodies! {
    /// A judgement.
    Decision(Decision) = 1, "decision";
    /// A placement was committed.
    Intent(Intent) = 2, "intent";
    /// Its INVITE left.
    Sent(Sent) = 3, "sent";
    /// Its INVITE provably never left.
    NotSent(NotSent) = 4, "not_sent";
    /// How it ended.
    Outcome(Ended) = 5, "outcome";
    /// A do-not-call entry.
    Suppression(Suppressed) = 6, "suppression";
    /// A consent was given.
    Consent(ConsentGiven) = 7, "consent";
    /// A consent was taken back.
    Revocation(Revoked) = 8, "revocation";
    /// A contact made elsewhere.
    Imported(Imported) = 9, "imported";
    /// Something was done to a campaign.
    Campaign(CampaignAction) = 10, "campaign";
    /// How a placement ended was corrected.
    Correction(Corrected) = 11, "correction";
    /// A dialer process judges by other rule packs from now on.
    Rules(RulesChanged) = 12, "rules";
    /// A fact that rules ask for was recorded.
    Fact(FactRecorded) = 13, "fact";
    /// What the permits of many placements rest on alike.
    Grounds(Grounds) = 14, "grounds";
    /// A placement was permitted and committed.
    Permit(Permit) = 15, "permit";
}

impl Body {
    /// The oldest layout version that has all of its fields.
    #[must_use]
    pub const fn version(&self) -> u8 {
        match self {
            Self::Suppression(Suppressed { purpose: Some(_), .. })
            | Self::Consent(ConsentGiven { wording: Some(_), .. })
            | Self::Consent(ConsentGiven { channel: Some(_), .. })
            | Self::Consent(ConsentGiven { lifts: Some(_), .. }) => 5,
            Self::Decision(Decision { exceptions: Some(_), .. }) => 4,
            Self::Decision(Decision { rules_passed: Some(_), .. }) => 3,
            _ => self.kind().since(),
        }
    }
}

impl Kind {
    /// The layout version that brought this kind.
    #[must_use]
    pub const fn since(self) -> u8 {
        match self {
            Self::Grounds | Self::Permit => 6,
            Self::Rules | Self::Fact => 5,
            Self::Correction => 2,
            Self::Decision
            | Self::Intent
            | Self::Sent
            | Self::NotSent
            | Self::Outcome
            | Self::Suppression
            | Self::Consent
            | Self::Revocation
            | Self::Imported
            | Self::Campaign => 1,
        }
    }
}
