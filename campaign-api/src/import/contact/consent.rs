//! The consents of a row.

use chrono_tz::Tz;
use dialer_types::{Purpose, Say, Technology, UnixMillis, say};

use super::words;
use crate::{
    http::consents::FORMS,
    import::{dates, row::Fields},
};

pub(crate) use crate::http::extract::free_text::holds_number;

/// A consent that came with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowConsent {
    pub(crate) form: &'static str,
    pub(crate) purpose: Purpose,
    pub(crate) technology: Option<Technology>,
    pub(crate) at: UnixMillis,
    pub(crate) source: Option<String>,
    pub(crate) revoked_at: Option<UnixMillis>,
}

/// Reads one, by the names of its columns; `None` if it is not there or a fault was noted.
pub(super) fn read(
    fields: &mut Fields<'_>,
    columns: &[&'static str; 6],
    zone: Option<Tz>,
    now: UnixMillis,
) -> Option<RowConsent> {
    columns.iter().find_map(|column| fields.get(column))?;
    let [form, purpose, technology, at, source, revoked_at] = *columns;
    let known = read_form(fields, form);
    if fields.get(purpose).is_none() {
        fields.fault(purpose, "is missing");
    }
    let given_for = fields.word(purpose, &words(Purpose::ALL));
    let by = fields.word(technology, &words(Technology::ALL));
    if fields.get(at).is_none() {
        fields.fault(at, "is missing");
    }
    let given = moment(fields, at, zone, now);
    let revoked = moment(fields, revoked_at, zone, now);
    if let (Some(given), Some(revoked)) = (given, revoked)
        && revoked < given
    {
        fields.fault(revoked_at, say!("is before {at}", at));
    }
    let evidence = fields.optional(source, 500);
    if evidence.as_deref().is_some_and(holds_number) {
        fields.fault(source, "holds a telephone number; the audit keeps none");
    }
    Some(RowConsent {
        form: known?,
        purpose: given_for?,
        technology: by,
        at: given?,
        source: evidence,
        revoked_at: revoked,
    })
}

fn read_form(fields: &mut Fields<'_>, column: &str) -> Option<&'static str> {
    let Some(text) = fields.get(column) else {
        fields.fault(column, "is missing");
        return None;
    };
    let word = text.to_ascii_lowercase().replace([' ', '-'], "_");
    let known = FORMS.into_iter().find(|known| *known == word);
    if known.is_none() {
        fields.fault(column, say!("must be one of {known}", known = FORMS.join(", ")));
    }
    known
}

fn moment(
    fields: &mut Fields<'_>,
    column: &str,
    zone: Option<Tz>,
    now: UnixMillis,
) -> Option<UnixMillis> {
    let (moment, repair) = dates::moment(fields.get(column)?, zone)
        .map_err(|reason: Say| fields.fault(column, reason))
        .ok()?;
    if let Some(what) = repair {
        fields.repair(column, what);
    }
    if moment > now {
        fields.fault(column, "is in the future");
    }
    Some(moment)
}
