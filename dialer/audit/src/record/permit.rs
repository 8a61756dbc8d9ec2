//! A permitted placement in two leaves: what it shares with many others, and what is its own.

use dialer_types::{
    AttemptId, CampaignId, LineType, PlacementId, Purpose, RuleId, SellerId, SubjectId, Technology,
    TrunkId,
};

use super::{Lifted, ListSeen, Token};
use crate::{field::map, tree::Hash};

map! {
    /// A place and zone that persons may be in, and the clock there.
    ZonePlace {
        /// ISO 3166 code, for example `US-FL`.
        0 => jurisdiction: String,
        /// IANA zone, for example `America/New_York`.
        1 => zone: String,
        /// Minutes by which local time is ahead of UTC; negative in the west.
        2 => offset_minutes: i64,
    }

    /// A cap that applied.
    Cap {
        /// Whose.
        0 => rule: RuleId,
        /// How many placements may count.
        1 => cap: u32,
    }

    /// An input of the judgement, by name.
    Asked {
        /// What.
        0 => name: String,
        /// Its value; nothing where each permit has its own.
        1 => value: Option<String>,
    }

    /// A head that a placement extends.
    Base {
        /// Whose head.
        0 => subject: SubjectId,
        /// The token that was judged on.
        1 => judged: Token,
    }

    /// What the permits of many placements rest on alike: all of their decisions and intents that is
    /// neither of the person nor of the moment.
    Grounds {
        /// The campaign.
        0 => campaign: CampaignId,
        /// On whose behalf.
        1 => seller: SellerId,
        /// Why the calls.
        2 => purpose: Purpose,
        /// How they are made.
        3 => technology: Technology,
        /// What kind of line.
        4 => line_type: LineType,
        /// By which trunk.
        5 => trunk: TrunkId,
        /// SHA-256 of the rule packs as loaded.
        6 => ruleset: Hash,
        /// How many rules were asked.
        7 => rules_asked: u32,
        /// Ids of the rules that were asked and passed, in the order of the packs.
        8 => rules_passed: Option<Vec<RuleId>>,
        /// Rules that passed only because the deployment relies on an exception in law; nothing
        /// where there is none.
        9 => exceptions: Option<Vec<Lifted>>,
        /// Obligations that go with the permit.
        10 => obligations: Vec<String>,
        /// Lists looked up.
        11 => lists: Vec<ListSeen>,
        /// Candidate places, with the clock there.
        12 => places: Vec<ZonePlace>,
        /// The caps that applied.
        13 => caps: Vec<Cap>,
        /// What else was looked at.
        14 => inputs: Vec<Asked>,
        /// Bound of the clock's error, milliseconds.
        15 => clock_bound_ms: u32,
        /// Offset of the demo clock, milliseconds; 0 in production.
        16 => clock_offset_ms: i64,
        /// What follows the placement's ULID in its Call-ID; nothing where Call-IDs are made otherwise.
        17 => call_id_end: Option<String>,
    }

    /// The permit of one placement: its decision and its intent, as far as its grounds do not say
    /// them. It was committed: it may be sent until its end.
    Permit {
        /// The leaf hash of its grounds, which are an earlier record of the same log.
        0 => grounds: Hash,
        /// The business try.
        1 => attempt: AttemptId,
        /// The placement; its id is the new token of its heads.
        2 => placement: PlacementId,
        /// The heads it extends.
        3 => heads: Vec<Base>,
        /// How long before `at` it was judged, milliseconds.
        4 => judged_ms: u32,
        /// How long after `at` the INVITE may leave, milliseconds.
        5 => valid_ms: u32,
        /// Placements that counted, before this one: a number for each of the grounds' caps.
        6 => counts: Option<Vec<u32>>,
        /// The values of those of the grounds' inputs that have none there, in order.
        7 => values: Option<Vec<String>>,
        /// The subjects judged, where they are not those of the heads, in their order.
        8 => subjects: Option<Vec<SubjectId>>,
        /// The Call-ID that its INVITE will carry, where the grounds do not tell how it is made.
        9 => sip_call_id: Option<String>,
    }
}
