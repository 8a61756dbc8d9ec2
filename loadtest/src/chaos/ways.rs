//! The ways between the programs and the stores. A program asks the Sentinels itself where the Redis
//! primary is; each program has a proxy before each server and each Sentinel, and its Sentinels name
//! its proxies.

use std::{net::SocketAddr, sync::PoisonError};

use anyhow::Context as _;

use crate::stack::{Stack, Stores};

use super::{
    plan::DIALERS,
    proxy::{Names, Proxy, Weather},
    redises::{Redises, SERVICE},
};

/// The ways of one program.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    /// To each server of Redis, in the order of [`Redises::servers`].
    servers: Vec<(SocketAddr, Proxy)>,
    sentinels: Vec<Proxy>,
    /// What its Sentinels say.
    names: Names,
    pub(super) postgres: Proxy,
}

impl Ways {
    fn open(redises: &Redises, postgres: SocketAddr) -> anyhow::Result<Self> {
        let names = Names::default();
        let server = |address: SocketAddr| Ok((address, Proxy::start(address)?));
        let servers = redises.servers.iter().map(|server| server.address).map(server);
        let sentinels =
            redises.sentinels.iter().map(|one| Proxy::naming(one.address, names.clone()));
        let ways = Self {
            servers: servers.collect::<anyhow::Result<_>>()?,
            sentinels: sentinels.collect::<anyhow::Result<_>>()?,
            names,
            postgres: Proxy::start(postgres)?,
        };
        ways.name(None);
        Ok(ways)
    }

    /// Its Sentinels name its proxies from now on; whatever they mean, that of `astray` if there is one.
    fn name(&self, astray: Option<SocketAddr>) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        for (server, proxy) in &self.servers {
            let other = self.servers.iter().find(|(server, _)| Some(*server) == astray);
            let named = other.map_or(proxy, |(_, proxy)| proxy);
            names.insert(server.port(), named.address.port());
        }
    }

    /// Changes the weather on every way to Redis, Sentinels and all.
    pub(super) fn change_redis(&self, change: impl Fn(&mut Weather)) {
        let servers = self.servers.iter().map(|(_, proxy)| proxy);
        servers.chain(&self.sentinels).for_each(|proxy| proxy.change(&change));
    }

    /// Resets every connection to Redis.
    pub(super) fn reset_redis(&self) {
        self.change_redis(|weather| weather.resets += 1);
    }

    /// Nothing is late or held any more.
    pub(super) fn clear(&self) {
        let servers = self.servers.iter().map(|(_, proxy)| proxy);
        servers.chain(&self.sentinels).chain([&self.postgres]).for_each(Proxy::clear);
    }

    /// What stands in the configuration of a program that goes these ways.
    fn stores(&self, stack: &Stack, redises: &Redises) -> anyhow::Result<Stores> {
        let sentinels = self.sentinels.iter().map(|proxy| proxy.address).collect::<Vec<_>>();
        Stores::by_sentinels(
            stack,
            &stack.postgres_url_at(self.postgres.address),
            &sentinels,
            SERVICE,
            redises.password(),
        )
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) dialers: Vec<Ways>,
    api: Ways,
}

impl Network {
    /// Opens the ways and writes them into the configuration of every program.
    pub(super) fn open(stack: &mut Stack, redises: &Redises) -> anyhow::Result<Self> {
        let postgres = SocketAddr::from(([127, 0, 0, 1], stack.postgres.port()));
        let mut dialers = Vec::with_capacity(DIALERS);
        for number in 0..DIALERS {
            let ways = Ways::open(redises, postgres)?;
            let stores = ways.stores(stack, redises)?;
            stack.dialer_reaches(number, &stores)?;
            dialers.push(ways);
        }
        let api = Ways::open(redises, postgres).context("the API's ways")?;
        let stores = api.stores(stack, redises)?;
        stack.api_reaches(&stores)?;
        Ok(Self { dialers, api })
    }

    /// Leads one dialer to a server against the word of the Sentinels; `None` ends that.
    pub(super) fn lead_astray(&self, dialer: Option<(usize, SocketAddr)>) {
        for (number, ways) in self.dialers.iter().enumerate() {
            let own = dialer.filter(|(dialer, _)| *dialer == number);
            ways.name(own.map(|(_, server)| server));
        }
    }

    /// Fair weather everywhere.
    pub(super) fn clear(&self) {
        self.lead_astray(None);
        self.dialers.iter().chain([&self.api]).for_each(Ways::clear);
    }
}
