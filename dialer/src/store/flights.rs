//! Reading one head of Postgres once, however many ask for it at the same time: after Redis came back
//! empty, everybody misses the same heads.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use dialer_limiter::Head;
use dialer_types::SubjectId;
use tokio::sync::watch;

/// What a read found, once it is back.
type Found = Option<Arc<BTreeMap<SubjectId, Head>>>;

/// Reads under way, by subject.
#[derive(Debug, Default)]
pub struct Flights(Mutex<BTreeMap<SubjectId, watch::Receiver<Found>>>);

/// The subjects that one read has taken; let go when it is over, however it ends.
struct Taken<'a> {
    flights: &'a Flights,
    subjects: Vec<SubjectId>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut under_way = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        for subject in &self.subjects {
            under_way.remove(subject);
        }
    }
}

impl Flights {
    /// No read is under way.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// The heads of `wanted`: those that nobody reads yet by one call of `read`, the others by waiting
    /// for whoever does. A read that began before may miss what happened since; such a head is stale,
    /// and no commit rests on a stale one.
    ///
    /// # Errors
    /// Those of `read`. If somebody else's fails, ours is tried.
    pub async fn read<E, F>(
        &self,
        wanted: &[SubjectId],
        read: impl Fn(Vec<SubjectId>) -> F,
    ) -> Result<BTreeMap<SubjectId, Head>, E>
    where
        F: Future<Output = Result<BTreeMap<SubjectId, Head>, E>>,
    {
        let (tell, told) = watch::channel(None);
        let (taken, awaited) = self.take(wanted, &told);
        let mut heads = BTreeMap::new();
        if !taken.subjects.is_empty() {
            let found = Arc::new(read(taken.subjects.clone()).await?);
            heads.extend(found.iter().map(|(subject, head)| (*subject, head.clone())));
            tell.send_replace(Some(found));
        }
        drop(taken);
        let mut left = Vec::new();
        for (subject, mut awaited) in awaited {
            match awaited.wait_for(Option::is_some).await {
                Ok(found) => {
                    let head = found.as_ref().and_then(|found| found.get(&subject));
                    heads.extend(head.map(|head| (subject, head.clone())));
                }
                // It failed, or was given up.
                Err(_) => left.push(subject),
            }
        }
        if !left.is_empty() {
            heads.extend(read(left).await?);
        }
        Ok(heads)
    }

    fn take(
        &self,
        wanted: &[SubjectId],
        told: &watch::Receiver<Found>,
    ) -> (Taken<'_>, Vec<(SubjectId, watch::Receiver<Found>)>) {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut subjects, mut awaited) = (Vec::new(), Vec::new());
        for subject in wanted {
            match under_way.get(subject) {
                Some(other) if !other.same_channel(told) => awaited.push((*subject, other.clone())),
                Some(_) => {}
                None => {
                    under_way.insert(*subject, told.clone());
                    subjects.push(*subject);
                }
            }
        }
        (Taken { flights: self, subjects }, awaited)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use dialer_limiter::Token;
    use tokio::sync::Semaphore;

    use super::*;

    fn found(subjects: Vec<SubjectId>) -> BTreeMap<SubjectId, Head> {
        subjects.into_iter().map(|it| (it, Head::new(Token(9)))).collect()
    }

    #[tokio::test]
    async fn a_hundred_who_miss_the_same_heads_read_each_once() {
        let (flights, read, gate) = (Flights::new(), AtomicUsize::new(0), Semaphore::new(0));
        let (flights, read, gate) = (&flights, &read, &gate);
        let all = (0..100).map(|first| async move {
            let wanted = [SubjectId(first % 7), SubjectId(7), SubjectId(8)];
            let slow = |subjects: Vec<SubjectId>| async move {
                gate.acquire().await.unwrap().forget();
                read.fetch_add(subjects.len(), Ordering::Relaxed);
                Ok::<_, ()>(found(subjects))
            };
            assert_eq!(flights.read(&wanted, slow).await.unwrap().len(), 3);
        });
        let later = async {
            tokio::task::yield_now().await;
            gate.add_permits(100);
        };
        tokio::join!(futures_util::future::join_all(all), later);
        assert_eq!(read.load(Ordering::Relaxed), 9);
        assert!(flights.0.lock().unwrap().is_empty(), "nothing is kept");
    }

    #[tokio::test]
    async fn who_waited_for_a_read_that_failed_reads_by_itself() {
        let (flights, gate) = (Flights::new(), Semaphore::new(0));
        let wanted = [SubjectId(1)];
        let fails = flights.read(&wanted, |_| async {
            gate.acquire().await.unwrap().forget();
            Err::<BTreeMap<_, _>, _>("away")
        });
        let waits = flights.read(&wanted, |subjects| async { Ok::<_, &str>(found(subjects)) });
        let later = async { gate.add_permits(1) };
        let (failed, read, ()) = tokio::join!(fails, waits, later);
        assert_eq!((failed.is_err(), read.unwrap().len()), (true, 1));
    }
}
