//! Faults of the Redis servers, and how they are undone.

use std::net::SocketAddr;

use super::{Storm, paused};
use crate::chaos::{
    plan::{Kind, Planned},
    redises::SERVERS,
};

impl Storm<'_> {
    /// Whether it could be done.
    pub(super) fn begin_redis(&mut self, kind: Kind, fault: Planned) -> anyhow::Result<bool> {
        let Some(primary) = self.redises.primary() else { return Ok(false) };
        let replica = if fault.target == primary { (primary + 1) % SERVERS } else { fault.target };
        let hit = match kind {
            Kind::ReplicaKill | Kind::ReplicaPause | Kind::RedisSplitBrain => replica,
            _ => primary,
        };
        self.victim = match kind {
            // The lane of the nodes must not forget whom the lane of the stores hit.
            Kind::ReplicaKill | Kind::ReplicaPause => self.victim,
            _ => Some(hit),
        };
        let Some(server) = self.redises.servers.get_mut(hit) else { return Ok(false) };
        let address = server.address;
        match kind {
            Kind::RedisPrimaryKill | Kind::ReplicaKill => server.kill()?,
            Kind::RedisPrimaryEmptied => {
                server.kill()?;
                server.start_as_primary(self.stack)?;
            }
            Kind::RedisPrimaryPause | Kind::ReplicaPause => {
                return Ok(paused(server.process.as_mut()));
            }
            Kind::RedisFlush => return Ok(self.tell(address, &["FLUSHALL"])),
            Kind::RedisFunctionFlush => return Ok(self.tell(address, &["FUNCTION FLUSH"])),
            Kind::RedisOutOfMemory => return Ok(self.tell(address, &["CONFIG SET maxmemory 1"])),
            Kind::RedisLostWrites => self.cut_replicas_off(address),
            Kind::RedisSplitBrain => {
                let did = self.tell(address, &["REPLICAOF NO ONE"]);
                self.network.lead_astray(Some((fault.target, address)));
                return Ok(did);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.redises.servers.iter().map(|server| server.address).collect()
    }

    /// Whether the server took it.
    pub(super) fn tell(&self, server: SocketAddr, commands: &[&str]) -> bool {
        self.redises.tell(server, commands).is_ok()
    }

    /// No replica follows the primary any more, and none can until [`Self::rejoin`].
    fn cut_replicas_off(&self, primary: SocketAddr) {
        for address in self.addresses() {
            if address != primary {
                self.tell(address, &["CONFIG SET masterauth wrong"]);
            }
        }
        self.tell(primary, &["CLIENT KILL TYPE replica"]);
    }

    pub(super) fn rejoin(&self) {
        let password = format!("CONFIG SET masterauth {}", self.redises.password());
        for address in self.addresses() {
            self.tell(address, &[&password]);
        }
    }

    /// The second primary follows the first again. What was written to it is lost.
    pub(super) fn end_split_brain(&self) {
        self.network.lead_astray(None);
        let primary = self.redises.primary().and_then(|place| self.redises.servers.get(place));
        let stray = self.victim.and_then(|place| self.redises.servers.get(place));
        if let (Some(primary), Some(stray)) = (primary, stray)
            && primary.address != stray.address
        {
            let follow = format!("REPLICAOF 127.0.0.1 {}", primary.address.port());
            self.tell(stray.address, &[&follow]);
        }
    }
}
