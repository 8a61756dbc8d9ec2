//! The checker's own reading of SIP: just enough, from raw bytes, and nothing of the dialer's.

/// What the checker wants to know of one datagram.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scanned {
    /// Method of a request, empty for a response.
    pub method: String,
    /// Status of a response, 0 for a request.
    pub status: u16,
    /// User part of the Request-URI: the called number.
    pub callee: String,
    /// Call-ID.
    pub call_id: String,
    /// `CSeq` number.
    pub cseq: u32,
    /// `CSeq` method.
    pub cseq_method: String,
    /// Branch of the topmost Via.
    pub branch: String,
    /// Tag of To; `None` where there is none.
    pub to_tag: Option<String>,
    /// `X-Ringfence-Campaign`.
    pub campaign: Option<String>,
}

/// Reads a datagram. `None` if it is not SIP at all.
#[must_use]
pub fn scan(raw: &[u8]) -> Option<Scanned> {
    let text = String::from_utf8_lossy(raw);
    let mut lines = unfold(&text).into_iter();
    let start = lines.next()?;
    let mut scanned = start_line(&start)?;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "via" | "v" if scanned.branch.is_empty() => {
                let top = value.split(',').next().unwrap_or_default();
                scanned.branch = parameter(top, "branch").unwrap_or_default();
            }
            "to" | "t" => scanned.to_tag = parameter(after_bracket(value), "tag"),
            "call-id" | "i" => scanned.call_id = value.to_owned(),
            "cseq" => {
                let mut words = value.split_ascii_whitespace();
                scanned.cseq = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
                scanned.cseq_method = words.next().unwrap_or_default().to_ascii_uppercase();
            }
            "x-ringfence-campaign" => scanned.campaign = Some(value.to_owned()),
            _ => {}
        }
    }
    (!scanned.call_id.is_empty()).then_some(scanned)
}

/// Header lines up to the empty one, continuations joined to the line they continue.
fn unfold(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.trim_start_matches(['\r', '\n']).split('\n') {
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            break;
        }
        match lines.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

fn start_line(line: &str) -> Option<Scanned> {
    let mut words = line.split_ascii_whitespace();
    let (first, second) = (words.next()?, words.next()?);
    if first.to_ascii_uppercase().starts_with("SIP/2.0") {
        return Some(Scanned { status: second.parse().ok()?, ..Scanned::default() });
    }
    words.next().filter(|version| version.eq_ignore_ascii_case("SIP/2.0"))?;
    Some(Scanned {
        method: first.to_ascii_uppercase(),
        callee: user_of(second),
        ..Scanned::default()
    })
}

/// `sip:+1305;x=y@host` and `tel:+1305;x=y` are both `+1305`.
fn user_of(uri: &str) -> String {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let user = rest.split_once('@').map_or(rest, |(user, _)| user);
    user.split([';', ':', '?']).next().unwrap_or_default().to_owned()
}

fn after_bracket(value: &str) -> &str {
    value.rsplit_once('>').map_or(value, |(_, parameters)| parameters)
}

fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_gives_up_its_number_branch_and_campaign() {
        let raw = b"INVITE sip:+13055550123;npdi@127.0.0.1:5070;user=phone SIP/2.0\r\n\
            Via: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bKa1, SIP/2.0/UDP x;branch=other\r\n\
            From: <sip:a@b>;tag=f\r\nTo: \"A;tag=no\" <sip:+13055550123@c>\r\n\
            i: call-1\r\nCSeq: 7 INVITE\r\nX-Ringfence-Campaign: a sales\r\n\r\nTo: <x>;tag=body";
        let scanned = scan(raw).unwrap();
        assert_eq!(scanned.method, "INVITE");
        assert_eq!(scanned.callee, "+13055550123");
        assert_eq!(scanned.branch, "z9hG4bKa1");
        assert_eq!((scanned.cseq, scanned.call_id.as_str()), (7, "call-1"));
        assert_eq!(scanned.to_tag, None);
        assert_eq!(scanned.campaign.as_deref(), Some("a sales"));
    }

    #[test]
    fn folded_compact_and_bare_newline_headers_are_read() {
        let raw = b"\r\nSIP/2.0 486 Busy Here\nv: SIP/2.0/UDP h\n ;branch=b2\nt: <sip:x@y>;tag=9\n\
            Call-ID : c2\nCSEQ: 1\n\tINVITE\n\n";
        let scanned = scan(raw).unwrap();
        assert_eq!((scanned.status, scanned.cseq_method.as_str()), (486, "INVITE"));
        assert_eq!(scanned.branch, "b2");
        assert_eq!(scanned.to_tag.as_deref(), Some("9"));
        assert_eq!(scanned.call_id, "c2");
    }

    #[test]
    fn what_is_not_sip_is_nothing() {
        for raw in [&b""[..], b"\r\n\r\n", b"\x80\x00rtp", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
            assert_eq!(scan(raw), None);
        }
    }
}
