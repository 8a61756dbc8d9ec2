//! What look-ups of a number said: whether it has changed hands, and what line it is on.

use std::sync::Arc;

use axum::{Json, extract::State};
use chrono::NaiveDate;
use dialer_audit::record::FactKind;
use dialer_limiter::Token;
use dialer_policy::{LineClass, Wait};
use dialer_types::{E164, LineType, SellerId, SubjectId, UnixMillis, say};
use schema::{heads::move_heads, rows};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row, postgres::PgRow};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Fact, MOST, OnRecord, audit, check_id, check_source, conclude, date, unasked};
use crate::{
    app::App,
    events,
    http::{
        auth::{May, Supplies, Why},
        error::Problem,
        extract::{Asked, Body, Faults},
        sellers::number_of,
        time::Time,
    },
};

/// The database that is the line itself.
const LINE: &str = "line";
const ANSWERS: [&str; 3] = ["no", "yes", "no_data"];

/// The answer of a look-up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCheck {
    /// Whose consent or contact a database of reassigned numbers was asked about (ULID). May be
    /// absent for `line`: then the answer counts for every seller.
    #[schema(value_type = Option<String>)]
    pub seller: Option<SellerId>,
    /// A telephone number. One that nobody has yet is kept: the answer counts when somebody gets it.
    pub number: String,
    /// Of which country the number is, if it stands without its country code: two letters.
    pub region: Option<String>,
    /// Which database was asked, as rules name it (`us.rnd`), or `line` for a look-up of the line.
    pub database: String,
    /// Of which day (UTC) the answer is: `YYYY-MM-DD`.
    pub as_of: String,
    /// Of a database: whether the number has changed hands since the consent or the last contact:
    /// `no`, `yes` or `no_data`.
    pub reassigned: Option<String>,
    /// Of the line: `wireless`, `landline`, `voip` or `unknown`.
    pub line_type: Option<String>,
    /// Of the line: whose it is: `ordinary` (if absent), `emergency`, `hospital`, `paging` or
    /// `charged`.
    pub line_class: Option<String>,
    /// Where the evidence of it is kept.
    pub source: String,
}

/// Which number.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// A telephone number, for example `+13055550123` (the plus sign as `%2B`).
    pub number: String,
    /// Of which country the number is, if it stands without its country code: two letters.
    pub region: Option<String>,
    /// ULID: what counts for this seller; absent: all that is on record.
    pub seller: Option<String>,
}

/// The answer of a look-up on record.
#[derive(Debug, Serialize, ToSchema)]
pub struct NumberCheck {
    /// Which database was asked, or `line`.
    pub database: String,
    /// For which seller it counts: ULID; null for every one.
    pub seller: Option<String>,
    /// Of which day (UTC) the answer is.
    pub as_of: String,
    /// Of a database: `no`, `yes` or `no_data`.
    pub reassigned: Option<String>,
    /// Of the line: what kind it is.
    pub line_type: Option<String>,
    /// Of the line: whose it is.
    pub line_class: Option<String>,
    /// Where the evidence of it is kept.
    pub source: String,
    /// When it was recorded.
    pub recorded_at: Time,
}

/// What is on record of a number, the newest answer first.
#[derive(Debug, Serialize, ToSchema)]
pub struct NumberChecks {
    /// None where nobody looked it up.
    pub items: Vec<NumberCheck>,
}

/// What is checked of a request.
struct Checked {
    number: E164,
    as_of: NaiveDate,
    answer: Answer,
}

enum Answer {
    Reassigned(String),
    Line(LineType, LineClass),
}

/// Records what a look-up of a number said. Where it says that the number has changed hands, or that
/// it is a line that nobody may call, calls to it that are not on the wire yet are judged again and
/// those that ring are cancelled.
#[utoipa::path(post, path = "/v1/number-checks", tag = "number checks", request_body = NewCheck,
    responses((status = 200, body = OnRecord),
        (status = "default", body = crate::http::error::ProblemBody, content_type = "application/problem+json")))]
pub(in crate::http) async fn record(
    May(caller, _): May<Supplies>,
    State(app): State<Arc<App>>,
    Body(new): Body<NewCheck>,
) -> Result<Json<OnRecord>, Problem> {
    let now = app.now();
    let checked = check(&new, now)?;
    let event = Token(app.ulid());
    let mut transaction = app.pool.begin().await?;
    let seller_no = match new.seller {
        Some(seller) => number_of(&mut transaction, seller).await?,
        None => 0,
    };
    let mut mint = app.new_mint().map_err(Problem::internal)?;
    let wanted = [(checked.number, LineType::Unknown)];
    let found = rows::numbers(&mut transaction, &app.keys, &wanted, &mut mint, now).await?;
    let number = found.first().ok_or_else(|| Problem::internal("no number was made"))?.subject;
    let moved =
        move_heads(&mut transaction, &[number], |_, head| Some(head.touched(event))).await?;
    insert(&mut transaction, &new, &checked, number, now).await?;
    let stricter = forbids(&mut transaction, &checked.answer, number).await?;
    let wait = Wait::Check(new.database.as_str().into());
    let notes: Vec<_> = unasked(&app, &wait).into_iter().collect();
    let mut answer = OnRecord::new(event, &notes);
    answer.subjects = vec![number.0];
    // Who was refused for the old answer waits for other data of the contact.
    for cause in [wait.word(), Wait::Contact.word()] {
        answer.woken += events::wake(&mut transaction, &[number], &cause, now).await?;
    }
    let as_of = checked.as_of;
    let fact = Fact {
        what: FactKind::NumberCheck,
        subjects: vec![number],
        seller: new.seller,
        campaign: None,
        said: format!("{}, as of {as_of}", checked.answer.word()),
        about: Some(new.database),
        said_at: midnight(as_of),
        evidence: new.source,
    };
    audit(&mut transaction, fact, event, caller, now).await?;
    conclude(&app, transaction, &moved, seller_no, stricter, now).await?;
    Ok(Json(answer))
}

/// What look-ups of a number said.
#[utoipa::path(get, path = "/v1/number-checks", tag = "number checks", params(Which),
    responses((status = 200, body = NumberChecks), (status = "default", body = crate::http::error::ProblemBody, content_type = "application/problem+json")))]
pub(in crate::http) async fn list(
    _: May<Why>,
    State(app): State<Arc<App>>,
    Asked(which): Asked<Which>,
) -> Result<Json<NumberChecks>, Problem> {
    let mut faults = Faults::default();
    let number = faults.number("number", &which.number, which.region.as_deref());
    let seller = which.seller.as_deref();
    let seller: Option<SellerId> = seller.and_then(|text| faults.parse("seller", text));
    faults.finish()?;
    let number = number.ok_or_else(|| Problem::internal("a question without faults"))?;
    let rows = sqlx::query(
        "SELECT c.database, c.seller_id, c.as_of::text, c.reassigned, c.line_type, c.line_class,
                c.source, c.recorded_at
         FROM number_check_event c JOIN number n ON n.subject_id = c.number_subject
         WHERE n.keyed_hash = $1 AND ($2::uuid IS NULL OR c.seller_id IS NULL OR c.seller_id = $2)
         ORDER BY c.as_of DESC, c.id DESC LIMIT $3",
    )
    .bind(app.keys.lookup_hash(&number).to_vec())
    .bind(seller.map(|seller| Uuid::from_u128(seller.0)))
    .bind(MOST)
    .fetch_all(&app.pool)
    .await?;
    let items = rows.iter().map(shown).collect::<Result<_, sqlx::Error>>()?;
    Ok(Json(NumberChecks { items }))
}

fn shown(row: &PgRow) -> Result<NumberCheck, sqlx::Error> {
    let line: Option<i16> = row.try_get(4)?;
    let line = line.and_then(|code| u8::try_from(code).ok()).and_then(LineType::from_code);
    let seller: Option<Uuid> = row.try_get(1)?;
    Ok(NumberCheck {
        database: row.try_get(0)?,
        seller: seller.map(|id| SellerId(id.as_u128()).to_string()),
        as_of: row.try_get(2)?,
        reassigned: row.try_get(3)?,
        line_type: line.map(|line| line.as_str().to_owned()),
        line_class: row.try_get(5)?,
        source: row.try_get(6)?,
        recorded_at: Time::at(row.try_get(7)?),
    })
}

impl Answer {
    fn word(&self) -> String {
        match self {
            Self::Reassigned(answer) => format!("reassigned: {answer}"),
            Self::Line(line, class) => format!("{line}, {}", class.as_str()),
        }
    }
}

fn check(new: &NewCheck, now: UnixMillis) -> Result<Checked, Problem> {
    let mut faults = Faults::default();
    let number = faults.number("number", &new.number, new.region.as_deref());
    check_id(&mut faults, "database", &new.database);
    check_source(&mut faults, &new.source);
    let as_of = date(&mut faults, "as_of", &new.as_of);
    if as_of.is_some_and(|as_of| midnight(as_of) > now) {
        faults.add("as_of", "must not be in the future: give the day of the answer in UTC");
    }
    let answer =
        if new.database == LINE { line(&mut faults, new) } else { reassigned(&mut faults, new) };
    faults.finish()?;
    let whole = number.zip(as_of).zip(answer);
    let ((number, as_of), answer) =
        whole.ok_or_else(|| Problem::internal("a look-up without faults"))?;
    Ok(Checked { number, as_of, answer })
}

fn line(faults: &mut Faults, new: &NewCheck) -> Option<Answer> {
    if new.reassigned.is_some() {
        faults.add("reassigned", "is for databases of reassigned numbers: leave it out, or name the database that was asked");
    }
    let Some(line) = &new.line_type else {
        let words: Vec<&str> = LineType::ALL.iter().map(|line| line.as_str()).collect();
        faults.add("line_type", say!("is missing: one of {words}", words = words.join(", ")));
        return None;
    };
    let line: Option<LineType> = faults.parse("line_type", line);
    let class = new.line_class.as_deref().unwrap_or(LineClass::Ordinary.as_str());
    let known = LineClass::from_word(class);
    if known.is_none() {
        let words: Vec<&str> = LineClass::ALL.iter().map(|class| class.as_str()).collect();
        faults.add("line_class", say!("must be one of {words}", words = words.join(", ")));
    }
    line.zip(known).map(|(line, class)| Answer::Line(line, class))
}

fn reassigned(faults: &mut Faults, new: &NewCheck) -> Option<Answer> {
    for (field, value) in [("line_type", &new.line_type), ("line_class", &new.line_class)] {
        if value.is_some() {
            faults.add(field, "is for look-ups of the line: leave it out, or let database be line");
        }
    }
    if new.seller.is_none() {
        faults.add("seller", "is missing: a database of reassigned numbers is asked about one seller's consent or contact");
    }
    let answer = new.reassigned.clone().filter(|word| ANSWERS.contains(&word.as_str()));
    if answer.is_none() {
        let words = ANSWERS.join(", ");
        faults.add("reassigned", say!("must be one of {words}", words));
    }
    answer.map(Answer::Reassigned)
}

fn midnight(date: NaiveDate) -> UnixMillis {
    UnixMillis(date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis())
}

/// Whether the answer may forbid a call that is under way: the number is another's, the line is not
/// one to call, or it is not the line that the contact's data say.
async fn forbids(
    connection: &mut PgConnection,
    answer: &Answer,
    number: SubjectId,
) -> Result<bool, sqlx::Error> {
    let (line, class) = match answer {
        Answer::Reassigned(word) => return Ok(word == "yes"),
        Answer::Line(line, class) => (*line, *class),
    };
    let said: i16 = sqlx::query_scalar("SELECT line_type FROM number WHERE subject_id = $1")
        .bind(number.0)
        .fetch_one(connection)
        .await?;
    let said = u8::try_from(said).ok().and_then(LineType::from_code);
    let other = matches!(said, Some(LineType::Landline | LineType::Voip));
    Ok(class != LineClass::Ordinary || (line == LineType::Wireless && other))
}

async fn insert(
    connection: &mut PgConnection,
    new: &NewCheck,
    checked: &Checked,
    number: SubjectId,
    now: UnixMillis,
) -> Result<(), sqlx::Error> {
    let (reassigned, line, class) = match &checked.answer {
        Answer::Reassigned(word) => (Some(word.as_str()), None, None),
        Answer::Line(line, class) => (None, Some(i16::from(line.code())), Some(class.as_str())),
    };
    sqlx::query(
        "INSERT INTO number_check_event (seller_id, number_subject, database, as_of, reassigned,
            line_type, line_class, source, recorded_at)
         VALUES ($1, $2, $3, $4::date, $5, $6, $7, $8, $9)",
    )
    .bind(new.seller.map(|seller| Uuid::from_u128(seller.0)))
    .bind(number.0)
    .bind(&new.database)
    .bind(checked.as_of.to_string())
    .bind(reassigned)
    .bind(line)
    .bind(class)
    .bind(&new.source)
    .bind(now.0)
    .execute(connection)
    .await
    .map(|_| ())
}
