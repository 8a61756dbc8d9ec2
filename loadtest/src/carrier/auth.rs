//! Digest authentication as a server (RFC 7616 with MD5): written here anew, so that the dialer's
//! digest is not judged by itself.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};

const REALM: &str = "carrier";

/// Who may call.
#[derive(Debug, Clone)]
pub(super) struct Auth {
    user: String,
    password: String,
}

impl Auth {
    /// `user:password`.
    pub(super) fn new(text: &str) -> Self {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        Self { user: user.to_owned(), password: password.to_owned() }
    }

    /// The value of Proxy-Authenticate.
    pub(super) fn challenge(nonce: &str) -> String {
        format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"")
    }

    /// Whether a Proxy-Authorization answers a challenge with one of our nonces.
    pub(super) fn accepts(&self, method: &str, value: &str, ours: impl Fn(&str) -> bool) -> bool {
        let field = |name: &str| field(value, name);
        let nonce = field("nonce");
        let secret = hex(&format!("{}:{REALM}:{}", self.user, self.password));
        let what = hex(&format!("{method}:{}", field("uri")));
        let (nc, cnonce, qop) = (field("nc"), field("cnonce"), field("qop"));
        let expected = hex(&format!("{secret}:{nonce}:{nc}:{cnonce}:{qop}:{what}"));
        ours(nonce)
            && field("username") == self.user
            && field("realm") == REALM
            && qop == "auth"
            && field("response").eq_ignore_ascii_case(&expected)
    }
}

fn hex(text: &str) -> String {
    let mut out = String::with_capacity(32);
    for byte in Md5::digest(text.as_bytes()) {
        // Writing to a String cannot fail.
        write!(out, "{byte:02x}").unwrap_or_default();
    }
    out
}

/// The value of one parameter, without quotes; empty where it is missing.
fn field<'a>(value: &'a str, name: &str) -> &'a str {
    let parameters = value.trim().split_once(' ').map_or("", |(_, rest)| rest);
    parameters
        .split(',')
        .filter_map(|part| part.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map_or("", |(_, value)| value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_answer_is_accepted_and_any_other_is_not() {
        let auth = Auth::new("alice:secret");
        // python: md5 of "alice:carrier:secret", "INVITE:sip:+1@h", then the whole.
        let ha1 = hex("alice:carrier:secret");
        let response = hex(&format!("{ha1}:n1:00000001:c:auth:{}", hex("INVITE:sip:+1@h")));
        let value = |user: &str, response: &str| {
            format!(
                "Digest username=\"{user}\", realm=\"carrier\", nonce=\"n1\", uri=\"sip:+1@h\", \
                 response=\"{response}\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"c\""
            )
        };
        let ours = |nonce: &str| nonce == "n1";
        assert!(auth.accepts("INVITE", &value("alice", &response), ours));
        assert!(!auth.accepts("BYE", &value("alice", &response), ours));
        assert!(!auth.accepts("INVITE", &value("bob", &response), ours));
        assert!(!auth.accepts("INVITE", &value("alice", "00"), ours));
        assert!(!auth.accepts("INVITE", &value("alice", &response), |_| false));
        assert!(!auth.accepts("INVITE", "", ours));
    }

    #[test]
    fn the_hash_is_md5() {
        assert_eq!(hex("abc"), "900150983cd24fb0d6963f7d28e17f72");
    }
}
