//! On whose behalf calls are made.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use dialer_types::{SellerId, say};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    auth::{Campaigns, Look, May},
    error::{Problem, is_duplicate},
    extract::{Body, Faults},
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
            Ok((StatusCode::CREATED, Json(Seller { id, name: new.name, created_at: Time(now) })))
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
    let rows = sqlx::query("SELECT id, name, created_at FROM seller ORDER BY name")
        .fetch_all(&app.pool)
        .await?;
    let items = rows
        .iter()
        .map(|row| {
            Ok(Seller {
                id: SellerId(row.try_get::<Uuid, _>(0)?.as_u128()),
                name: row.try_get(1)?,
                created_at: Time::at(row.try_get(2)?),
            })
        })
        .collect::<Result<_, sqlx::Error>>()?;
    Ok(Json(Sellers { items }))
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
