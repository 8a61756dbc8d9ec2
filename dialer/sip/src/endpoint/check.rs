//! What an INVITE may hold: nothing that would print as more than one value.

use crate::config::{Invite, InviteError};
use crate::wire::is_token;

/// Headers the endpoint writes itself.
const OURS: [&str; 17] = [
    "Via",
    "v",
    "From",
    "f",
    "To",
    "t",
    "Call-ID",
    "i",
    "CSeq",
    "Contact",
    "m",
    "Max-Forwards",
    "Route",
    "Record-Route",
    "Content-Length",
    "l",
    "Content-Type",
];

/// More of them: kept apart only for the line length.
const OURS_TOO: [&str; 7] =
    ["c", "Allow", "User-Agent", "Authorization", "Proxy-Authorization", "Require", "Supported"];

pub(super) fn check(invite: &Invite) -> Result<(), InviteError> {
    for (name, uri) in [
        ("request_uri", &invite.request_uri),
        ("from_uri", &invite.from_uri),
        ("to_uri", &invite.to_uri),
    ] {
        let fits =
            uri.contains(':') && uri.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"".contains(&b));
        if !fits {
            return Err(InviteError::Field(name));
        }
    }
    // word ["@" word] of section 25.1, read generously: printable and without blanks.
    if invite.call_id.is_empty() || !invite.call_id.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(InviteError::Field("call_id"));
    }
    if !is_line(&invite.from_display) {
        return Err(InviteError::Field("from_display"));
    }
    for (name, value) in &invite.extra_headers {
        let ours = OURS.iter().chain(&OURS_TOO).any(|own| own.eq_ignore_ascii_case(name));
        if ours || !is_token(name.as_bytes()) || !is_line(value) {
            return Err(InviteError::Field("extra_headers"));
        }
    }
    Ok(())
}

fn is_line(value: &str) -> bool {
    value.chars().all(|c| !c.is_control() || c == '\t')
}
