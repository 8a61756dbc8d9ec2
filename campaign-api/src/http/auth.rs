//! Who asks, and what they may do.

use std::{marker::PhantomData, sync::Arc};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{header, request::Parts},
    middleware::Next,
    response::Response,
};

use dialer_types::say;

use super::error::Problem;
use crate::{
    app::App,
    users::{self, Caller, Role},
};

/// Lets a request pass that carries a key, and remembers whose.
pub(super) async fn require_key(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key.trim());
    let Some(key) = key else { return Err(Problem::no_key()) };
    let caller = users::find(&app.pool, key).await?.ok_or_else(Problem::no_key)?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// A group of endpoints, and the roles it is open to besides admin.
pub trait Right {
    /// Which.
    const ROLES: &'static [Role];
}

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident = [$($role:ident),*];)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;
        impl Right for $name {
            const ROLES: &'static [Role] = &[$(Role::$role),*];
        }
    )+};
}

rights! {
    /// Looking at what is set up.
    Look = [CampaignManager, Compliance, Operator];
    /// Sellers, campaigns, lists.
    Campaigns = [CampaignManager];
    /// Whether a seller's verified addresses are believed.
    Narrowing = [Compliance];
    /// Consents. One that lifts do-not-call entries is compliance's: [`Lifts`].
    Consents = [CampaignManager, Compliance];
    /// Consents that lift do-not-call entries.
    Lifts = [Compliance];
    /// Opt-outs: everybody who may hear one.
    Suppressions = [CampaignManager, Compliance];
    /// Wishes of persons and look-ups of numbers.
    Supplies = [CampaignManager, Compliance];
    /// Licences and approvals: not for those whose campaigns they cover.
    Licences = [Compliance];
    /// Counts over all persons.
    Counters = [Compliance, Operator];
    /// Attempts made elsewhere.
    Earlier = [CampaignManager, Compliance];
    /// What was placed and how it ended: a campaign manager's daily work, too.
    Attempts = [CampaignManager, Compliance];
    /// Corrections of it.
    Audit = [Compliance];
    /// The audit: a campaign manager takes the part of one campaign at a time.
    Export = [CampaignManager, Compliance];
    /// Asking why somebody is not called, and summaries of it.
    Why = [CampaignManager, Compliance];
    /// Trunks.
    Trunks = [Operator];
    /// Permits and their outcomes, with whole numbers.
    Permits = [Dialer];
    /// Asking about one person before a permit is asked for.
    Peek = [CampaignManager, Compliance, Dialer];
    /// An opt-out that was heard: by whoever may hear one.
    OptOuts = [CampaignManager, Compliance, Dialer];
}

/// The caller, who has the right `R`. Put it first among an endpoint's arguments: what a caller may
/// not do is refused before its body is read.
#[derive(Debug)]
pub struct May<R>(pub Caller, pub(super) PhantomData<R>);

impl<R: Right, S: Sync> FromRequestParts<S> for May<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = *parts.extensions.get::<Caller>().ok_or_else(Problem::no_key)?;
        if caller.role == Role::Admin || R::ROLES.contains(&caller.role) {
            return Ok(Self(caller, PhantomData));
        }
        let allowed: Vec<&str> = R::ROLES.iter().map(|role| role.as_str()).collect();
        Err(Problem::role(say!(
            "your role is {role}; this is open to admin, {allowed}",
            role = caller.role,
            allowed = allowed.join(", ")
        )))
    }
}
