//! The ways between the programs and the stores: a proxy for each program and store. Redis is where
//! the Sentinels say the primary is, unless a dialer is led astray.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::stack::{Stack, Stores};

use super::{
    plan::DIALERS,
    proxy::Proxy,
    redises::{self, Redises},
};

/// How often the Sentinels are asked.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// The two ways of one program.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    pub(super) redis: Proxy,
    pub(super) postgres: Proxy,
}

impl Ways {
    fn open(redis: SocketAddr, postgres: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self { redis: Proxy::start(redis)?, postgres: Proxy::start(postgres)? })
    }

    /// What stands in the configuration of a program that goes these ways. The one place that
    /// knows how a program finds its Redis.
    fn stores(&self, stack: &Stack, redises: &Redises) -> Stores {
        Stores::by_url(
            &stack.postgres_url_at(self.postgres.address),
            &format!("redis://:{}@{}", redises.password(), self.redis.address),
        )
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) dialers: Vec<Ways>,
    api: Ways,
    /// Which dialer is led where against the word of the Sentinels.
    astray: Arc<Mutex<Option<(usize, SocketAddr)>>>,
    ended: Arc<AtomicBool>,
}

impl Network {
    /// Opens the ways and writes them into the configuration of every program.
    pub(super) fn open(stack: &mut Stack, redises: &Redises) -> anyhow::Result<Self> {
        let postgres = SocketAddr::from(([127, 0, 0, 1], stack.postgres.port()));
        let redis = redises::primary(&redises.sentinel_addresses()).unwrap_or(redises::nowhere());
        let mut dialers = Vec::with_capacity(DIALERS);
        for number in 0..DIALERS {
            let ways = Ways::open(redis, postgres)?;
            let stores = ways.stores(stack, redises);
            stack.dialer_reaches(number, &stores)?;
            dialers.push(ways);
        }
        let api = Ways::open(redis, postgres)?;
        let stores = api.stores(stack, redises);
        stack.api_reaches(&stores)?;
        let network = Self { dialers, api, astray: Arc::default(), ended: Arc::default() };
        network.follow(redises.sentinel_addresses())?;
        Ok(network)
    }

    /// Leads to the primary of the Sentinels from now on.
    fn follow(&self, sentinels: Vec<SocketAddr>) -> anyhow::Result<()> {
        let (astray, ended) = (Arc::clone(&self.astray), Arc::clone(&self.ended));
        let mut ways: Vec<Proxy> = self.dialers.iter().map(|ways| ways.redis.clone()).collect();
        ways.push(self.api.redis.clone());
        thread::Builder::new().name("sentinels".to_owned()).spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                if let Some(primary) = redises::primary(&sentinels) {
                    let astray = *astray.lock().unwrap_or_else(PoisonError::into_inner);
                    for (number, proxy) in ways.iter().enumerate() {
                        let own = astray.filter(|(dialer, _)| *dialer == number);
                        proxy.lead_to(own.map_or(primary, |(_, server)| server));
                    }
                }
                thread::sleep(ASK_EVERY);
            }
        })?;
        Ok(())
    }

    /// Leads one dialer to a server of its own; `None` ends that.
    pub(super) fn lead_astray(&self, dialer: Option<(usize, SocketAddr)>) {
        *self.astray.lock().unwrap_or_else(PoisonError::into_inner) = dialer;
    }

    /// Fair weather everywhere.
    pub(super) fn clear(&self) {
        self.lead_astray(None);
        for ways in self.dialers.iter().chain([&self.api]) {
            ways.redis.clear();
            ways.postgres.clear();
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}
