//! Reading heads for a judgement that counts: Redis in one round trip, what it has not, and what it
//! cannot vouch for, from Postgres.

use dialer_limiter::{Entry, Head};
use dialer_types::{Outcome, PlacementId, SubjectId};

use crate::{app::App, http::error::Problem};

/// The heads of these subjects; `None` if one of them is missing or cannot be read.
///
/// # Errors
/// 503 if a store is not there or late.
pub(super) async fn heads(
    app: &App,
    subjects: &[SubjectId],
) -> Result<Option<Vec<(SubjectId, Head)>>, Problem> {
    let copies = app.redis.read(subjects).await?;
    let (mut heads, mut missing, mut doubtful) = (Vec::new(), Vec::new(), Vec::new());
    for (subject, copy) in subjects.iter().zip(copies) {
        match copy.as_deref().map(Head::decode) {
            Some(Ok(head)) if !is_reserved(&head) => heads.push((*subject, head)),
            None => missing.push(*subject),
            Some(_) => doubtful.push(*subject),
        }
    }
    let wanted: Vec<_> = missing.iter().chain(&doubtful).copied().collect();
    if !wanted.is_empty() {
        let mut connection = app.pool.acquire().await?;
        let found = dialer_facts::heads(&mut connection, &wanted).await?;
        drop(connection);
        let load: Vec<_> = found
            .iter()
            .map(|(subject, head)| (*subject, head.clone(), doubtful.contains(subject)))
            .collect();
        app.redis.load(&load).await?;
        heads.extend(found);
    }
    heads.sort_unstable_by_key(|(subject, _)| *subject);
    Ok((heads.len() == subjects.len()).then_some(heads))
}

/// Whether the last event of a copy is a reservation that is not settled: it may never have been
/// committed, so Postgres says what stands.
fn is_reserved(head: &Head) -> bool {
    head.entries().last().is_some_and(|entry| {
        entry.outcome == Outcome::Pending && entry.key == Entry::key_of(PlacementId(head.token().0))
    })
}
