//! Where calls leave.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use dialer_types::{TrunkId, say};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    auth::{Look, May, Trunks as TrunkRight},
    error::{Problem, is_duplicate},
    extract::{Body, Faults},
    time::Time,
    trunk_health::{TrunkHealth, trunk_health},
};
use crate::app::App;

/// A trunk to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTrunk {
    /// Unique, 1 to 200 characters.
    pub name: String,
    /// `host:port` of the next hop (UDP).
    pub address: String,
    /// For digest authentication.
    pub username: Option<String>,
    /// For digest authentication; kept encrypted, never shown.
    pub password: Option<String>,
    /// Decimal number, from 0.001 on. From one on whole calls are used: of 2.5 no second sees more
    /// than two.
    pub calls_per_second: f64,
    /// Calls at the same time, 1 to 100,000.
    pub max_concurrent: i32,
}

/// A trunk.
#[derive(Debug, Serialize, ToSchema)]
pub struct Trunk {
    /// ULID.
    #[schema(value_type = String)]
    pub id: TrunkId,
    /// Its name.
    pub name: String,
    /// `host:port` of the next hop.
    pub address: String,
    /// For digest authentication.
    pub username: Option<String>,
    /// At most.
    pub calls_per_second: f64,
    /// At most.
    pub max_concurrent: i32,
    /// When it was made.
    pub created_at: Time,
    /// How the live dialers see it.
    pub health: TrunkHealth,
}

/// Every trunk, by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct Trunks {
    /// All of them.
    pub items: Vec<Trunk>,
}

/// Calls per second as thousandths: rates are kept as whole numbers.
#[expect(clippy::cast_possible_truncation, reason = "within the bounds just checked")]
pub(super) fn milli(faults: &mut Faults, field: &str, per_second: f64) -> i64 {
    let milli = (per_second * 1000.0).round();
    if milli.is_finite() && (1.0..=1e9).contains(&milli) {
        milli as i64
    } else {
        faults.add(field, "must be from 0.001 to 1000000");
        1
    }
}

/// Thousandths as calls per second.
#[expect(clippy::cast_precision_loss, reason = "at most 10^9")]
pub(super) fn per_second(milli: i64) -> f64 {
    milli as f64 / 1000.0
}

fn check_address(faults: &mut Faults, address: &str) {
    let good = address.rsplit_once(':').is_some_and(|(host, port)| {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:_".contains(&byte);
        !host.is_empty()
            && host.bytes().all(plain)
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if !good {
        faults.add("address", "must be host:port, like sip.example.com:5060");
    }
}

/// Makes a trunk.
#[utoipa::path(post, path = "/v1/trunks", tag = "trunks", request_body = NewTrunk,
    responses((status = 201, body = Trunk), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn create(
    _: May<TrunkRight>,
    State(app): State<Arc<App>>,
    Body(new): Body<NewTrunk>,
) -> Result<(StatusCode, Json<Trunk>), Problem> {
    let mut faults = Faults::default();
    faults.text("name", &new.name, 200);
    check_address(&mut faults, &new.address);
    let milli_cps = milli(&mut faults, "calls_per_second", new.calls_per_second);
    faults.range("max_concurrent", i64::from(new.max_concurrent), 1, 100_000);
    for (field, text) in [("username", &new.username), ("password", &new.password)] {
        if let Some(text) = text {
            faults.text(field, text, 200);
        }
    }
    if new.password.is_some() && new.username.is_none() {
        faults.add("username", "is missing: a password without one is of no use");
    }
    faults.finish()?;
    let (id, now) = (TrunkId(app.ulid()), app.now());
    let mut nonce = [0; 12];
    getrandom::fill(&mut nonce).map_err(Problem::internal)?;
    let password = new
        .password
        .as_ref()
        .map(|password| app.keys.encrypt_secret(password.as_bytes(), nonce))
        .transpose()
        .map_err(Problem::internal)?;
    let made = sqlx::query(
        "INSERT INTO trunk (id, name, address, username, password, milli_cps, max_concurrent,
                            created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(Uuid::from_u128(id.0))
    .bind(&new.name)
    .bind(&new.address)
    .bind(&new.username)
    .bind(password)
    .bind(milli_cps)
    .bind(new.max_concurrent)
    .bind(now.0)
    .execute(&app.pool)
    .await;
    if let Err(error) = made {
        if is_duplicate(&error) {
            let detail = say!("there is a trunk named {name} already", name = new.name);
            return Err(Problem::conflict("trunk_exists", detail));
        }
        return Err(error.into());
    }
    let trunk = Trunk {
        id,
        name: new.name,
        address: new.address,
        username: new.username,
        calls_per_second: per_second(milli_cps),
        max_concurrent: new.max_concurrent,
        created_at: Time(now),
        health: TrunkHealth::unknown(0),
    };
    Ok((StatusCode::CREATED, Json(trunk)))
}

/// Every trunk.
#[utoipa::path(get, path = "/v1/trunks", tag = "trunks",
    responses((status = 200, body = Trunks), (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn list(
    _: May<Look>,
    State(app): State<Arc<App>>,
) -> Result<Json<Trunks>, Problem> {
    let rows = sqlx::query(
        "SELECT id, name, address, username, milli_cps, max_concurrent, created_at
         FROM trunk ORDER BY name",
    )
    .fetch_all(&app.pool)
    .await?;
    let mut connection = app.pool.acquire().await?;
    let (mut health, dialers) = trunk_health(&mut connection, app.now()).await?;
    let items = rows
        .iter()
        .map(|row| {
            let id = TrunkId(row.try_get::<Uuid, _>(0)?.as_u128());
            Ok(Trunk {
                id,
                name: row.try_get(1)?,
                address: row.try_get(2)?,
                username: row.try_get(3)?,
                calls_per_second: per_second(row.try_get(4)?),
                max_concurrent: row.try_get(5)?,
                created_at: Time::at(row.try_get(6)?),
                health: health.remove(&id).unwrap_or_else(|| TrunkHealth::unknown(dialers)),
            })
        })
        .collect::<Result<_, sqlx::Error>>()?;
    Ok(Json(Trunks { items }))
}
