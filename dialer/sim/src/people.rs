//! Who lives in the world: people, shared numbers, accounts, two sellers, three campaigns.

use std::{sync::Arc, time::Duration};

use dialer_engine::{Campaign, RetryRules};
use dialer_policy::{Abilities, ConsentForm};
use dialer_types::{
    CampaignId, CampaignNo, Disposition, E164, LineType, Purpose, SellerId, SellerNo, SubjectId,
    Technology, TrunkId,
};

use crate::rng::Rng;

/// The trunks: the second is only used when the first is not there.
pub(crate) const TRUNKS: [TrunkId; 2] = [TrunkId(1), TrunkId(2)];

/// Why everybody is called.
pub(crate) const PURPOSE: Purpose = Purpose::Informational;

/// A consent of a person to a seller, over the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consented {
    pub(crate) seller: SellerNo,
    pub(crate) purpose: Purpose,
    pub(crate) form: ConsentForm,
    /// When it is revoked, in milliseconds of the run.
    pub(crate) revoked_at: Option<u64>,
}

/// A person.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) subject: SubjectId,
    pub(crate) account: Option<SubjectId>,
    /// Indices into [`People::numbers`].
    pub(crate) numbers: Vec<usize>,
    pub(crate) consents: Vec<Consented>,
}

/// A number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number {
    pub(crate) subject: SubjectId,
    pub(crate) number: E164,
    pub(crate) line: LineType,
    /// In Great Britain (a window, no consent) or in Florida (consent, no window).
    pub(crate) british: bool,
}

/// Everybody.
#[derive(Debug, Clone)]
pub(crate) struct People {
    pub(crate) persons: Vec<Person>,
    pub(crate) numbers: Vec<Number>,
    pub(crate) campaigns: Vec<Arc<Campaign>>,
}

impl People {
    /// Makes a town of `count` people.
    pub(crate) fn new(count: usize, rng: &mut Rng) -> Self {
        let mut numbers: Vec<Number> = Vec::new();
        let mut persons = Vec::new();
        for index in 0..count {
            let base = i64::try_from(index).unwrap_or(0) * 10;
            let mut own = Vec::new();
            // One in five shares a number with the person before: a household.
            if index > 0 && rng.chance(200) {
                own.push(numbers.len() - 1);
            }
            let wanted = if rng.chance(300) { 2 } else { 1 };
            while own.len() < wanted {
                own.push(numbers.len());
                numbers.push(number(numbers.len(), rng));
            }
            let seller = SellerNo(1 + u32::try_from(index % 2).unwrap_or(0));
            let consents = [SellerNo(1), SellerNo(2)]
                .into_iter()
                .filter(|of| *of == seller || rng.chance(900))
                .map(|seller| Consented {
                    seller,
                    purpose: PURPOSE,
                    form: ConsentForm::PriorExpress,
                    revoked_at: None,
                })
                .collect();
            persons.push(Person {
                subject: SubjectId(base + 1_000_000),
                account: rng.chance(300).then_some(SubjectId(base + 2_000_000)),
                numbers: own,
                consents,
            });
        }
        let campaigns = (1..=3).map(campaign).collect();
        Self { persons, numbers, campaigns }
    }
}

fn number(index: usize, rng: &mut Rng) -> Number {
    let british = rng.chance(400);
    let index = u64::try_from(index).unwrap_or(0);
    // Drama numbers of Ofcom (London 7946 0xxx) and the fictitious 555-01xx of Miami.
    let digits = if british { 442_079_460_000 + index } else { 13_055_550_100 + index };
    Number {
        subject: SubjectId(i64::try_from(index).unwrap_or(0) + 1),
        number: E164::from_digits(digits)
            .unwrap_or_else(|_| unreachable!("twelve digits or eleven")),
        line: if british { LineType::Landline } else { LineType::Wireless },
        british,
    }
}

fn campaign(no: u32) -> Arc<Campaign> {
    let seller = 1 + no % 2;
    Arc::new(Campaign {
        id: CampaignId(u128::from(no)),
        no: CampaignNo(no),
        name: format!("campaign-{no}"),
        seller: SellerId(u128::from(seller)),
        seller_no: SellerNo(seller),
        purpose: PURPOSE,
        technology: Technology::Prerecorded,
        abilities: Abilities::ALL,
        caller_id: E164::from_digits(442_079_460_999)
            .unwrap_or_else(|_| unreachable!("twelve digits")),
        ring_timeout: Duration::from_secs(15),
        max_tries: 5,
        retry: RetryRules::new(
            [
                Disposition::Busy,
                Disposition::NoAnswer,
                Disposition::Congestion,
                Disposition::TransportError,
                Disposition::Unknown,
                Disposition::Unavailable,
            ]
            .map(|disposition| (disposition, Duration::from_secs(15))),
        ),
        trunks: TRUNKS.to_vec(),
        prompt: Arc::from("prompt"),
    })
}
