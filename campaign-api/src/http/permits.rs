//! Permits: the gate for dialers that are not ours.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dialer_types::{CampaignId, ContactId, Disposition, E164, PlacementId, Say, UnixMillis, say};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{
    auth::{May, Permits as PermitRight},
    eligibility::{Duty, NumberAnswer, Whom, of_numbers},
    error::Problem,
    extract::{Body, Faults, Id},
    time::Time,
};
use crate::{
    app::App,
    judging::{Opinion, When, campaign, snapshot},
    permits::{self, Decided, Denial, Lease, Told, Wanted, Words},
    users::{Caller, Role},
    words::{language, told},
};

/// Whom to call: `campaign`, and one of `contact`, `person` and `number`. `number` beside `contact` or
/// `person` says which of their numbers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// ULID of a campaign with `dialed_by` `permits`.
    pub campaign: String,
    /// ULID of a contact.
    pub contact: Option<String>,
    /// The seller's own id of a person.
    pub person: Option<String>,
    /// A telephone number, for example `+13055550123`.
    pub number: Option<String>,
    /// Of which country the number is, if it stands without its country code: two letters.
    pub region: Option<String>,
    /// Idempotency key, 1 to 200 characters, new for each permit: who sends the same request with the
    /// same key again gets the same permit, not a second one.
    pub key: Option<String>,
}

/// A permit: one call, to one number, that may leave until `not_after`.
#[derive(Debug, Serialize, ToSchema)]
pub struct PermitBody {
    /// ULID; the id of its placement in attempts and audit.
    pub id: String,
    /// ULID.
    pub campaign: String,
    /// ULID.
    pub contact: String,
    /// Contact ULID, `-`, number of the try.
    pub attempt: String,
    /// The seller's own id of the person.
    pub person: String,
    /// The number to call, whole, and no other.
    pub number: String,
    /// The number to show.
    pub caller_id: String,
    /// The Call-ID to use, if the call is SIP: by it the audit and the wire are compared.
    pub call_id: String,
    /// When it was judged.
    pub at: Time,
    /// The call leaves before this moment, or not at all.
    pub not_after: Time,
    /// Let it ring this long, then give up.
    pub ring_timeout_seconds: i32,
    /// `open`, `lapsed` (its life is over, and nothing was confirmed: it counts as made), `confirmed`
    /// (the call left) or `ended`.
    pub state: String,
    /// Why the call must not be made, or must be ended where it rings: `suppressed`, `halted` (the
    /// campaign) or `licence_withdrawn`; null while it stands.
    pub revoked: Option<String>,
    /// How the call ended.
    pub disposition: Option<String>,
    /// When the end was recorded.
    pub ended_at: Option<Time>,
    /// The duties that go with the call.
    pub obligations: Vec<Duty>,
}

/// Why there is no permit. It is on record in the audit.
#[derive(Debug, Serialize, ToSchema)]
pub struct DenialBody {
    /// `urn:ringfence:problem:denied`.
    #[serde(rename = "type")]
    pub kind: String,
    /// In words.
    pub title: String,
    /// 409.
    pub status: u16,
    /// `denied`.
    pub code: String,
    /// In words.
    pub detail: String,
    /// ULID.
    pub contact: String,
    /// Contact ULID, `-`, number of the try that was not made.
    pub attempt: String,
    /// `defer` if only time stands in the way, else `refuse`.
    pub verdict: String,
    /// The first moment at which one of the numbers may be called, if nothing changes.
    pub first_lawful_at: Option<Time>,
    /// Each number that was judged, with the rules that deny it and where they are written.
    pub numbers: Vec<NumberAnswer>,
}

/// What became of a call.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// `sent`: the call left; to be told before `not_after`. `not_sent`: it did not and will not; to be
    /// told before `not_after`, and then it does not count. Otherwise how it ended: `answered`, `busy`,
    /// `no_answer` and the other dispositions of attempts.
    pub disposition: String,
    /// Final SIP status, 100 to 699.
    pub sip_code: Option<i64>,
    /// Q.850 cause, 1 to 127.
    pub q850: Option<i64>,
    /// Milliseconds of ringing.
    pub ring_ms: Option<i64>,
    /// When it was answered.
    #[schema(value_type = Option<String>)]
    pub answered_at: Option<Time>,
}

/// Judges, reserves and commits one call for a dialer that is not ours. What is answered with 201 may
/// be called; anything else may not.
#[utoipa::path(post, path = "/v1/permits", tag = "permits", request_body = Wish,
    responses((status = 201, body = PermitBody), (status = 200, body = PermitBody, description = "the permit that this key got before"), (status = 409, body = DenialBody, content_type = "application/problem+json"), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn ask(
    May(caller, _): May<PermitRight>,
    State(app): State<Arc<App>>,
    Body(wish): Body<Wish>,
) -> Result<Response, Problem> {
    let answer = asked(&app, caller, wish).await;
    let result = match &answer {
        Ok(Answer::Given(_)) => "permitted",
        Ok(Answer::Again(_)) => "repeated",
        Ok(Answer::Denied(_)) => "denied",
        Err(problem) if problem.is_unavailable() => "unavailable",
        Err(_) => "refused",
    };
    app.metrics.permits.with_label_values(&[result]).inc();
    match answer? {
        Answer::Given(id) => {
            let body = body_of(&permits::read(&app, id, None).await?)?;
            Ok((StatusCode::CREATED, Json(body)).into_response())
        }
        Answer::Again(id) => {
            Ok(Json(body_of(&permits::read(&app, id, None).await?)?).into_response())
        }
        Answer::Denied(denial) => Ok(denied(*denial, app.now())),
    }
}

enum Answer {
    Given(PlacementId),
    Again(PlacementId),
    Denied(Box<Denial>),
}

async fn asked(app: &Arc<App>, caller: Caller, wish: Wish) -> Result<Answer, Problem> {
    let node = app.permits.node()?;
    let wanted = wanted(app, caller, wish).await?;
    let (task, language) = (Arc::clone(app), language());
    // A task of its own: who hangs up in the middle leaves no contact leased and no commit unknown.
    let deciding = app.permits.tasks.spawn(async move {
        match permits::take(&task, node, &wanted).await? {
            Lease::Again(permit) => Ok(Answer::Again(permit)),
            Lease::Taken(order, permit) => {
                match permits::decide(&task, node, &order, permit, language).await? {
                    Decided::Permitted(handover) => Ok(Answer::Given(handover.placement())),
                    Decided::Denied(denial) => Ok(Answer::Denied(denial)),
                }
            }
        }
    });
    deciding.await.map_err(Problem::internal)?
}

async fn wanted(app: &App, caller: Caller, wish: Wish) -> Result<Wanted, Problem> {
    let mut faults = Faults::default();
    let campaign_id: Option<CampaignId> = faults.parse("campaign", &wish.campaign);
    let number: Option<E164> = match &wish.number {
        Some(number) => faults.number("number", number, wish.region.as_deref()),
        None => None,
    };
    let whom = match (&wish.contact, &wish.person) {
        (Some(contact), None) => faults.parse::<ContactId>("contact", contact).map(Whom::Contact),
        (None, Some(person)) => Some(Whom::Person(person.clone())),
        (None, None) if wish.number.is_some() => number.map(Whom::Number),
        _ => {
            faults.add("contact", "give one of contact, person and number");
            None
        }
    };
    if let Some(key) = &wish.key {
        faults.text("key", key, 200);
    }
    faults.finish()?;
    let nothing = || Problem::internal("a wish without faults");
    let (id, whom) = campaign_id.zip(whom).ok_or_else(nothing)?;
    let mut snapshot = snapshot(app).await?;
    let campaign = campaign(&mut snapshot, id).await?;
    let found = whom.find(app, &mut snapshot, &campaign).await?;
    drop(snapshot);
    let contact = match found.as_slice() {
        [contact] => *contact,
        [] => return Err(Problem::not_found(whom.nobody())),
        _ => {
            let detail = "several contacts of the campaign have it: name one, with contact";
            return Err(Problem::conflict("several_contacts", detail));
        }
    };
    let mut asked = Sha256::new();
    asked.update(id.0.to_be_bytes());
    asked.update(contact.0.to_be_bytes());
    asked.update(number.map_or([0; 32], |number| app.keys.lookup_hash(&number)));
    let (user, asked) = (caller.user, asked.finalize().into());
    Ok(Wanted { campaign: id, contact, number, user, key: wish.key, asked })
}

fn denied(denial: Denial, now: UnixMillis) -> Response {
    let opinion = Opinion::Judged(denial.verdicts);
    let (verdict, first) = match opinion.when() {
        When::At(at) => ("defer", Some(at)),
        When::Now | When::Never => ("refuse", None),
    };
    let detail: Say = match first {
        Some(at) => {
            say!("not now; the first lawful moment is {at}", at = Time(at).text())
        }
        None => "the rules refuse, and no passing of time changes that".into(),
    };
    let status = StatusCode::CONFLICT;
    let body = DenialBody {
        kind: "urn:ringfence:problem:denied".to_owned(),
        title: told(&"No rule set permits this call".into()),
        status: status.as_u16(),
        code: "denied".to_owned(),
        detail: told(&detail),
        contact: denial.order.attempt.contact.to_string(),
        attempt: denial.order.attempt.to_string(),
        verdict: verdict.to_owned(),
        first_lawful_at: first.map(Time),
        numbers: of_numbers(&denial.case, &opinion),
    };
    let kind = HeaderValue::from_static("application/problem+json");
    let text = serde_json::to_string(&body).unwrap_or_default();
    let mut response = (status, [(header::CONTENT_TYPE, kind)], text).into_response();
    if let Some(at) = first {
        let seconds = at.since(now).as_secs().saturating_add(1);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn body_of(permit: &permits::Permit) -> Result<PermitBody, Problem> {
    let state = match (&permit.ended, permit.sent_at) {
        (Some(_), _) => "ended",
        (None, Some(_)) => "confirmed",
        (None, None) if permit.postgres >= permit.not_after => "lapsed",
        (None, None) => "open",
    };
    Ok(PermitBody {
        id: permit.id.to_string(),
        campaign: permit.campaign.to_string(),
        contact: permit.attempt.contact.to_string(),
        attempt: permit.attempt.to_string(),
        person: permit.person.clone(),
        number: permit.number.expose().to_owned(),
        caller_id: permit.caller_id.clone(),
        call_id: permit.call_id.clone(),
        at: Time(permit.at),
        not_after: Time(permit.not_after),
        ring_timeout_seconds: permit.ring_timeout_ms / 1000,
        state: state.to_owned(),
        revoked: permit.revoked.map(str::to_owned),
        disposition: permit.ended.map(|(disposition, _)| disposition.to_string()),
        ended_at: permit.ended.map(|(_, at)| Time(at)),
        obligations: serde_json::from_str(&permit.duties).map_err(Problem::internal)?,
    })
}

/// Whose permits the caller sees: its own; an admin everybody's.
fn whose(caller: Caller) -> Option<uuid::Uuid> {
    (caller.role != Role::Admin).then_some(caller.user)
}

/// A permit as it stands: ask before the call leaves and while it rings, and end it where `revoked`
/// is not null.
#[utoipa::path(get, path = "/v1/permits/{id}", tag = "permits",
    params(("id" = String, Path, description = "ULID")),
    responses((status = 200, body = PermitBody), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn show(
    May(caller, _): May<PermitRight>,
    State(app): State<Arc<App>>,
    Id(id): Id<PlacementId>,
) -> Result<Json<PermitBody>, Problem> {
    body_of(&permits::read(&app, id, whose(caller)).await?).map(Json)
}

/// Tells that the call left, that it did not, or how it ended. The same again gets the same answer.
#[utoipa::path(post, path = "/v1/permits/{id}/outcome", tag = "permits", request_body = Outcome,
    params(("id" = String, Path, description = "ULID")),
    responses((status = 200, body = PermitBody), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn outcome(
    May(caller, _): May<PermitRight>,
    State(app): State<Arc<App>>,
    Id(id): Id<PlacementId>,
    Body(outcome): Body<Outcome>,
) -> Result<Json<PermitBody>, Problem> {
    let told = Told { permit: id, user: whose(caller) };
    match outcome.read()? {
        None => permits::sent(&app, told).await?,
        Some(words) => permits::outcome(&app, told, words).await?,
    }
    body_of(&permits::read(&app, id, whose(caller)).await?).map(Json)
}

impl Outcome {
    /// `None`: the call left.
    fn read(&self) -> Result<Option<Words>, Problem> {
        let mut faults = Faults::default();
        for (field, value, least, most) in [
            ("sip_code", self.sip_code, 100, 699),
            ("q850", self.q850, 1, 127),
            ("ring_ms", self.ring_ms, 0, 3_600_000),
        ] {
            if let Some(value) = value {
                faults.range(field, value, least, most);
            }
        }
        let disposition = (self.disposition != "sent")
            .then(|| faults.parse::<Disposition>("disposition", &self.disposition))
            .flatten();
        faults.finish()?;
        Ok(disposition.map(|disposition| Words {
            disposition,
            sip_code: self.sip_code.and_then(|code| u16::try_from(code).ok()),
            q850: self.q850.and_then(|cause| u8::try_from(cause).ok()),
            ring_ms: self.ring_ms.and_then(|ring| u32::try_from(ring).ok()),
            answered_at: self.answered_at.map(|at| at.0.0),
        }))
    }
}
