//! Why not? What the gate would say of a contact or a number now, and what stands in the way. It
//! records nothing and changes nothing: it is no judgement, and nobody may dial on it.

mod answer;
mod places;

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::State};
use dialer_policy::Verdict;
use dialer_types::{CampaignId, ContactId, E164, Say, SubjectId, UnixMillis, say};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    auth::{May, Peek, Why},
    error::Problem,
    extract::{Asked, Body, Faults},
    suppressions::person::meant,
    time::Time,
    trunk_health::{Stalled, stalled},
};
use crate::{
    app::App,
    judging::{self, Campaign, Case, Known, Opinion, Which},
    words::{language, told},
};
pub(crate) use answer::duty_of;
pub use answer::{Duty, Excepted, Lifted, LocalTime, NumberAnswer, Reason, Standing};
use answer::{Gap, View};

/// Contacts of one answer: a number that more people of one campaign share is a switchboard.
const MOST: i64 = 20;

/// About whom: `campaign`, and one of the others.
#[derive(Debug, Deserialize, utoipa::IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Question {
    /// ULID of the campaign.
    pub campaign: String,
    /// A telephone number, for example `+13055550123` (the plus sign as `%2B`).
    pub number: Option<String>,
    /// Of which country the number is, if it stands without its country code: two letters.
    pub region: Option<String>,
    /// The seller's own id of a person, or the telephone number that it is.
    pub person: Option<String>,
    /// ULID of a contact.
    pub contact: Option<String>,
}

/// What the gate would say.
#[derive(Debug, Serialize, ToSchema)]
pub struct Eligibility {
    /// When it was asked.
    pub at: Time,
    /// ULID.
    #[schema(value_type = String)]
    pub campaign: CampaignId,
    /// `draft`, `running`, `paused`, `stopped` or `ended`.
    pub campaign_status: String,
    /// Why a running campaign can call nobody at all, for example that it has no trunk.
    pub stalled: Option<Stalled>,
    /// The contact that was asked about.
    #[serde(flatten)]
    pub answer: Answer,
    /// Other contacts of the campaign with the same number, at most 20.
    pub others: Vec<Answer>,
}

/// What the gate would say of one contact.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    /// ULID; null for a number that is in no list of the campaign.
    #[schema(value_type = Option<String>)]
    pub contact: Option<ContactId>,
    /// The seller's own id of the person.
    pub person: Option<String>,
    /// `permit` if any number may be called now, `defer` if only time stands in the way, else
    /// `refuse`.
    pub verdict: String,
    /// The first moment at which one of the numbers may be called, if nothing changes.
    pub first_lawful_at: Option<Time>,
    /// Each number, in the order in which they are tried.
    pub numbers: Vec<NumberAnswer>,
    /// Where the contact stands.
    pub state: Standing,
    /// All of it in a sentence.
    pub sentence: String,
}

/// Why a contact or number is not called, or that it may be.
#[utoipa::path(get, path = "/v1/eligibility", tag = "eligibility", params(Question),
    responses((status = 200, body = Eligibility), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn ask(
    _: May<Why>,
    State(app): State<Arc<App>>,
    Asked(question): Asked<Question>,
) -> Result<Json<Eligibility>, Problem> {
    answered(&app, question).await
}

/// The same question in a body: no number or id of a person stands in an address that is logged on
/// the way. A peek before `POST /v1/permits`; it reserves nothing.
#[utoipa::path(post, path = "/v1/eligibility:check", tag = "eligibility", request_body = Question,
    responses((status = 200, body = Eligibility), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn check(
    _: May<Peek>,
    State(app): State<Arc<App>>,
    Body(question): Body<Question>,
) -> Result<Json<Eligibility>, Problem> {
    answered(&app, question).await
}

async fn answered(app: &App, question: Question) -> Result<Json<Eligibility>, Problem> {
    let (id, whom) = question.read()?;
    let lists = app.judging.lists().await?;
    let ruleset = app.judging.ruleset();
    let mut snapshot = judging::snapshot(app).await?;
    let now = app.now();
    let campaign = judging::campaign(&mut snapshot, id).await?;
    let stalled = stalled(&mut snapshot, id, &campaign.status, now).await?;
    let found = whom.find(app, &mut snapshot, &campaign).await?;
    let which = Which { contacts: Some(found), ..Which::default() };
    let known = judging::contacts(&mut snapshot, &app.keys, &lists, &campaign, &which).await?;
    let asked = Asker { campaign: &campaign, ruleset: &ruleset, whom: &whom, now };
    let mut answers: Vec<Answer> = known.iter().map(|known| asked.of_contact(known)).collect();
    if answers.is_empty() {
        let Whom::Number(number) = whom else {
            return Err(Problem::not_found(whom.nobody()));
        };
        let case = judging::stranger(&mut snapshot, &app.keys, &lists, &campaign, number).await?;
        answers.push(asked.of_stranger(&case));
    }
    let answer = answers.remove(0);
    let (at, campaign_status) = (Time(now), campaign.status.clone());
    let others = answers;
    Ok(Json(Eligibility { at, campaign: id, campaign_status, stalled, answer, others }))
}

/// Whom a question is about.
pub(super) enum Whom {
    Number(E164),
    Person(String),
    Contact(ContactId),
}

impl Question {
    fn read(&self) -> Result<(CampaignId, Whom), Problem> {
        let mut faults = Faults::default();
        let campaign: Option<CampaignId> = faults.parse("campaign", &self.campaign);
        let whom = match (&self.number, &self.person, &self.contact) {
            (Some(number), None, None) => {
                faults.number("number", number, self.region.as_deref()).map(Whom::Number)
            }
            (None, Some(person), None) => Some(Whom::Person(person.clone())),
            (None, None, Some(contact)) => faults.parse("contact", contact).map(Whom::Contact),
            _ => {
                faults.add("number", "give one of number, person and contact");
                None
            }
        };
        faults.finish()?;
        campaign.zip(whom).ok_or_else(|| Problem::internal("a question without faults"))
    }
}

impl Whom {
    pub(super) async fn find(
        &self,
        app: &App,
        connection: &mut PgConnection,
        campaign: &Campaign,
    ) -> Result<Vec<ContactId>, Problem> {
        let id = Uuid::from_u128(campaign.id.0);
        let query = match self {
            Self::Contact(contact) => return Ok(vec![*contact]),
            Self::Person(person) => {
                let meant = meant(connection, &app.keys, campaign.seller, person, None).await?;
                if !meant.known {
                    return Err(Problem::not_found(
                        "no contact of this seller has this person; check the id",
                    ));
                }
                sqlx::query(
                    "SELECT c.id FROM contact c JOIN person p ON p.subject_id = c.person_subject
                 WHERE p.seller_id = $2 AND p.external_id = $3 AND c.campaign_id = $1
                 ORDER BY c.id LIMIT $4",
                )
                .bind(id)
                .bind(Uuid::from_u128(campaign.seller.0))
                .bind(meant.external_id)
            }
            Self::Number(number) => sqlx::query(
                "SELECT c.id FROM number n
                 JOIN contact_number cn ON cn.number_subject = n.subject_id
                 JOIN contact c ON c.id = cn.contact_id
                 WHERE n.keyed_hash = $2 AND $3 AND c.campaign_id = $1 ORDER BY c.id LIMIT $4",
            )
            .bind(id)
            .bind(app.keys.lookup_hash(number).to_vec())
            .bind(true),
        };
        let rows = query.bind(MOST + 1).fetch_all(connection).await?;
        let id = |row| Ok(ContactId(Row::try_get::<Uuid, _>(row, 0)?.as_u128()));
        rows.iter().map(id).collect()
    }

    pub(super) fn nobody(&self) -> Say {
        match self {
            Self::Contact(id) => say!("no contact {id} in this campaign", id),
            Self::Person(_) | Self::Number(_) => {
                "no contact of this person in this campaign".into()
            }
        }
    }
}

/// Each number of a case that was judged just now, as the question why not tells of it.
pub(super) fn of_numbers(case: &Case, opinion: &Opinion) -> Vec<NumberAnswer> {
    let view = |_, _: Option<&Verdict>| View { asked: true, finished: false, gap: None };
    answer::numbers(case, opinion, view, language())
}

/// What every answer needs.
struct Asker<'a> {
    campaign: &'a Campaign,
    ruleset: &'a dialer_policy::Ruleset,
    whom: &'a Whom,
    now: UnixMillis,
}

impl Asker<'_> {
    fn of_contact(&self, known: &Known) -> Answer {
        let opinion = known.case.judge(self.ruleset, self.now);
        let state = answer::stands(known, self.campaign.max_tries, &opinion.when());
        let state = Standing::of(known, self.campaign, state);
        let (contact, person) = (Some(known.id), Some(known.external_id.clone()));
        self.answer(contact, person, &known.case, &opinion, state)
    }

    fn of_stranger(&self, case: &Case) -> Answer {
        let opinion = case.judge(self.ruleset, self.now);
        self.answer(None, None, case, &opinion, Standing::stranger())
    }

    fn answer(
        &self,
        contact: Option<ContactId>,
        person: Option<String>,
        case: &Case,
        opinion: &Opinion,
        state: Standing,
    ) -> Answer {
        let (verdict, first) = answer::conclusion(&opinion.when());
        let view = |subject: SubjectId, verdict: Option<&Verdict>| View {
            asked: self.is_asked(case, subject),
            finished: state.word == "finished",
            gap: verdict.and_then(|verdict| self.gap(case, subject, verdict)),
        };
        let later = opinion.verdicts().iter().find_map(|(subject, verdict)| match verdict {
            Verdict::Defer(deferral) if Some(deferral.until) == first => {
                Some((deferral, self.gap(case, *subject, verdict)))
            }
            _ => None,
        });
        let sentence = answer::sentence(opinion, &state, &self.campaign.status, later);
        let numbers = answer::numbers(case, opinion, view, language());
        let (verdict, first_lawful_at) = (verdict.to_owned(), first.map(Time));
        let sentence = told(&sentence);
        Answer { contact, person, verdict, first_lawful_at, numbers, state, sentence }
    }

    /// Whether all rules that deny a number now have ended before the first lawful moment, and
    /// which deny when they have: asked of the rules themselves, at that moment.
    fn gap(&self, case: &Case, subject: SubjectId, verdict: &Verdict) -> Option<Gap> {
        let Verdict::Defer(deferral) = verdict else { return None };
        let ended = deferral.denials.iter().filter_map(|denial| denial.first_lawful).max()?;
        if ended >= deferral.until {
            return None;
        }
        let then = case.judge(self.ruleset, ended);
        let denials = then.verdicts().iter().filter(|(of, _)| *of == subject);
        let rules: BTreeSet<String> = denials
            .flat_map(|(_, verdict)| verdict.denials())
            .map(|denial| denial.title_in(language()).to_owned())
            .collect();
        Some(Gap { ended, rules })
    }

    fn is_asked(&self, case: &Case, subject: SubjectId) -> bool {
        match self.whom {
            Whom::Number(number) => case.facts.as_ref().is_some_and(|facts| {
                facts.numbers.iter().any(|it| it.subject == subject && it.number == *number)
            }),
            Whom::Person(_) | Whom::Contact(_) => true,
        }
    }
}
