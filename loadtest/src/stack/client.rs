//! A client of the HTTP API, as plain as a campaign manager's curl.

use std::{fmt, io::Read, time::Duration};

use anyhow::Context as _;
use serde_json::Value;
use ureq::{Agent, Body, SendBody, http::Response};

/// The API at one address with one key.
#[derive(Clone)]
pub struct Api {
    agent: Agent,
    base: String,
    key: String,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("base", &self.base).finish_non_exhaustive()
    }
}

/// The API said no (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked.
    pub request: String,
    /// HTTP status.
    pub status: u16,
    /// The problem document, or whatever came.
    pub problem: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the API answered {}: {}", self.request, self.status, self.problem)
    }
}

impl std::error::Error for Refusal {}

impl Api {
    /// `base` is for example `http://127.0.0.1:8080`.
    #[must_use]
    pub fn new(base: &str, key: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_recv_response(Some(Duration::from_secs(120)))
            .build()
            .new_agent();
        Self { agent, base: base.to_owned(), key: key.to_owned() }
    }

    /// Where it is.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// GET.
    ///
    /// # Errors
    /// When the API cannot be reached or says no ([`Refusal`]).
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self
            .agent
            .get(format!("{}{path}", self.base))
            .header("Authorization", format!("Bearer {}", self.key))
            .call();
        read(&format!("GET {path}"), answer)
    }

    /// POST of a JSON document.
    ///
    /// # Errors
    /// When the API cannot be reached or says no ([`Refusal`]).
    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let answer = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("Authorization", format!("Bearer {}", self.key))
            .send_json(body);
        read(&format!("POST {path}"), answer)
    }

    /// GET of plain text.
    ///
    /// # Errors
    /// When the API cannot be reached or says no.
    pub fn get_text(&self, path: &str) -> anyhow::Result<String> {
        let mut answer = self
            .agent
            .get(format!("{}{path}", self.base))
            .header("Authorization", format!("Bearer {}", self.key))
            .call()
            .with_context(|| format!("GET {path}"))?;
        let text = answer.body_mut().read_to_string().with_context(|| format!("GET {path}"))?;
        if !answer.status().is_success() {
            anyhow::bail!("GET {path}: the API answered {}: {text}", answer.status());
        }
        Ok(text)
    }

    /// POST of nothing.
    ///
    /// # Errors
    /// When the API cannot be reached or says no ([`Refusal`]).
    pub fn post_empty(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("Authorization", format!("Bearer {}", self.key))
            .send_empty();
        read(&format!("POST {path}"), answer)
    }

    /// POST of a CSV file, streamed.
    ///
    /// # Errors
    /// When the API cannot be reached or says no ([`Refusal`]).
    pub fn post_csv(&self, path: &str, mut csv: impl Read) -> anyhow::Result<Value> {
        let answer = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("Authorization", format!("Bearer {}", self.key))
            .content_type("text/csv; charset=utf-8")
            .send(SendBody::from_reader(&mut csv));
        read(&format!("POST {path}"), answer)
    }
}

/// Whether a GET is answered with 200 within a second.
pub(super) fn is_ok(url: &str) -> bool {
    let agent: Agent =
        Agent::config_builder().timeout_global(Some(Duration::from_secs(1))).build().into();
    agent.get(url).call().is_ok_and(|answer| answer.status() == 200)
}

fn read(request: &str, answer: Result<Response<Body>, ureq::Error>) -> anyhow::Result<Value> {
    let mut answer = answer.with_context(|| request.to_owned())?;
    let status = answer.status().as_u16();
    let text = answer
        .body_mut()
        .with_config()
        .limit(64 << 20)
        .read_to_string()
        .with_context(|| format!("{request}: reading the answer"))?;
    if !(200..300).contains(&status) {
        let problem = text.chars().take(2000).collect();
        return Err(Refusal { request: request.to_owned(), status, problem }.into());
    }
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).with_context(|| format!("{request}: the answer is not JSON"))
}
