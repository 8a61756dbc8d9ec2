//! The way to the API: one request, one answer or one [`Trouble`].

use std::{io::Read, sync::Arc, time::Duration};

use serde_json::Value;
use ureq::{
    Agent, Body, SendBody,
    http::{Response, request::Builder},
    tls::{RootCerts, TlsConfig},
    unversioned::{
        resolver::DefaultResolver,
        transport::{Connector as _, DefaultConnector},
    },
};

use crate::{
    config::Access,
    early::{Deaf, EarlyConnector, Heard},
    trouble::Trouble,
    words::Tongue,
};

/// A connection is made in milliseconds or not at all.
const CONNECT: Duration = Duration::from_secs(10);
/// Most answers take milliseconds; a summary of millions of contacts takes longer.
const ANSWER: Duration = Duration::from_secs(120);
/// An import is answered when its last row is stored: millions of rows take minutes.
const IMPORT: Duration = Duration::from_secs(2 * 3600);
/// The longest answer that is held in memory: a page of a thousand rows has less than one MiB.
const MOST: u64 = 64 * 1024 * 1024;

/// An answer, as it came and as a value.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) value: Value,
}

/// The API at its address.
#[derive(Debug)]
pub(crate) struct Api {
    access: Access,
    tongue: Tongue,
    agent: Agent,
    deaf: Deaf,
}

/// What is asked for: names and values of a query, missing ones left out.
pub(crate) type Query<'a> = &'a [(&'a str, Option<&'a str>)];

impl Api {
    pub(crate) fn new(access: Access, tongue: Tongue) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // The API sends nobody elsewhere; what does is not the API, and must not see the key.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .user_agent(concat!("ringfence-terminal/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls);
        let rest = access.api.split_once("://").map_or("", |(_, rest)| rest);
        // A proxy cannot reach this machine's own loopback.
        if ["127.", "localhost", "[::1]"].iter().any(|own| rest.starts_with(own)) {
            config = config.proxy(None);
        }
        let deaf = Deaf::default();
        let connector = DefaultConnector::default().chain(EarlyConnector(deaf.clone()));
        let agent = Agent::with_parts(config.build(), connector, DefaultResolver::default());
        Self { access, tongue, agent, deaf }
    }

    /// Asks.
    pub(crate) fn get(&self, path: &str, query: Query<'_>) -> Result<Answer, Trouble> {
        self.read(self.send("GET", path, query, None, SendBody::none())?)
    }

    /// Asks for what is no JSON: a report, an export.
    pub(crate) fn get_raw(&self, path: &str, query: Query<'_>) -> Result<Response<Body>, Trouble> {
        self.send("GET", path, query, None, SendBody::none())
    }

    /// Asks for a text.
    pub(crate) fn get_text(&self, path: &str, query: Query<'_>) -> Result<String, Trouble> {
        self.text(&mut self.get_raw(path, query)?)
    }

    /// Sends a JSON body, or none.
    pub(crate) fn post(&self, path: &str, body: Option<&Value>) -> Result<Answer, Trouble> {
        let kind = body.map(|_| "application/json");
        let body = match body {
            Some(body) => SendBody::from_json(body).map_err(|error| self.unreachable(&error))?,
            None => SendBody::none(),
        };
        self.read(self.send("POST", path, &[], kind, body)?)
    }

    /// Sends a file.
    pub(crate) fn upload(
        &self,
        path: &str,
        query: Query<'_>,
        file: &mut dyn Read,
    ) -> Result<Answer, Trouble> {
        self.deaf.forget();
        let mut file = Heard(file, self.deaf.clone());
        let body = SendBody::from_reader(&mut file);
        let sent = self.send("POST", path, query, Some("text/csv"), body);
        match sent.and_then(|response| self.read(response)) {
            // It closed before the file's end, and no answer of its own came.
            Err(Trouble::Unreachable { place, .. }) if self.deaf.is_so() => {
                Err(Trouble::Cut { place })
            }
            other => other,
        }
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        query: Query<'_>,
        kind: Option<&str>,
        body: SendBody<'_>,
    ) -> Result<Response<Body>, Trouble> {
        let mut url = format!("{}{path}", self.access.api);
        let given = query.iter().filter_map(|(name, value)| value.map(|value| (name, value)));
        for (at, (name, value)) in given.enumerate() {
            url.push(if at == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.push_str(&encoded(value));
        }
        let mut request = Builder::new()
            .method(method)
            .uri(url)
            .header("authorization", format!("Bearer {}", self.access.key.expose()))
            .header("accept-language", self.tongue.0.tag());
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        if kind == Some("text/csv") {
            // So that a refusal comes before the file has been sent.
            request = request.header("expect", "100-continue");
        }
        let request = request.body(body).map_err(|error| self.unreachable(&error))?;
        let waits = if kind == Some("text/csv") { IMPORT } else { ANSWER };
        let request =
            self.agent.configure_request(request).timeout_recv_response(Some(waits)).build();
        let mut response = self.agent.run(request).map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(response);
        }
        let text = self.text(&mut response).unwrap_or_default();
        match serde_json::from_str::<Value>(&text) {
            Ok(problem) if problem["code"].is_string() => {
                Err(Trouble::Refused { status, text, problem })
            }
            // A proxy's page, a wrong port: whatever it says, it is not our API.
            _ => Err(Trouble::Unreachable {
                place: self.access.api.clone(),
                reason: format!("HTTP {status}, not from the API of Ringfence"),
            }),
        }
    }

    fn text(&self, response: &mut Response<Body>) -> Result<String, Trouble> {
        let body = response.body_mut().with_config().limit(MOST);
        body.read_to_string().map_err(|error| self.unreachable(&error))
    }

    fn read(&self, mut response: Response<Body>) -> Result<Answer, Trouble> {
        let text = self.text(&mut response)?;
        let value = serde_json::from_str(&text).map_err(|_| Trouble::Unreachable {
            place: self.access.api.clone(),
            reason: "the answer is not JSON".to_owned(),
        })?;
        Ok(Answer { text, value })
    }

    /// What the way said, in short.
    pub(crate) fn unreachable(&self, error: &dyn std::fmt::Display) -> Trouble {
        Trouble::Unreachable { place: self.access.api.clone(), reason: error.to_string() }
    }
}

/// Percent-encoded for a query or a path (RFC 3986 section 2.3: what is unreserved stays).
pub(crate) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            write!(out, "%{byte:02X}").unwrap_or_default();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_carry_any_text() {
        assert_eq!(encoded("+1 305"), "%2B1%20305");
        assert_eq!(encoded("a-b_c.~&=春"), "a-b_c.~%26%3D%E6%98%A5");
    }
}
