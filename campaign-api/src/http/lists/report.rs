//! The report of a list: why rows were rejected, and what was changed or left out in others.

use std::sync::Arc;

use axum::body::Bytes;
use dialer_types::{Filling, Language, ListId, Say};
use futures_util::{Stream, stream};
use serde_json::Value;
use uuid::Uuid;

use super::{AT_ONCE, About, csv_line};
use crate::{app::App, words::in_language};

/// How deep sentences are put into sentences.
const DEPTH: usize = 8;

/// A note as it is stored: line, column, reason, kind, the reason as a template.
type Note = (i64, String, String, String, Option<String>);

impl About {
    const fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Rejected => &["fault", "card"],
            Self::Repaired => &["repair"],
            Self::Duplicate => &["duplicate"],
            Self::All => &["fault", "card", "repair", "duplicate"],
        }
    }
}

/// The report as CSV, in pieces.
pub(super) fn stream(
    app: Arc<App>,
    list: ListId,
    about: About,
    language: Language,
) -> impl Stream<Item = Result<Bytes, sqlx::Error>> {
    stream::try_unfold((app, None::<i64>), move |(app, offset)| async move {
        let Some(offset) = offset else {
            let first = Bytes::from_static(b"line,column,reason,kind\n");
            return Ok::<_, sqlx::Error>(Some((first, (app, Some(0)))));
        };
        // Append-only while the list is imported, and then at rest: an offset is stable.
        let notes: Vec<Note> = sqlx::query_as(
            "SELECT line, field, reason, kind, said FROM list_fault
             WHERE list_id = $1 AND kind = ANY($4)
             ORDER BY line, field, reason LIMIT $2 OFFSET $3",
        )
        .bind(Uuid::from_u128(list.0))
        .bind(AT_ONCE)
        .bind(offset)
        .bind(about.kinds())
        .fetch_all(&app.pool)
        .await?;
        if notes.is_empty() {
            return Ok(None);
        }
        let mut chunk = Vec::new();
        let next = offset + i64::try_from(notes.len()).unwrap_or(AT_ONCE);
        for (line, column, reason, kind, said) in notes {
            let reason = in_language(&say_of(said.as_deref(), reason), language);
            let cells = [line.to_string(), column, reason, kind];
            chunk.extend(csv_line(&cells).map_err(|error| sqlx::Error::Decode(error.into()))?);
        }
        Ok(Some((Bytes::from(chunk), (app, Some(next)))))
    })
}

/// A stored sentence: its template with its fillings, or else its English text.
pub(super) fn say_of(said: Option<&str>, text: String) -> Say {
    said.and_then(|said| serde_json::from_str(said).ok())
        .and_then(|value: Value| read(&value, DEPTH))
        .unwrap_or_else(|| Say::raw(text))
}

/// What `Say` writes of itself.
fn read(value: &Value, depth: usize) -> Option<Say> {
    let mut say = Say::of(value.get("say")?.as_str()?);
    for filled in value.get("with")?.as_array()? {
        let [name, filling] = filled.as_array()?.as_slice() else { return None };
        let filling = match filling {
            Value::String(text) => Filling::Text(text.clone()),
            said => Filling::Said(read(said, depth.checked_sub(1)?)?),
        };
        say = say.with(name.as_str()?, filling);
    }
    Some(say)
}

#[cfg(test)]
mod tests {
    use dialer_types::say;

    use super::*;

    #[test]
    fn a_sentence_comes_back_from_its_json() {
        let outer =
            Say::of("no: {why} {n}").with("why", say!("more than {most}", most = 5)).with("n", &1);
        for say in [outer, Say::raw("{x"), Say::of("plain")] {
            let stored = serde_json::to_string(&say).unwrap();
            assert_eq!(say_of(Some(&stored), String::new()), say);
        }
        assert_eq!(say_of(Some("{}"), "text".to_owned()).to_string(), "text");
        assert_eq!(say_of(None, "text".to_owned()).to_string(), "text");
    }
}
