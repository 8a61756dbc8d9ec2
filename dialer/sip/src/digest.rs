//! Digest access authentication: RFC 7616, RFC 8760, RFC 3261 section 22.

use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512_256};

use crate::config::Credentials;
use crate::wire::{Message, text};

/// Hash of a challenge, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Algorithm {
    Md5,
    Sha512_256,
    Sha256,
}

impl Algorithm {
    fn hash(self, parts: &[&str]) -> String {
        let joined = parts.join(":");
        match self {
            Self::Md5 => hex(&Md5::digest(joined)),
            Self::Sha256 => hex(&Sha256::digest(joined)),
            Self::Sha512_256 => hex(&Sha512_256::digest(joined)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let written = write!(out, "{b:02x}");
        debug_assert!(written.is_ok(), "a String takes every character");
        out
    })
}

/// One challenge that can be answered. Strings are as sent, without quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// From a proxy (407) rather than the far end (401).
    pub(crate) proxy: bool,
    pub(crate) realm: String,
    /// The server says that only the nonce was too old.
    pub(crate) stale: bool,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The algorithm token as sent, echoed; `None` where it was absent (MD5).
    token: Option<String>,
    /// `-sess`: the key depends on nonce and cnonce.
    per_nonce: bool,
    /// Whether qop=auth was offered; without qop the answer is that of RFC 2069.
    qop_auth: bool,
}

/// Most challenges looked at in one response.
const MAX_CHALLENGES: usize = 16;

/// The challenges of a 401 or 407 that can be answered: one per realm, the strongest of each
/// (RFC 8760 section 2.4 says the topmost; strongest also resists a downgrade), topmost on a tie.
pub(crate) fn challenges(message: &Message<'_>) -> Vec<Challenge> {
    let mut best: Vec<Challenge> = Vec::new();
    for (name, proxy) in [("WWW-Authenticate", false), ("Proxy-Authenticate", true)] {
        let mut current: Option<Vec<(String, String)>> = None;
        for element in message.values(name).take(MAX_CHALLENGES * 16) {
            let (scheme, param) = split_scheme(element);
            if let Some(scheme) = scheme {
                keep(&mut best, current.take(), proxy);
                current = scheme.eq_ignore_ascii_case(b"Digest").then(Vec::new);
            }
            if let (Some(params), Some(pair)) = (&mut current, pair(param)) {
                params.push(pair);
            }
        }
        keep(&mut best, current, proxy);
    }
    best
}

/// `Digest realm="x"` into scheme and parameter; a parameter alone has no scheme.
fn split_scheme(element: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let word = element.iter().position(|b| !crate::wire::is_token(&[*b])).unwrap_or(element.len());
    let (word, rest) = element.split_at(word);
    let rest = crate::wire::trim(rest);
    if rest.first() == Some(&b'=') { (None, element) } else { (Some(word), rest) }
}

fn pair(param: &[u8]) -> Option<(String, String)> {
    let equals = param.iter().position(|&b| b == b'=')?;
    let (name, value) = param.split_at(equals);
    let value = crate::wire::unquote(crate::wire::trim(value.get(1..)?));
    Some((text(crate::wire::trim(name)).to_ascii_lowercase(), text(value)))
}

fn keep(best: &mut Vec<Challenge>, params: Option<Vec<(String, String)>>, proxy: bool) {
    let Some(challenge) = params.and_then(|params| Challenge::read(&params, proxy)) else {
        return;
    };
    let full = best.len() >= MAX_CHALLENGES;
    let same = best.iter_mut().find(|kept| kept.proxy == proxy && kept.realm == challenge.realm);
    match same {
        Some(kept) if challenge.algorithm > kept.algorithm => *kept = challenge,
        Some(_) => {}
        None if full => {}
        None => best.push(challenge),
    }
}

impl Challenge {
    fn read(params: &[(String, String)], proxy: bool) -> Option<Self> {
        let get =
            |name: &str| params.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let token = get("algorithm");
        let lower = token.as_deref().unwrap_or("MD5").to_ascii_lowercase();
        let (base, per_nonce) =
            lower.strip_suffix("-sess").map_or((lower.as_str(), false), |base| (base, true));
        let algorithm = match base {
            "md5" => Algorithm::Md5,
            "sha-256" => Algorithm::Sha256,
            "sha-512-256" => Algorithm::Sha512_256,
            _ => return None,
        };
        let qop = get("qop");
        let qop_auth = match &qop {
            None => false,
            Some(list) => {
                // auth-int alone is not supported: skip the challenge.
                list.split(',')
                    .any(|word| word.trim().eq_ignore_ascii_case("auth"))
                    .then_some(true)?
            }
        };
        Some(Self {
            proxy,
            realm: get("realm")?,
            nonce: get("nonce")?,
            stale: get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
            opaque: get("opaque"),
            algorithm,
            token,
            per_nonce,
            qop_auth,
        })
    }

    /// Header that carries the answer.
    pub(crate) const fn header(&self) -> &'static str {
        if self.proxy { "Proxy-Authorization" } else { "Authorization" }
    }

    /// Value of that header. `count` is how many requests have used the nonce, this one included.
    pub(crate) fn answer(
        &self,
        credentials: &Credentials,
        method: &str,
        uri: &str,
        count: u32,
        cnonce: &str,
    ) -> String {
        let Credentials { username, password } = credentials;
        let hash = |parts: &[&str]| self.algorithm.hash(parts);
        let mut key = hash(&[username, &self.realm, password]);
        if self.per_nonce {
            key = hash(&[&key, &self.nonce, cnonce]);
        }
        let what = hash(&[method, uri]);
        let nc = format!("{count:08x}");
        let response = if self.qop_auth {
            hash(&[&key, &self.nonce, &nc, cnonce, "auth", &what])
        } else {
            hash(&[&key, &self.nonce, &what])
        };
        let mut out = format!(
            "Digest username=\"{}\",realm=\"{}\",nonce=\"{}\",uri=\"{uri}\",response=\"{response}\"",
            quoted(username),
            self.realm,
            self.nonce
        );
        if let Some(token) = &self.token {
            out.push_str(&format!(",algorithm={token}"));
        }
        if self.qop_auth {
            out.push_str(&format!(",qop=auth,nc={nc}"));
        }
        if self.qop_auth || self.per_nonce {
            out.push_str(&format!(",cnonce=\"{cnonce}\""));
        }
        if let Some(opaque) = &self.opaque {
            out.push_str(&format!(",opaque=\"{opaque}\""));
        }
        out
    }
}

fn quoted(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(headers: &str) -> Vec<Challenge> {
        let raw = format!("SIP/2.0 401 Unauthorized\r\n{headers}\r\n");
        challenges(&Message::parse(raw.as_bytes()).unwrap())
    }

    fn mufasa(password: &str) -> Credentials {
        Credentials { username: "Mufasa".to_owned(), password: password.to_owned() }
    }

    #[test]
    fn the_examples_of_rfc_7616_section_3_9_1_come_out() {
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (algorithm, expected) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let header = format!(
                "WWW-Authenticate: Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, nonce=\"{nonce}\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"\r\n"
            );
            let challenges = response(&header);
            let answer = challenges[0].answer(
                &mufasa("Circle of Life"),
                "GET",
                "/dir/index.html",
                1,
                cnonce,
            );
            assert!(answer.contains(&format!("response=\"{expected}\"")), "{answer}");
            assert!(answer.contains("nc=00000001"));
        }
    }

    #[test]
    fn the_example_of_rfc_2069_comes_out_without_qop() {
        // RFC 2069 section 2.4 with the response of erratum 749.
        let challenges = response(
            "WWW-Authenticate: Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"\r\n",
        );
        let answer =
            challenges[0].answer(&mufasa("CircleOfLife"), "GET", "/dir/index.html", 1, "x");
        assert!(answer.contains("response=\"1949323746fe6a43ef61f9606e7febea\""), "{answer}");
        assert!(!answer.contains("nc="));
    }

    #[test]
    fn the_strongest_challenge_of_a_realm_is_taken() {
        let challenges = response(
            "WWW-Authenticate: Digest realm=\"a\", nonce=\"1\"\r\n\
             WWW-Authenticate: Digest realm=\"a\", nonce=\"2\", algorithm=SHA-256, qop=\"auth\"\r\n\
             WWW-Authenticate: Digest realm=\"a\", nonce=\"3\", algorithm=MD5\r\n\
             Proxy-Authenticate: Basic realm=\"b\", Digest realm=\"b, c\", nonce=\"4\", stale=TRUE\r\n",
        );
        assert_eq!(challenges.len(), 2);
        assert_eq!(
            (challenges[0].algorithm, challenges[0].nonce.as_str()),
            (Algorithm::Sha256, "2")
        );
        assert!(challenges[1].proxy && challenges[1].stale);
        assert_eq!(challenges[1].realm, "b, c");
    }

    #[test]
    fn the_nonce_count_is_hexadecimal() {
        let challenges =
            response("WWW-Authenticate: Digest realm=\"a\", nonce=\"1\", qop=auth\r\n");
        let answer = challenges[0].answer(&mufasa("x"), "BYE", "sip:a", 10, "c");
        assert!(answer.contains("nc=0000000a"));
    }

    #[test]
    fn challenges_that_cannot_be_answered_are_skipped() {
        assert!(
            response("WWW-Authenticate: Digest realm=\"a\", nonce=\"1\", qop=\"auth-int\"\r\n")
                .is_empty()
        );
        assert!(
            response("WWW-Authenticate: Digest realm=\"a\", nonce=\"1\", algorithm=NEW\r\n")
                .is_empty()
        );
        assert!(response("WWW-Authenticate: Digest realm=\"a\"\r\n").is_empty());
    }
}
