//! One UDP port per answered call, counting the RTP packets that arrive on it.

use std::{
    collections::HashMap,
    net::{IpAddr, UdpSocket as StdSocket},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::net::UdpSocket;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::server::Media;

/// All ports.
#[derive(Debug)]
pub(super) struct Rtp {
    address: IpAddr,
    tasks: TaskTracker,
    all: CancellationToken,
    open: HashMap<u16, (CancellationToken, Arc<AtomicU64>)>,
    counts: Vec<u64>,
}

impl Rtp {
    pub(super) fn new(listen: IpAddr) -> Self {
        Self {
            address: super::sdp_address(listen),
            tasks: TaskTracker::new(),
            all: CancellationToken::new(),
            open: HashMap::new(),
            counts: Vec::new(),
        }
    }

    /// Closes every port.
    pub(super) async fn stop(&mut self) {
        let ports: Vec<u16> = self.open.keys().copied().collect();
        for port in ports {
            self.close(port);
        }
        self.all.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Media for Rtp {
    fn address(&self) -> IpAddr {
        self.address
    }

    fn open(&mut self) -> Option<u16> {
        let socket = StdSocket::bind((self.address, 0)).ok()?;
        socket.set_nonblocking(true).ok()?;
        let port = socket.local_addr().ok()?.port();
        let socket = UdpSocket::from_std(socket).ok()?;
        let (stop, count) = (self.all.child_token(), Arc::new(AtomicU64::new(0)));
        self.open.insert(port, (stop.clone(), Arc::clone(&count)));
        self.tasks.spawn(async move {
            let mut buffer = [0; 2048];
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    received = socket.recv_from(&mut buffer) => {
                        // RTP version 2; anything else is not counted.
                        if received.is_ok_and(|(length, _)| length >= 12)
                            && buffer.first().is_some_and(|byte| byte >> 6 == 2)
                        {
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            }
        });
        Some(port)
    }

    fn close(&mut self, port: u16) {
        if let Some((stop, count)) = self.open.remove(&port) {
            stop.cancel();
            self.counts.push(count.load(Ordering::Relaxed));
        }
    }

    fn counts(&self) -> Vec<u64> {
        let open = self.open.values().map(|(_, count)| count.load(Ordering::Relaxed));
        let mut counts: Vec<u64> = self.counts.iter().copied().chain(open).collect();
        counts.sort_unstable();
        counts
    }
}
