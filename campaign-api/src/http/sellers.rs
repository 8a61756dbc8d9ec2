//! On whose behalf calls are made.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use dialer_audit::record::FactKind;
use dialer_limiter::Token;
use dialer_types::{SellerId, say};
use serde::{Deserialize, Serialize};
use sqlx::{Row, postgres::PgRow};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    auth::{self, Campaigns, Look, May},
    error::{Problem, is_duplicate},
    extract::{Body, Faults, Id, free_text::holds_number},
    supplied::{self, Fact},
    time::Time,
};
use crate::app::App;

/// A seller to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSeller {
    /// Unique, 1 to 200 characters.
    pub name: String,
}

/// A seller.
#[derive(Debug, Serialize, ToSchema)]
pub struct Seller {
    /// ULID.
    #[schema(value_type = String)]
    pub id: SellerId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Time,
    /// Whether verified addresses of its contacts take the place of what their numbers say.
    pub narrows_by_verified_address: bool,
}

/// How far a seller's word on addresses goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Narrowing {
    /// With true, a contact whose address the seller marked as verified (`address_verified` of an
    /// import) and whose country, region, postal code and zone agree is judged where it lives, and
    /// no longer also where its number is from. Every verdict that used it says so.
    pub narrows_by_verified_address: bool,
    /// Why: how addresses are verified, or why they are no longer believed. It goes on record.
    pub reason: String,
}

/// Every seller, by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sellers {
    /// All of them.
    pub items: Vec<Seller>,
}

/// Makes a seller.
#[utoipa::path(post, path = "/v1/sellers", tag = "sellers", request_body = NewSeller,
    responses((status = 201, body = Seller), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn create(
    _: May<Campaigns>,
    State(app): State<Arc<App>>,
    Body(new): Body<NewSeller>,
) -> Result<(StatusCode, Json<Seller>), Problem> {
    let mut faults = Faults::default();
    faults.text("name", &new.name, 200);
    faults.finish()?;
    let (id, now) = (SellerId(app.ulid()), app.now());
    let made = sqlx::query("INSERT INTO seller (id, name, created_at) VALUES ($1, $2, $3)")
        .bind(Uuid::from_u128(id.0))
        .bind(&new.name)
        .bind(now.0)
        .execute(&app.pool)
        .await;
    match made {
        Err(error) if is_duplicate(&error) => Err(Problem::conflict(
            "seller_exists",
            say!("there is a seller named {name} already", name = new.name),
        )),
        other => {
            other?;
            let seller = Seller {
                id,
                name: new.name,
                created_at: Time(now),
                narrows_by_verified_address: false,
            };
            Ok((StatusCode::CREATED, Json(seller)))
        }
    }
}

/// Every seller.
#[utoipa::path(get, path = "/v1/sellers", tag = "sellers",
    responses((status = 200, body = Sellers), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn list(
    _: May<Look>,
    State(app): State<Arc<App>>,
) -> Result<Json<Sellers>, Problem> {
    let rows = sqlx::query(
        "SELECT id, name, created_at, narrows_by_verified_address FROM seller ORDER BY name",
    )
    .fetch_all(&app.pool)
    .await?;
    let items = rows.iter().map(seller).collect::<Result<_, sqlx::Error>>()?;
    Ok(Json(Sellers { items }))
}

fn seller(row: &PgRow) -> Result<Seller, sqlx::Error> {
    Ok(Seller {
        id: SellerId(row.try_get::<Uuid, _>(0)?.as_u128()),
        name: row.try_get(1)?,
        created_at: Time::at(row.try_get(2)?),
        narrows_by_verified_address: row.try_get(3)?,
    })
}

/// Whether verified addresses of a seller's contacts are believed. Judgements made from then on go
/// by it.
#[utoipa::path(post, path = "/v1/sellers/{id}/narrowing", tag = "sellers", request_body = Narrowing,
    params(("id" = String, Path, description = "ULID")),
    responses((status = 200, body = Seller), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn narrow(
    May(caller, _): May<auth::Narrowing>,
    State(app): State<Arc<App>>,
    Id(id): Id<SellerId>,
    Body(chosen): Body<Narrowing>,
) -> Result<Json<Seller>, Problem> {
    let mut faults = Faults::default();
    faults.text("reason", &chosen.reason, 500);
    if holds_number(&chosen.reason) {
        faults.add("reason", "holds something like a telephone number; the audit holds none");
    }
    faults.finish()?;
    let (now, event) = (app.now(), Token(app.ulid()));
    let mut transaction = app.pool.begin().await?;
    let row = sqlx::query(
        "UPDATE seller SET narrows_by_verified_address = $2 WHERE id = $1
         RETURNING id, name, created_at, narrows_by_verified_address",
    )
    .bind(Uuid::from_u128(id.0))
    .bind(chosen.narrows_by_verified_address)
    .fetch_optional(&mut *transaction)
    .await?
    .ok_or_else(|| Problem::not_found(say!("no seller {seller}", seller = id)))?;
    let fact = Fact {
        what: FactKind::Narrowing,
        subjects: Vec::new(),
        seller: Some(id),
        campaign: None,
        about: None,
        said: if chosen.narrows_by_verified_address { "on" } else { "off" }.to_owned(),
        said_at: now,
        evidence: chosen.reason,
    };
    supplied::audit(&mut transaction, fact, event, caller, now).await?;
    transaction.commit().await?;
    Ok(Json(seller(&row)?))
}

/// The seller's small number.
pub(crate) async fn number_of(
    connection: &mut sqlx::PgConnection,
    seller: SellerId,
) -> Result<i32, Problem> {
    sqlx::query_scalar("SELECT no FROM seller WHERE id = $1")
        .bind(Uuid::from_u128(seller.0))
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| Problem::not_found(say!("no seller {seller}", seller)))
}
