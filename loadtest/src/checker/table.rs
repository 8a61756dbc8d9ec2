//! The checker's own table of the rules, written by hand from `VECTORS.md`. It shares nothing with
//! the packs of the dialer on purpose: two readings of one text have to agree.

use dialer_types::{Purpose, Technology};

/// Closed, or intervals of minutes since midnight, end exclusive; Monday first.
pub type Hours = [&'static [(u32, u32)]; 7];

/// Which technologies a rule reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All.
    All,
    /// Recorded, artificial or generated voice.
    Robocall,
    /// `prerecorded` and `artificial_voice`.
    Notice,
    /// All others (generated voice included).
    Interactive,
}

impl Reach {
    /// Whether a technology is reached.
    #[must_use]
    pub const fn has(self, technology: Technology) -> bool {
        let notice = matches!(technology, Technology::Prerecorded | Technology::ArtificialVoice);
        match self {
            Self::All => true,
            Self::Robocall => notice || matches!(technology, Technology::AiVoice),
            Self::Notice => notice,
            Self::Interactive => !notice,
        }
    }
}

/// A time window.
#[derive(Debug)]
pub struct Window {
    /// Rule id.
    pub rule: &'static str,
    /// Jurisdiction.
    pub place: &'static str,
    /// `None`: any.
    pub purpose: Option<Purpose>,
    /// Technologies.
    pub reach: Reach,
    /// Only calls to consumers.
    pub consumer_only: bool,
    /// When it is open.
    pub hours: Hours,
    /// Calendar on whose days it is closed.
    pub closed_on: Option<&'static [&'static str]>,
}

const fn daily(from: u32, to: u32) -> (u32, u32) {
    (from * 60, to * 60)
}

const EIGHT_TO_NINE: &[(u32, u32)] = &[daily(8, 21)];
const NINE_TO_NINE: &[(u32, u32)] = &[daily(9, 21)];
const CLOSED: &[(u32, u32)] = &[];

const fn every_day(hours: &'static [(u32, u32)]) -> Hours {
    [hours; 7]
}

const fn week(
    weekday: &'static [(u32, u32)],
    saturday: &'static [(u32, u32)],
    sunday: &'static [(u32, u32)],
) -> Hours {
    [weekday, weekday, weekday, weekday, weekday, saturday, sunday]
}

const CANADA: Hours = week(&[(540, 1290)], &[daily(10, 18)], &[daily(10, 18)]);

/// Every window of the covered places.
pub const WINDOWS: &[Window] = &[
    Window {
        rule: "us.fcc.hours",
        place: "US",
        purpose: Some(Purpose::Telemarketing),
        reach: Reach::All,
        consumer_only: true,
        hours: every_day(EIGHT_TO_NINE),
        closed_on: None,
    },
    Window {
        rule: "us.tsr.hours",
        place: "US",
        purpose: Some(Purpose::Telemarketing),
        reach: Reach::All,
        consumer_only: true,
        hours: every_day(EIGHT_TO_NINE),
        closed_on: None,
    },
    Window {
        rule: "us.regf.hours",
        place: "US",
        purpose: Some(Purpose::DebtCollection),
        reach: Reach::All,
        consumer_only: true,
        hours: every_day(EIGHT_TO_NINE),
        closed_on: None,
    },
    Window {
        rule: "us.fl.hours",
        place: "US-FL",
        purpose: Some(Purpose::Telemarketing),
        reach: Reach::All,
        consumer_only: true,
        hours: every_day(&[daily(8, 20)]),
        closed_on: None,
    },
    Window {
        rule: "us.tx.hours",
        place: "US-TX",
        purpose: Some(Purpose::Telemarketing),
        reach: Reach::All,
        consumer_only: true,
        hours: week(NINE_TO_NINE, NINE_TO_NINE, &[daily(12, 21)]),
        closed_on: None,
    },
    Window {
        rule: "us.strictest.unknown_state",
        place: "US-STRICTEST",
        purpose: Some(Purpose::Telemarketing),
        reach: Reach::All,
        consumer_only: false,
        hours: week(&[daily(10, 18)], &[daily(10, 17)], CLOSED),
        closed_on: Some(US_HOLIDAYS),
    },
    Window {
        rule: "uk.industry.hours",
        place: "GB",
        purpose: None,
        reach: Reach::All,
        consumer_only: false,
        hours: week(EIGHT_TO_NINE, NINE_TO_NINE, NINE_TO_NINE),
        closed_on: Some(GB_HOLIDAYS),
    },
    Window {
        rule: "fr.hours",
        place: "FR",
        purpose: Some(Purpose::Telemarketing),
        reach: Reach::All,
        consumer_only: false,
        hours: week(&[daily(10, 13), daily(14, 20)], CLOSED, CLOSED),
        closed_on: Some(FR_HOLIDAYS),
    },
    Window {
        rule: "ca.hours",
        place: "CA",
        purpose: Some(Purpose::Telemarketing),
        reach: Reach::All,
        consumer_only: false,
        hours: CANADA,
        closed_on: None,
    },
    Window {
        rule: "ca.adad.hours",
        place: "CA",
        purpose: Some(Purpose::Telemarketing),
        reach: Reach::Robocall,
        consumer_only: false,
        hours: CANADA,
        closed_on: None,
    },
    Window {
        rule: "au.hours",
        place: "AU",
        purpose: Some(Purpose::Telemarketing),
        reach: Reach::All,
        consumer_only: false,
        hours: week(&[daily(9, 20)], &[daily(9, 17)], CLOSED),
        closed_on: Some(AU_HOLIDAYS),
    },
    Window {
        rule: "au.debt.hours",
        place: "AU",
        purpose: Some(Purpose::DebtCollection),
        reach: Reach::All,
        consumer_only: false,
        hours: week(&[(450, 1260)], NINE_TO_NINE, NINE_TO_NINE),
        closed_on: Some(AU_HOLIDAYS),
    },
    Window {
        rule: "cn.debt.hours",
        place: "CN",
        purpose: Some(Purpose::DebtCollection),
        reach: Reach::All,
        consumer_only: false,
        hours: every_day(&[daily(8, 22)]),
        closed_on: None,
    },
    Window {
        rule: "cn.hours.marketing",
        place: "CN",
        purpose: Some(Purpose::Telemarketing),
        reach: Reach::All,
        consumer_only: false,
        hours: every_day(&[daily(9, 20)]),
        closed_on: None,
    },
];

/// How far back a limit looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Elapsed seconds.
    Seconds(i64),
    /// So many local dates, the attempt's own being the first.
    Dates(i64),
    /// The local date.
    Day,
    /// Monday to Sunday.
    Week,
    /// The local calendar month.
    Month,
}

/// Whose attempts are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Same number.
    Number,
    /// Same account; without one, same number.
    Account,
    /// Same number, account or person.
    Person,
}

/// Which outcomes count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// All.
    All,
    /// All but busy, special tone and failed.
    Connected,
    /// Conversation, refused, abandoned.
    Live,
}

/// A cap.
#[derive(Debug)]
pub struct Cap {
    /// Rule id.
    pub rule: &'static str,
    /// Jurisdiction.
    pub place: &'static str,
    /// Purpose of call and attempts.
    pub purpose: Purpose,
    /// Technology of call and attempts.
    pub reach: Reach,
    /// Only calls to consumers' landlines.
    pub residential: bool,
    /// Lifted by a valid consent of any form.
    pub lifted_by_consent: bool,
    /// Who is counted together.
    pub key: Key,
    /// Which outcomes count.
    pub counts: Counts,
    /// Most placements within each span.
    pub limits: &'static [(u32, Span)],
}

const HOUR: i64 = 3600;

const fn robocall_exemption(rule: &'static str, purpose: Purpose, lifted_by_consent: bool) -> Cap {
    Cap {
        rule,
        place: "US",
        purpose,
        reach: Reach::Robocall,
        residential: true,
        lifted_by_consent,
        key: Key::Number,
        counts: Counts::All,
        limits: &[(3, Span::Dates(30))],
    }
}

/// Every cap of the covered places.
pub const CAPS: &[Cap] = &[
    Cap {
        rule: "us.regf.7in7",
        place: "US",
        purpose: Purpose::DebtCollection,
        reach: Reach::All,
        residential: false,
        lifted_by_consent: false,
        key: Key::Account,
        counts: Counts::Connected,
        limits: &[(7, Span::Dates(7))],
    },
    Cap {
        rule: "us.fl.cap",
        place: "US-FL",
        purpose: Purpose::Telemarketing,
        reach: Reach::All,
        residential: false,
        lifted_by_consent: false,
        key: Key::Person,
        counts: Counts::All,
        limits: &[(3, Span::Seconds(24 * HOUR))],
    },
    Cap {
        rule: "us.strictest.unknown_state",
        place: "US-STRICTEST",
        purpose: Purpose::Telemarketing,
        reach: Reach::All,
        residential: false,
        lifted_by_consent: false,
        key: Key::Person,
        counts: Counts::All,
        limits: &[(3, Span::Seconds(24 * HOUR))],
    },
    robocall_exemption(
        "us.fcc.cap.exempt_noncommercial",
        Purpose::NoncommercialInformational,
        true,
    ),
    robocall_exemption("us.fcc.cap.exempt_commercial_noad", Purpose::CommercialNoAdvertising, true),
    robocall_exemption("us.fcc.cap.exempt_nonprofit", Purpose::TaxExemptNonprofit, false),
    Cap {
        limits: &[
            (1, Span::Day),
            (1, Span::Seconds(24 * HOUR)),
            (3, Span::Week),
            (3, Span::Seconds(168 * HOUR)),
        ],
        ..robocall_exemption("us.fcc.cap.hipaa_residential", Purpose::Healthcare, false)
    },
    Cap {
        rule: "fr.cap",
        place: "FR",
        purpose: Purpose::Telemarketing,
        reach: Reach::All,
        residential: false,
        lifted_by_consent: false,
        key: Key::Person,
        counts: Counts::All,
        limits: &[(4, Span::Dates(30))],
    },
    Cap {
        rule: "au.debt.cap",
        place: "AU",
        purpose: Purpose::DebtCollection,
        reach: Reach::All,
        residential: false,
        lifted_by_consent: false,
        key: Key::Account,
        counts: Counts::Live,
        limits: &[(3, Span::Week), (10, Span::Month)],
    },
    Cap {
        rule: "cn.debt.cap_interactive",
        place: "CN",
        purpose: Purpose::DebtCollection,
        reach: Reach::Interactive,
        residential: false,
        lifted_by_consent: false,
        key: Key::Person,
        counts: Counts::Live,
        limits: &[(3, Span::Day)],
    },
    Cap {
        rule: "cn.debt.cap_notice",
        place: "CN",
        purpose: Purpose::DebtCollection,
        reach: Reach::Notice,
        residential: false,
        lifted_by_consent: false,
        key: Key::Person,
        counts: Counts::Live,
        limits: &[(3, Span::Day)],
    },
];

/// US federal holidays, actual and observed; closed for callers of unknown state.
const US_HOLIDAYS: &[&str] = &[
    "2026-01-01",
    "2026-01-19",
    "2026-02-16",
    "2026-05-25",
    "2026-06-19",
    "2026-07-03",
    "2026-07-04",
    "2026-09-07",
    "2026-10-12",
    "2026-11-11",
    "2026-11-26",
    "2026-12-25",
    "2027-01-01",
    "2027-01-18",
    "2027-02-15",
    "2027-05-31",
    "2027-06-18",
    "2027-06-19",
    "2027-07-04",
    "2027-07-05",
    "2027-09-06",
    "2027-10-11",
    "2027-11-11",
    "2027-11-25",
    "2027-12-24",
    "2027-12-25",
];
const GB_HOLIDAYS: &[&str] = &[
    "2026-01-01",
    "2026-04-03",
    "2026-04-06",
    "2026-05-04",
    "2026-05-25",
    "2026-08-31",
    "2026-12-25",
    "2026-12-26",
    "2027-01-01",
    "2027-03-26",
    "2027-03-29",
    "2027-05-03",
    "2027-05-31",
    "2027-08-30",
    "2027-12-25",
    "2027-12-26",
];
const FR_HOLIDAYS: &[&str] = &[
    "2026-01-01",
    "2026-04-06",
    "2026-05-01",
    "2026-05-08",
    "2026-05-14",
    "2026-05-25",
    "2026-07-14",
    "2026-08-15",
    "2026-11-01",
    "2026-11-11",
    "2026-12-25",
    "2027-01-01",
    "2027-03-29",
    "2027-05-01",
    "2027-05-06",
    "2027-05-08",
    "2027-05-17",
    "2027-07-14",
    "2027-08-15",
    "2027-11-01",
    "2027-11-11",
    "2027-12-25",
];
const AU_HOLIDAYS: &[&str] = &[
    "2026-01-01",
    "2026-01-26",
    "2026-04-03",
    "2026-04-06",
    "2026-04-25",
    "2026-12-25",
    "2026-12-26",
    "2027-01-01",
    "2027-01-26",
    "2027-03-26",
    "2027-03-29",
    "2027-04-25",
    "2027-12-25",
    "2027-12-26",
];

/// The years the calendars above were written for; in any other, a window with a calendar is shut.
pub const CALENDAR_YEARS: [i32; 2] = [2026, 2027];

/// Ranges of French numbers that automated and marketing calls have to come from.
pub const FR_CALLER_RANGES: &[&str] = &[
    "+33162", "+33163", "+33270", "+33271", "+33377", "+33378", "+33424", "+33425", "+33568",
    "+33569", "+33948", "+33949",
];
