//! Whom an id of a seller means: an opt-out under a misspelt id binds nobody, and must say so.

use dialer_types::{E164, SellerId};
use schema::numbers::NumberKeys;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::import::contact::code_of;

/// The shortest row of digits that the import takes for the number of its row.
const SHORTEST: usize = 7;
/// Country codes have one to three digits.
const COUNTRY_CODES: std::ops::Range<u32> = 1..1000;

/// The person that an id means.
#[derive(Debug)]
pub(in crate::http) struct Meant {
    /// The id under which the person is kept, or will be.
    pub(in crate::http) external_id: String,
    /// Whether a contact of the seller is this person.
    pub(in crate::http) known: bool,
}

/// Looks among the persons of a seller's contacts: for the id as it stands, then for the code that
/// the import makes of an id that is a telephone number, then whatever the case of its letters, if
/// that leaves one. `number`: given beside the id.
pub(in crate::http) async fn meant(
    connection: &mut PgConnection,
    keys: &NumberKeys,
    seller: SellerId,
    id: &str,
    number: Option<E164>,
) -> Result<Meant, sqlx::Error> {
    let id = id.trim();
    let known = |external_id: String| Ok(Meant { external_id, known: true });
    if let Some(exact) = one(connection, EXACT, seller, &[id.to_owned()]).await? {
        return known(exact);
    }
    let code = own_code(keys, id, number);
    let codes = code.clone().map_or_else(|| national_codes(keys, id), |code| vec![code]);
    if let Some(coded) = one(connection, EXACT, seller, &codes).await? {
        return known(coded);
    }
    if let Some(other_case) = one(connection, ANY_CASE, seller, &[id.to_owned()]).await? {
        return known(other_case);
    }
    Ok(Meant { external_id: code.unwrap_or_else(|| id.to_owned()), known: false })
}

const EXACT: &str = "SELECT p.external_id FROM person p
     WHERE p.seller_id = $1 AND p.external_id = ANY($2)
       AND EXISTS (SELECT FROM contact c WHERE c.person_subject = p.subject_id) LIMIT 2";
// It looks at every person of the seller: asked last, of ids that nothing else fits.
const ANY_CASE: &str = "SELECT p.external_id FROM person p
     WHERE p.seller_id = $1 AND lower(p.external_id) = lower(($2::text[])[1])
       AND EXISTS (SELECT FROM contact c WHERE c.person_subject = p.subject_id) LIMIT 2";

/// The one person that fits; `None` if there is none or more than one.
async fn one(
    connection: &mut PgConnection,
    sql: &'static str,
    seller: SellerId,
    ids: &[String],
) -> Result<Option<String>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(None);
    }
    let mut found: Vec<String> = sqlx::query_scalar(sql)
        .bind(Uuid::from_u128(seller.0))
        .bind(ids)
        .fetch_all(connection)
        .await?;
    Ok(found.pop().filter(|_| found.is_empty()))
}

/// The digits of an id that may be a telephone number, without the zeros they begin with.
fn digits(id: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')' | '.');
    let digits: String = id.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    (id.chars().all(is_part) && digits.len() >= SHORTEST).then(|| digits.to_owned())
}

/// The code of an id that is the number beside it, or a whole number by its plus.
fn own_code(keys: &NumberKeys, id: &str, number: Option<E164>) -> Option<String> {
    let digits = digits(id)?;
    let beside = number.filter(|number| number.expose().ends_with(&digits));
    let whole = || format!("+{digits}").parse().ok().filter(|_| id.starts_with('+'));
    beside.or_else(whole).map(|number| code_of(keys, &number))
}

/// The codes of an id that may be a number without its plus, or without its country code: nobody
/// says of which country, so of all of them.
fn national_codes(keys: &NumberKeys, id: &str) -> Vec<String> {
    let Some(digits) = digits(id) else { return Vec::new() };
    let national = COUNTRY_CODES.map(|country| format!("+{country}{digits}"));
    std::iter::once(format!("+{digits}"))
        .chain(national)
        .filter_map(|number| number.parse().ok())
        .map(|number| code_of(keys, &number))
        .collect()
}
