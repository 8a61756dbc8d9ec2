//! One API with its stores, and a client.

use std::{collections::BTreeMap, sync::Arc};

use campaign_api::{
    app::App,
    http,
    users::{self, Role},
};
use dialer_types::{Mint, UnixMillis};
use reqwest::{Method, Response, StatusCode};
use schema::{
    config::{Api, Config, Dialer, Keys, Postgres, Redis, StoreUrl},
    numbers::NumberKeys,
    testing::{PrivatePostgres, PrivateRedis},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::{net::TcpListener, task::JoinSet};

/// A running API. Everything ends when it is dropped.
pub(crate) struct World {
    pub(crate) app: Arc<App>,
    pub(crate) owner_url: String,
    pub(crate) redis: PrivateRedis,
    pub(crate) base: String,
    pub(crate) keys: BTreeMap<&'static str, String>,
    client: reqwest::Client,
    _server: JoinSet<()>,
    _postgres: Option<Arc<PrivatePostgres>>,
}

pub(crate) fn config(postgres: &str, redis: &str) -> Config {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    Config {
        postgres: Postgres { url: StoreUrl::new(postgres.to_owned()), max_connections: 5 },
        redis: Redis::single(StoreUrl::new(redis.to_owned())),
        keys: Keys {
            numbers: NumberKeys { cipher: [1; 32], lookup: [2; 32] },
            audit_signing: [3; 32],
            audit_name: "ringfence.test/audit".to_owned(),
        },
        api: Api { listen: nowhere, admin: nowhere },
        dialer: Dialer {
            name: "none".to_owned(),
            sip: nowhere,
            advertise: nowhere,
            admin: nowhere,
            prompts: "none".into(),
            lists: "none".into(),
            packs: None,
            house: None,
            rtp_ports: 20_000..20_001,
        },
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        let postgres = PrivatePostgres::shared().unwrap();
        let database = postgres.new_database().unwrap();
        let urls = (postgres.app_url(&database), postgres.owner_url(&database));
        Self::on(urls, Some(postgres)).await
    }

    /// With SQL run by the owner and settings changed before the API starts.
    pub(crate) async fn start_with(sql: &str, change: impl FnOnce(&mut Config)) -> Self {
        let postgres = PrivatePostgres::shared().unwrap();
        let database = postgres.new_database().unwrap();
        let urls = (postgres.app_url(&database), postgres.owner_url(&database));
        Self::on_with(urls, Some(postgres), sql, change).await
    }

    /// On a database of a cluster that the test holds.
    pub(crate) async fn on(urls: (String, String), postgres: Option<Arc<PrivatePostgres>>) -> Self {
        Self::on_with(urls, postgres, "", |_| {}).await
    }

    async fn on_with(
        (app_url, owner_url): (String, String),
        postgres: Option<Arc<PrivatePostgres>>,
        sql: &str,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut owner = PgConnection::connect(&owner_url).await.unwrap();
        schema::MIGRATOR.run_direct(None, &mut owner, false).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut owner).await.unwrap();
        let redis = PrivateRedis::start().unwrap();
        let mut config = config(&app_url, &redis.url());
        change(&mut config);
        let app = Arc::new(App::start(&config).await.unwrap());
        let mut keys = BTreeMap::new();
        let mut mint = Mint::new([9; 32]);
        for role in Role::ALL {
            let key = users::create_key(&app.pool, role.as_str(), role, &mut mint, UnixMillis(0));
            keys.insert(role.as_str(), key.await.unwrap());
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        let router = http::router(Arc::clone(&app));
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        // A machine under load may leave a long upload waiting for more than the usual 30 s.
        let client = reqwest::Client::builder().tcp_user_timeout(None).build().unwrap();
        Self { app, owner_url, redis, base, keys, client, _server: server, _postgres: postgres }
    }

    /// A request with the key of a role, or without one.
    pub(crate) fn request(
        &self,
        role: Option<&str>,
        method: Method,
        path: &str,
    ) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match role {
            Some(role) => request.bearer_auth(&self.keys[role]),
            None => request,
        }
    }

    /// As admin.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Some("admin"), Method::POST, path).json(body).send().await.unwrap())
            .await
    }

    /// As admin.
    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Some("admin"), Method::GET, path).send().await.unwrap()).await
    }

    /// As admin; the text.
    pub(crate) async fn text(&self, path: &str) -> String {
        let response = self.request(Some("admin"), Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.text().await.unwrap()
    }

    /// As admin.
    pub(crate) async fn csv(
        &self,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> (StatusCode, Value) {
        let request = self.request(Some("admin"), Method::POST, path);
        answer(request.header("content-type", "text/csv").body(body).send().await.unwrap()).await
    }

    /// One value, read as the owner.
    pub(crate) async fn sql<T>(&self, sql: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let mut owner = PgConnection::connect(&self.owner_url).await.unwrap();
        let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        query.fetch_one(&mut owner).await.unwrap()
    }

    /// A change, made as the owner.
    pub(crate) async fn execute(&self, sql: &str) {
        let mut owner = PgConnection::connect(&self.owner_url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut owner).await.unwrap();
    }

    pub(crate) async fn seller(&self, name: &str) -> String {
        let (status, seller) = self.post("/v1/sellers", &json!({ "name": name })).await;
        assert_eq!(status, StatusCode::CREATED, "{seller}");
        seller["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn trunk(&self) -> String {
        let trunk = json!({ "name": "carrier", "address": "127.0.0.1:5060", "username": "u",
            "password": "hidden", "calls_per_second": 12.5, "max_concurrent": 30 });
        let (status, trunk) = self.post("/v1/trunks", &trunk).await;
        assert_eq!(status, StatusCode::CREATED, "{trunk}");
        trunk["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn campaign(&self, seller: &str, name: &str, trunks: &[&str]) -> String {
        let (status, campaign) = self.post("/v1/campaigns", &settings(seller, name, trunks)).await;
        assert_eq!(status, StatusCode::CREATED, "{campaign}");
        campaign["id"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn settings(seller: &str, name: &str, trunks: &[&str]) -> Value {
    json!({ "seller": seller, "name": name, "purpose": "telemarketing", "technology": "prerecorded",
        "caller_id": "+13055550100", "announces": ["identity", "callback_number"],
        "prompt": "offer.wav", "calls_per_second": 2.5, "max_concurrent": 10, "max_tries": 3,
        "ring_timeout_seconds": 30, "retry": { "busy": 600 }, "trunks": trunks })
}

async fn answer(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let text = response.text().await.unwrap();
    let value: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status} {error}: {text}"));
    if status.as_u16() >= 400 {
        assert_eq!(kind.as_deref(), Some("application/problem+json"), "{text}");
        assert_eq!(value["status"], status.as_u16(), "{text}");
        let code = value["code"].as_str().unwrap();
        assert_eq!(value["type"], format!("urn:ringfence:problem:{code}"), "{text}");
        assert!(!value["title"].as_str().unwrap().is_empty(), "{text}");
    }
    (status, value)
}
