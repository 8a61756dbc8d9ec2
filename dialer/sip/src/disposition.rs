//! From final responses and Reason headers to how a call ended (`reference/sip.md` section 4;
//! the base of the mapping is RFC 3398 sections 7.2.4.1 and 8.2.6.1).

use crate::wire::{Message, Params, text};

/// How a call ended; the variants are named as in the dialer's dispositions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// 2xx.
    Answered,
    /// Busy.
    Busy,
    /// Rang and was not answered.
    NoAnswer,
    /// Not reachable now.
    Unavailable,
    /// No such number.
    InvalidNumber,
    /// Number changed or out of service.
    Disconnected,
    /// The network or the trunk failed.
    Congestion,
    /// The person declined.
    Rejected,
    /// The person does not want this caller (607, RFC 8197).
    Unwanted,
    /// Blocked by analytics (608, RFC 8688; 603+, ATIS-1000099).
    Blocked,
    /// The Identity header was not accepted (RFC 8224 section 6.2.2).
    IdentityFailed,
    /// Ours to fix: credentials, method, media.
    Misconfigured,
    /// 482, 483.
    Loop,
    /// 3xx, which is not followed.
    Redirected,
    /// We ended it before an answer.
    Cancelled,
    /// Sending failed, or nothing ever answered.
    TransportError,
}

/// One value of a Reason header (RFC 3326).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `Q.850`, `SIP` ...
    pub protocol: String,
    /// Cause number.
    pub cause: Option<u16>,
    /// Text, without quotes.
    pub text: String,
}

/// Most Reason values kept of one message.
const MAX_REASONS: usize = 8;

impl Reason {
    /// The Reason values of a message.
    #[must_use]
    pub fn of(message: &Message<'_>) -> Vec<Self> {
        message.values("Reason").take(MAX_REASONS).map(Self::parse).collect()
    }

    fn parse(value: &[u8]) -> Self {
        let end = value.iter().position(|&b| b == b';').unwrap_or(value.len());
        let (protocol, rest) = value.split_at(end);
        let params = Params::new(rest);
        let cause = params.get("cause").and_then(|digits| std::str::from_utf8(digits).ok());
        Self {
            protocol: text(crate::wire::trim(protocol)),
            cause: cause.and_then(|digits| digits.parse().ok()),
            text: params.get("text").map(text).unwrap_or_default(),
        }
    }
}

/// How a call ended that the far end refused with `code`. `rang` is whether a 180 to 183 came
/// before. Our own CANCEL is not considered here.
///
/// The order: codes that carry the person's or a policy's decision; a Q.850 cause where the code
/// is a general one; the code.
#[must_use]
pub fn classify(code: u16, phrase: &str, reasons: &[Reason], rang: bool) -> Ending {
    if let Some(decision) = decision(code, phrase, reasons) {
        return decision;
    }
    let (ending, general) = of_code(code, rang);
    let cause = reasons.iter().filter(|reason| reason.protocol.eq_ignore_ascii_case("Q.850"));
    let specific = cause.filter_map(|reason| of_cause(reason.cause?)).next();
    match specific {
        Some(specific) if general => specific,
        _ => ending,
    }
}

/// 603, 607 and 608: a decision of the person or of a policy. No Q.850 cause overrides it.
pub(crate) fn decision(code: u16, phrase: &str, reasons: &[Reason]) -> Option<Ending> {
    match code {
        607 => Some(Ending::Unwanted),
        608 => Some(Ending::Blocked),
        603 => {
            let analytics = reasons.iter().any(|reason| reason.text.starts_with("v=analytics"));
            let blocked = analytics || phrase.eq_ignore_ascii_case("Network Blocked");
            Some(if blocked { Ending::Blocked } else { Ending::Rejected })
        }
        _ => None,
    }
}

/// Ending by status code, and whether the code is so general that a Q.850 cause says more.
const fn of_code(code: u16, rang: bool) -> (Ending, bool) {
    match code {
        200..=299 => (Ending::Answered, false),
        300..=399 => (Ending::Redirected, false),
        404 | 484 | 485 | 604 => (Ending::InvalidNumber, false),
        408 | 480 | 487 if rang => (Ending::NoAnswer, true),
        // 487 that we did not ask for: somebody in the network gave up.
        408 | 487 | 491 => (Ending::Congestion, true),
        410 => (Ending::Disconnected, false),
        428 | 436 | 437 | 438 => (Ending::IdentityFailed, false),
        430 => (Ending::Unavailable, false),
        480 => (Ending::Unavailable, true),
        482 | 483 => (Ending::Loop, false),
        486 | 600 => (Ending::Busy, false),
        // 403 with cause 21 is a person's or a policy's refusal.
        400 | 403 => (Ending::Misconfigured, true),
        501 | 505 | 513 | 580 | 606 => (Ending::Misconfigured, false),
        401..=499 => (Ending::Misconfigured, false),
        500..=599 => (Ending::Congestion, true),
        603 => (Ending::Rejected, false),
        607 => (Ending::Unwanted, false),
        608 => (Ending::Blocked, false),
        _ => (Ending::Rejected, true),
    }
}

/// Ending by Q.850 cause; `None` for causes that say nothing more than a code does (16, 31).
const fn of_cause(cause: u16) -> Option<Ending> {
    Some(match cause {
        1 | 3 | 28 => Ending::InvalidNumber,
        17 => Ending::Busy,
        18 | 19 => Ending::NoAnswer,
        20 => Ending::Unavailable,
        21 => Ending::Rejected,
        22 | 23 | 26 | 27 => Ending::Disconnected,
        25 => Ending::Loop,
        34 | 38 | 41 | 42 | 44 | 47 | 58 => Ending::Congestion,
        50 | 57 | 63 | 65 | 79 | 88 => Ending::Misconfigured,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q850(cause: u16) -> Vec<Reason> {
        vec![Reason { protocol: "Q.850".to_owned(), cause: Some(cause), text: String::new() }]
    }

    #[test]
    fn every_row_of_the_table_is_kept() {
        let rows = [
            (486, None, false, Ending::Busy),
            (600, None, true, Ending::Busy),
            (503, Some(17), false, Ending::Busy),
            (480, None, true, Ending::NoAnswer),
            (408, None, true, Ending::NoAnswer),
            (480, Some(19), false, Ending::NoAnswer),
            (480, None, false, Ending::Unavailable),
            (430, None, false, Ending::Unavailable),
            (480, Some(20), false, Ending::Unavailable),
            (480, Some(31), false, Ending::Unavailable),
            (404, None, false, Ending::InvalidNumber),
            (484, None, false, Ending::InvalidNumber),
            (485, None, false, Ending::InvalidNumber),
            (604, None, false, Ending::InvalidNumber),
            (480, Some(1), false, Ending::InvalidNumber),
            (404, Some(17), false, Ending::InvalidNumber),
            (410, None, false, Ending::Disconnected),
            (502, Some(27), false, Ending::Disconnected),
            (503, None, false, Ending::Congestion),
            (500, Some(34), true, Ending::Congestion),
            (408, None, false, Ending::Congestion),
            (504, None, false, Ending::Congestion),
            (603, None, true, Ending::Rejected),
            (603, Some(17), true, Ending::Rejected),
            (403, Some(21), false, Ending::Rejected),
            (607, Some(17), false, Ending::Unwanted),
            (608, Some(21), false, Ending::Blocked),
            (428, None, false, Ending::IdentityFailed),
            (436, None, false, Ending::IdentityFailed),
            (437, None, false, Ending::IdentityFailed),
            (438, None, false, Ending::IdentityFailed),
            (403, None, false, Ending::Misconfigured),
            (405, None, false, Ending::Misconfigured),
            (407, None, false, Ending::Misconfigured),
            (420, None, false, Ending::Misconfigured),
            (488, None, false, Ending::Misconfigured),
            (606, None, false, Ending::Misconfigured),
            (482, None, false, Ending::Loop),
            (483, None, false, Ending::Loop),
            (302, None, false, Ending::Redirected),
            (487, None, true, Ending::NoAnswer),
            (487, None, false, Ending::Congestion),
        ];
        for (code, cause, rang, ending) in rows {
            let reasons = cause.map(q850).unwrap_or_default();
            assert_eq!(
                classify(code, "", &reasons, rang),
                ending,
                "{code} cause {cause:?} rang {rang}"
            );
        }
    }

    #[test]
    fn a_603_of_analytics_is_blocked_not_rejected() {
        assert_eq!(classify(603, "Network Blocked", &q850(21), false), Ending::Blocked);
        let mut reasons = q850(21);
        reasons[0].text = "v=analytics1;url=https://redress.example".to_owned();
        assert_eq!(classify(603, "Decline", &reasons, false), Ending::Blocked);
    }

    #[test]
    fn reason_headers_are_read_from_lists_and_lines() {
        let raw = b"SIP/2.0 503 Busy\r\nReason: SIP ;cause=200 ;text=\"a, b\", Q.850;cause=17\r\nReason: X\r\n\r\n";
        let message = Message::parse(raw).unwrap();
        let reasons = Reason::of(&message);
        assert_eq!(reasons.len(), 3);
        assert_eq!(reasons[0].text, "a, b");
        assert_eq!(reasons[1].cause, Some(17));
        assert_eq!(reasons[2].protocol, "X");
        assert_eq!(classify(503, "", &reasons, false), Ending::Busy);
    }
}
