//! The gate's own judgement, asked without placing anything: what "why not?" and the summaries
//! rest on. The facts and the rules are read as the dialer reads them; nothing is recorded.

mod ahead;
mod read;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use dialer_facts::{
    lists::{Folder, Lists},
    rules::{Packs, RulesError},
};
use dialer_judge::{CallTerms, ContactFacts, GUARD, Next, Outlook, has_room, judge};
use dialer_limiter::Head;
use dialer_policy::{Ruleset, Verdict};
use dialer_types::{Say, SubjectId, UnixMillis};
use schema::config::Dialer;
use tokio::sync::Semaphore;

use crate::{clock, http::error::Problem};
pub(crate) use ahead::{HOURS, Held, Hours, hours_of};
pub(crate) use read::{AT_ONCE, Campaign, Known, Which, campaign, contacts, snapshot, stranger};

/// How old the look at the folder of lists may be; how often the rule packs are looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Summaries that are made at once: each holds a connection and a core for seconds.
const SUMMARIES: usize = 2;

/// The rules and the national lists of this deployment.
#[derive(Debug)]
pub(crate) struct Judging {
    ruleset: RwLock<Arc<Ruleset>>,
    packs: Arc<Mutex<Packs>>,
    looked: Arc<Mutex<Looked>>,
    pub(crate) summaries: Semaphore,
}

#[derive(Debug)]
struct Looked {
    path: PathBuf,
    folder: Option<(Folder, Instant)>,
}

impl Looked {
    fn lists(&mut self) -> Arc<Lists> {
        let path = &self.path;
        let (folder, at) = self.folder.get_or_insert_with(|| (Folder::open(path), clock::mono()));
        if at.elapsed() > LOOK_EVERY {
            folder.look();
            *at = clock::mono();
        }
        folder.lists().load_full()
    }
}

impl Judging {
    /// Loads the packs that the dialer of this configuration judges by. The lists are read when
    /// they are first asked for, and again when they have changed.
    ///
    /// # Errors
    /// See [`RulesError`].
    pub(crate) fn load(dialer: &Dialer) -> Result<Self, RulesError> {
        let packs = Packs::open(dialer.packs.as_deref(), dialer.house.as_deref())?;
        Ok(Self {
            ruleset: RwLock::new(packs.held()),
            packs: Arc::new(Mutex::new(packs)),
            looked: Arc::new(Mutex::new(Looked { path: dialer.lists.clone(), folder: None })),
            summaries: Semaphore::new(SUMMARIES),
        })
    }

    /// The rules in force. An answer is by one set of rules: ask once for each.
    pub(crate) fn ruleset(&self) -> Arc<Ruleset> {
        Arc::clone(&self.ruleset.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the packs as the dialer does, and takes the rules that it would; returns whether what
    /// is on disk is refused.
    ///
    /// # Errors
    /// If the look panicked: the rules stay.
    pub(crate) async fn look(&self) -> Result<bool, tokio::task::JoinError> {
        let packs = Arc::clone(&self.packs);
        let look = move || {
            let mut packs = packs.lock().unwrap_or_else(PoisonError::into_inner);
            packs.look();
            (packs.held(), packs.is_refused())
        };
        let (held, refused) = tokio::task::spawn_blocking(look).await?;
        *self.ruleset.write().unwrap_or_else(PoisonError::into_inner) = held;
        Ok(refused)
    }

    /// The national lists, at most [`LOOK_EVERY`] old.
    pub(crate) async fn lists(&self) -> Result<Arc<Lists>, Problem> {
        let looked = Arc::clone(&self.looked);
        let look = move || looked.lock().unwrap_or_else(PoisonError::into_inner).lists();
        tokio::task::spawn_blocking(look).await.map_err(Problem::internal)
    }
}

/// What is known of a contact that is to be judged; `None` where a part cannot be read.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) terms: CallTerms,
    /// The contact's numbers, in the order in which they are tried.
    pub(crate) order: Vec<SubjectId>,
    pub(crate) facts: Option<ContactFacts>,
    pub(crate) heads: Option<Vec<(SubjectId, Head)>>,
}

/// What the gate would say of a contact now.
#[derive(Debug)]
pub(crate) enum Opinion {
    /// It would not judge: what it needs to know cannot be known. Never a permit (G5).
    Unknown(Say),
    /// Each number with its verdict, in the order in which they are tried.
    Judged(Vec<(SubjectId, Verdict)>),
}

/// When a contact may be called, by the rules alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum When {
    Now,
    At(UnixMillis),
    /// When something other than the time has changed.
    Never,
}

impl Case {
    /// Judges every number, as the gate does; the gate stops at the first that it permits.
    pub(crate) fn judge(&self, ruleset: &Ruleset, now: UnixMillis) -> Opinion {
        let Some(facts) = &self.facts else {
            return Opinion::Unknown("the contact's data cannot be read".into());
        };
        let Some(heads) = &self.heads else {
            return Opinion::Unknown("the history of its calls cannot be read".into());
        };
        let mut judged = Vec::with_capacity(self.order.len());
        for subject in &self.order {
            let Some(number) = facts.numbers.iter().find(|number| number.subject == *subject)
            else {
                continue;
            };
            let verdict = judge(ruleset, &self.terms, facts, number, heads, GUARD, now);
            if matches!(verdict, Verdict::Permit(_)) && !has_room(&self.terms, *subject, heads, now)
            {
                return Opinion::Unknown("the history of its calls is full".into());
            }
            judged.push((*subject, verdict));
        }
        if judged.is_empty() {
            return Opinion::Unknown("it has no number that can be read".into());
        }
        Opinion::Judged(judged)
    }
}

impl Opinion {
    /// What the gate would do with the contact.
    pub(crate) fn when(&self) -> When {
        let Self::Judged(judged) = self else { return When::Never };
        let mut outlook = Outlook::default();
        for (_, verdict) in judged {
            if matches!(verdict, Verdict::Permit(_)) {
                return When::Now;
            }
            outlook.add(verdict);
        }
        match outlook.into_next() {
            Some((Next::Due { at, .. }, _)) => When::At(at),
            _ => When::Never,
        }
    }

    /// The verdicts, in the order in which the numbers are tried.
    pub(crate) fn verdicts(&self) -> &[(SubjectId, Verdict)] {
        match self {
            Self::Unknown(_) => &[],
            Self::Judged(judged) => judged,
        }
    }
}
