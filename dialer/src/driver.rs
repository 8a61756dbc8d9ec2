//! A shard: one thread with one engine and one SIP socket. One input, then its outputs; directly
//! before each INVITE the clock is asked whether it may still leave (G3).

use std::{
    collections::VecDeque,
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use dialer_engine::{Engine, Input, Transmit, TransmitKind};
use socket2::{Domain, Socket, Type};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Clock, Leap},
    metrics::{Metrics, gauge_value, witness::Witness},
    outbox::{Handed, Outbox},
};

/// What the kernel may keep of datagrams that came while the shard was busy.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
/// Datagrams and inputs taken in one turn before timers are looked at.
const TURN: usize = 64;
/// A datagram is never larger.
const DATAGRAM: usize = 65_536;
/// The longest sleep: the ledger's backlog is tried again then.
const NAP: Duration = Duration::from_millis(100);

/// Binds the SIP socket; returns it with the receive buffer that the kernel granted.
///
/// # Errors
/// If the address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<(UdpSocket, usize)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    // Linux reports twice of what it uses for datagrams.
    let granted = socket.recv_buffer_size()?;
    Ok((socket.into(), granted))
}

/// What a shard has under way, for those who wait for its end.
#[derive(Debug, Clone, Default)]
pub struct Load(Arc<AtomicUsize>);

impl Load {
    /// Attempts under way and things not handed over.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// One shard.
#[derive(Debug)]
pub struct Shard {
    engine: Engine,
    clock: Clock,
    outbox: Outbox,
    metrics: Metrics,
    load: Load,
    /// Answers to what nobody could take, and what sending told.
    told: VecDeque<Input<'static>>,
    leap: Leap,
    witness: Witness,
}

impl Shard {
    /// A shard around an engine.
    #[must_use]
    pub fn new(engine: Engine, clock: Clock, outbox: Outbox, metrics: Metrics, load: Load) -> Self {
        let witness = Witness::new(metrics.clone());
        let (told, leap) = (VecDeque::new(), Leap::new());
        Self { engine, clock, outbox, metrics, load, told, leap, witness }
    }

    /// Runs on a thread of its own until `quit`.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn spawn(
        self,
        socket: UdpSocket,
        inbox: mpsc::Receiver<Input<'static>>,
        quit: CancellationToken,
    ) -> io::Result<thread::JoinHandle<io::Result<()>>> {
        thread::Builder::new().name("shard".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(self.run(socket, inbox, quit))
        })
    }

    async fn run(
        mut self,
        socket: UdpSocket,
        mut inbox: mpsc::Receiver<Input<'static>>,
        quit: CancellationToken,
    ) -> io::Result<()> {
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        let mut buffer = vec![0; DATAGRAM];
        loop {
            let sampled = self.clock.now();
            self.leap.check(sampled);
            let now = sampled.mono;
            let wake = self.engine.poll_timeout().unwrap_or(now + NAP).min(now + NAP);
            let mut readable = false;
            let mut first = None;
            tokio::select! {
                biased;
                () = quit.cancelled() => return Ok(()),
                ready = socket.readable() => readable = ready.is_ok(),
                input = inbox.recv() => first = input,
                () = sleep_until(wake, now) => {}
            }
            if readable {
                self.receive(&socket, &mut buffer).await;
            }
            if let Some(input) = first {
                self.input(input, &socket).await;
            }
            for _ in 0..TURN {
                let Ok(input) = inbox.try_recv() else { break };
                self.input(input, &socket).await;
            }
            let now = self.clock.now();
            if self.engine.poll_timeout().is_some_and(|due| due <= now.mono) {
                self.input(Input::Timeout, &socket).await;
            }
            self.outbox.flush();
            self.report();
        }
    }

    fn report(&self) {
        let attempts = self.engine.live_attempts();
        self.metrics.attempts.set(gauge_value(attempts));
        self.metrics.calls.set(gauge_value(self.engine.live_calls()));
        self.load.0.store(attempts + self.outbox.backlog.len(), Ordering::Release);
    }

    async fn receive(&mut self, socket: &tokio::net::UdpSocket, buffer: &mut [u8]) {
        for _ in 0..TURN {
            match socket.try_recv_from(buffer) {
                Ok((length, source)) => {
                    self.metrics.datagrams.inc();
                    let data = buffer.get(..length).unwrap_or_default();
                    self.engine.handle_input(Input::Datagram(source, data), self.clock.now());
                    self.drain(socket).await;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // ICMP errors of earlier sends surface here; the timers notice what is lost.
                Err(error) => tracing::debug!(%error, "receiving a datagram failed"),
            }
        }
    }

    async fn input(&mut self, input: Input<'static>, socket: &tokio::net::UdpSocket) {
        let shares = matches!(input, Input::Lent(_));
        let now = self.clock.now();
        self.witness.heard(&input, now);
        self.engine.handle_input(input, now);
        self.drain(socket).await;
        if shares {
            self.outbox.shares.applied();
        }
    }

    /// Does what the engine wants, until it wants nothing more.
    async fn drain(&mut self, socket: &tokio::net::UdpSocket) {
        loop {
            while let Some(output) = self.engine.poll_output() {
                self.witness.wanted(&output);
                match self.outbox.hand(output) {
                    Handed::Done => {}
                    Handed::Refused(answer) => self.told.push_back(answer),
                    Handed::Send(transmit) => {
                        if let Some(told) = self.send(&transmit, socket).await {
                            self.told.push_back(told);
                        }
                    }
                }
            }
            let Some(input) = self.told.pop_front() else { return };
            self.engine.handle_input(input, self.clock.now());
        }
    }

    /// Sends a datagram, unless it is too late for it. Says what the engine must know.
    async fn send(
        &mut self,
        transmit: &Transmit,
        socket: &tokio::net::UdpSocket,
    ) -> Option<Input<'static>> {
        let begins =
            matches!(transmit.kind, TransmitKind::InviteFirst | TransmitKind::InviteResend);
        loop {
            let now = self.clock.now();
            let steady = self.leap.check(now);
            if let Some(before) = transmit.send_before
                && (now.mono >= before || !steady)
            {
                // A retransmission is as good as lost: the next one may leave.
                if !begins {
                    return None;
                }
                self.metrics.too_late.inc();
                return transmit.call.map(Input::TooLate);
            }
            if !self.witness.lets_out(transmit, now) {
                return transmit.call.map(Input::TooLate);
            }
            match socket.try_send_to(&transmit.payload, transmit.destination) {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // The socket's buffer is full. The clock is asked again afterwards.
                    if socket.writable().await.is_err() {
                        return Some(Input::TransportError(transmit.destination));
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "sending a datagram failed");
                    return Some(Input::TransportError(transmit.destination));
                }
            }
        }
        if !begins {
            return None;
        }
        self.metrics.sent.inc();
        self.witness.left(transmit);
        transmit.call.map(Input::Sent)
    }
}

async fn sleep_until(wake: Instant, now: Instant) {
    tokio::time::sleep(wake.saturating_duration_since(now)).await;
}

#[cfg(test)]
mod tests;
