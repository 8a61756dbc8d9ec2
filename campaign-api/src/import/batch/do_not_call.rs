//! Rows that say nobody is to call: entries as `POST /v1/suppressions` makes them for a person.

use std::collections::BTreeSet;

use dialer_audit::{
    Record,
    record::{Suppressed, Token as AuditToken},
};
use dialer_limiter::{Mark, Token};
use dialer_types::SubjectId;
use schema::{
    heads::{Moved, move_heads},
    rows::{self, AuditEntry},
};
use uuid::Uuid;

use super::{Fresh, Work};
use crate::{events, http::error::Problem};

/// Why, as it stands on file.
const REASON: &str = "do not call: in the list";

impl Work<'_> {
    /// Marks the person and every number of theirs for the seller, and says so on file. Each time a
    /// list says it: an entry that was lifted holds again.
    pub(super) async fn do_not_call<'r>(
        &mut self,
        rows: impl Iterator<Item = &'r Fresh<'r>>,
    ) -> Result<Vec<Moved>, Problem> {
        let mut seen = BTreeSet::new();
        let marked: Vec<&Fresh<'_>> = rows
            .filter(|fresh| fresh.row.do_not_call && seen.insert(fresh.person.subject))
            .collect();
        if marked.is_empty() {
            return Ok(Vec::new());
        }
        let persons: Vec<i64> = marked.iter().map(|fresh| fresh.person.subject.0).collect();
        sqlx::query(
            "INSERT INTO suppression_event (seller_id, person_subject, kind, reason, at, recorded_at)
             SELECT $1, person, 'add', $2, $3, $3 FROM unnest($4::bigint[]) AS person",
        )
        .bind(Uuid::from_u128(self.target.seller.0))
        .bind(REASON)
        .bind(self.now.0)
        .bind(&persons)
        .execute(&mut *self.transaction)
        .await?;
        let event = Token(self.mint.ulid(self.now));
        let theirs = self.numbers_of(marked.iter().map(|fresh| fresh.person.subject)).await?;
        let subjects: Vec<Vec<SubjectId>> = marked
            .iter()
            .map(|fresh| {
                let person = fresh.person.subject;
                let numbers = theirs.get(&person).into_iter().flatten().copied();
                numbers.chain([person]).collect()
            })
            .collect();
        let all: Vec<SubjectId> = subjects.iter().flatten().copied().collect();
        let mark = Mark::suppressed(Some(self.target.seller_no));
        let mut full = None;
        let moved = move_heads(self.transaction, &all, |subject, head| {
            // Where there is no room for one more seller, everybody is bound.
            let everybody = || head.with_mark(event, Mark::suppressed(None));
            let next = head.with_mark(event, mark).or_else(|_| everybody()).ok();
            if next.is_none() {
                full = Some(subject);
            }
            next
        })
        .await?;
        if let Some(subject) = full {
            let reason = format!("the head of subject {} took no mark", subject.0);
            return Err(Problem::internal(reason));
        }
        let seller = i32::try_from(self.target.seller_no.0).unwrap_or(0);
        events::announce_opt_out(self.transaction, &moved, seller, None, self.now).await?;
        let entries: Vec<AuditEntry> =
            subjects.into_iter().map(|subjects| self.suppressed(subjects, event)).collect();
        rows::append_audit(self.transaction, &entries).await?;
        Ok(moved)
    }

    fn suppressed(&self, subjects: Vec<SubjectId>, event: Token) -> AuditEntry {
        let body = Suppressed {
            event: AuditToken(event.0),
            subjects,
            seller: Some(self.target.seller),
            source: "list".to_owned(),
            effective_at: self.now,
            reason: REASON.to_owned(),
            purpose: None,
        };
        AuditEntry {
            campaign: Some(self.target.campaign),
            ..AuditEntry::of(Record::new(None, body.into(), self.now))
        }
    }
}
