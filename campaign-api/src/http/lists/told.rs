//! What the sender of a file says about it, in the query.

use axum::{extract::FromRequestParts, extract::Query, http::request::Parts};
use dialer_types::{CampaignId, say};
use encoding_rs::{Encoding, GB18030, GBK};
use serde::Deserialize;

use crate::{
    http::{error::Problem, extract::Faults},
    import::{cards, columns::masked, contact::holds_number, phones::Region, source::Told},
};

/// What a file is, where it is not to be guessed.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Params {
    /// Name of the list.
    pub name: Option<String>,
    /// Whose campaign: ULID, where the address does not say it.
    pub campaign: Option<String>,
    /// Two letters (ISO 3166-1): numbers without a country code are of this country. The country of
    /// a row wins.
    pub region: Option<String>,
    /// `utf-8`, `utf-16le`, `gbk`, `windows-1252` and so on (the labels of the Encoding Standard).
    pub encoding: Option<String>,
    /// `,`, `;`, `|`, `tab` or `pipe`.
    pub delimiter: Option<String>,
    /// `Their Header:phone_1,Other:external_id`; `own` keeps a column as the file's own, `-` leaves it out.
    pub columns: Option<String>,
    /// `number`: no column names the person, so the first number does.
    pub identify: Option<String>,
}

/// The query, read.
#[derive(Debug, Default)]
pub struct Reading {
    pub(super) name: Option<String>,
    pub(super) campaign: Option<CampaignId>,
    pub(super) told: Told,
}

impl<S: Send + Sync> FromRequestParts<S> for Reading {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Problem::malformed("the query string is not understood"));
        std::future::ready(pairs.and_then(|Query(pairs)| Self::of(pairs))).await
    }
}

impl Reading {
    fn of(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut faults = Faults::default();
        let mut reading = Self::default();
        for (key, value) in pairs {
            if cards::holds_card(&key) || cards::holds_card(&value) {
                let at = if cards::holds_card(&key) { "query" } else { &masked(&key) };
                faults.add(at, "holds what passes for a payment card number; nothing was kept");
                continue;
            }
            reading.take(&key, value, &mut faults);
        }
        faults.finish().map(|()| reading)
    }

    fn take(&mut self, key: &str, value: String, faults: &mut Faults) {
        match key {
            "name" => {
                faults.text("name", &value, 200);
                if holds_number(&value) {
                    faults.add("name", "holds a telephone number; the audit keeps none");
                }
                self.name = Some(value);
            }
            "campaign" => match value.parse() {
                Ok(campaign) => self.campaign = Some(campaign),
                Err(_) => faults.add("campaign", "is no id of a campaign (a ULID)"),
            },
            "region" => match Region::read(&value) {
                Some(region) => self.told.region = Some(region),
                None => faults.add("region", "must be two letters (ISO 3166-1) of a country, like US"),
            },
            "encoding" => match encoding(&value) {
                Some(encoding) => self.told.encoding = Some(encoding),
                None => faults.add("encoding", "is not known; use utf-8, utf-16le, utf-16be, gb18030, big5, shift_jis, windows-1252 or another label of the Encoding Standard"),
            },
            "delimiter" => match delimiter(&value) {
                Some(delimiter) => self.told.delimiter = Some(delimiter),
                None => faults.add("delimiter", "must be , or ; or | or tab"),
            },
            "columns" => self.columns(&value, faults),
            "identify" if value == "number" => self.told.by_number = true,
            "identify" => faults.add("identify", "must be number"),
            other => faults.add(
                &masked(other),
                say!("is not known here; known: {known}", known = "name, campaign, region, encoding, delimiter, columns, identify"),
            ),
        }
    }

    fn columns(&mut self, value: &str, faults: &mut Faults) {
        for pair in value.split(',').filter(|pair| !pair.trim().is_empty()) {
            match pair.rsplit_once(':') {
                Some((header, field)) => {
                    let field = field.trim().to_ascii_lowercase();
                    self.told.columns.push((header.trim().to_owned(), field));
                }
                None => faults
                    .add("columns", "must be NAME:column, like Mobile:phone_1, divided by commas"),
            }
        }
    }
}

fn encoding(label: &str) -> Option<&'static Encoding> {
    let plain = match label.to_ascii_lowercase().as_str() {
        "latin-1" | "latin_1" => "latin1".to_owned(),
        "gb-18030" => "gb18030".to_owned(),
        other => other.to_owned(),
    };
    let found = Encoding::for_label_no_replacement(plain.as_bytes())?;
    Some(if found == GBK { GB18030 } else { found })
}

fn delimiter(text: &str) -> Option<u8> {
    match text.to_ascii_lowercase().as_str() {
        "," | "comma" => Some(b','),
        ";" | "semicolon" => Some(b';'),
        "\t" | "\\t" | "tab" => Some(b'\t'),
        "|" | "pipe" => Some(b'|'),
        _ => None,
    }
}

/// How a delimiter is called.
pub(super) fn named(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "tab".to_owned(),
        other => char::from(other).to_string(),
    }
}
