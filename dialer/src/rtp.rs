//! The media thread: bound ports, a wheel of 20 ms, prompts read once.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use dialer_engine::{Input, MediaStart};
use dialer_media::{Codec, FRAME, Playout, Prompt, tone};
use dialer_types::{Mint, PlacementId};
use socket2::{Domain, Socket, Type};

use crate::{
    clock::Clock,
    inbox::Inbox,
    metrics::{Metrics, gauge_value},
    prompts,
};

/// Commands that may wait.
const ROOM: usize = 8_192;
/// What is received is not read; this little of it is kept.
const RECEIVE_BUFFER: usize = 4_096;
/// Played where a prompt went missing after its campaign was let go on: nobody is met by silence.
const TONE: (u16, u32) = (440, 2_000);

/// What the media thread is told.
#[derive(Debug)]
pub enum Command {
    /// Play.
    Start(MediaStart),
    /// The call is over.
    Stop(PlacementId, u16),
    /// End.
    Quit,
}

/// The media thread's inbox. Never blocks.
#[derive(Debug, Clone)]
pub struct Media(mpsc::SyncSender<Command>);

impl Media {
    /// Tells it. Returns whether it took the command.
    pub fn tell(&self, command: Command) -> bool {
        self.0.try_send(command).is_ok()
    }
}

/// Sockets bound on the even ports of a range, by port. A port that somebody else has is left out.
///
/// # Errors
/// If none can be bound.
pub fn bind(address: IpAddr, ports: Range<u16>) -> io::Result<BTreeMap<u16, UdpSocket>> {
    let mut sockets = BTreeMap::new();
    let mut refused = None;
    for port in ports.filter(|port| port % 2 == 0) {
        match bind_one(SocketAddr::new(address, port)) {
            Ok(socket) => {
                sockets.insert(port, socket);
            }
            Err(error) => refused = Some((port, error)),
        }
    }
    match refused {
        Some((_, error)) if sockets.is_empty() => Err(error),
        Some((port, error)) => {
            tracing::warn!(port, %error, "some media ports are taken; the others are used");
            Ok(sockets)
        }
        None if sockets.is_empty() => {
            Err(io::Error::other("the range of media ports holds no even port"))
        }
        None => Ok(sockets),
    }
}

fn bind_one(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Starts the media thread.
///
/// # Errors
/// If no thread can be started.
pub fn spawn(
    sockets: BTreeMap<u16, UdpSocket>,
    prompts: &Path,
    clock: Clock,
    inbox: Inbox,
    metrics: Metrics,
    mint: Mint,
) -> io::Result<(Media, thread::JoinHandle<()>)> {
    let (sender, commands) = mpsc::sync_channel(ROOM);
    let wheel = Wheel {
        sockets,
        prompts: Library { folder: prompts.to_owned(), read: BTreeMap::new() },
        playing: BTreeMap::new(),
        clock,
        inbox,
        metrics,
        mint,
    };
    let thread =
        thread::Builder::new().name("media".to_owned()).spawn(move || wheel.run(&commands))?;
    Ok((Media(sender), thread))
}

struct Playing {
    port: u16,
    remote: SocketAddr,
    playout: Playout,
}

struct Wheel {
    sockets: BTreeMap<u16, UdpSocket>,
    prompts: Library,
    playing: BTreeMap<PlacementId, Playing>,
    clock: Clock,
    inbox: Inbox,
    metrics: Metrics,
    mint: Mint,
}

impl Wheel {
    fn run(mut self, commands: &mpsc::Receiver<Command>) {
        let mut next = self.clock.now().mono;
        loop {
            let wait = next.saturating_duration_since(self.clock.now().mono);
            let told = if self.playing.is_empty() {
                commands.recv_timeout(Duration::from_secs(1))
            } else {
                commands.recv_timeout(wait)
            };
            let now = self.clock.now().mono;
            match told {
                Ok(Command::Start(start)) => self.start(&start, now),
                Ok(Command::Stop(placement, _)) => {
                    self.playing.remove(&placement);
                }
                Ok(Command::Quit) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            if now >= next {
                self.turn(now);
                next = (next + FRAME).max(now);
            }
            self.metrics.playing.set(gauge_value(self.playing.len()));
        }
    }

    fn start(&mut self, start: &MediaStart, now: Instant) {
        let codec = Codec::ALL.into_iter().find(|codec| codec.payload_type() == start.payload_type);
        let Some(codec) = codec.filter(|_| self.sockets.contains_key(&start.port)) else {
            tracing::error!(port = start.port, "media cannot be played; the call ends");
            self.inbox.send_blocking(Input::Played(start.placement));
            return;
        };
        let frames = self.prompts.get(&start.prompt).frames(codec);
        let [s0, s1, s2, s3, q0, q1, t0, t1] = self.mint.bits().to_be_bytes();
        let playout = Playout::new(
            frames,
            u32::from_be_bytes([s0, s1, s2, s3]),
            u16::from_be_bytes([q0, q1]),
            u32::from_be_bytes([t0, t1, s1, q0]),
            now,
        );
        let playing = Playing { port: start.port, remote: start.remote, playout };
        self.playing.insert(start.placement, playing);
    }

    /// Sends what is due.
    fn turn(&mut self, now: Instant) {
        let sockets = &self.sockets;
        let inbox = &self.inbox;
        self.playing.retain(|placement, playing| {
            let socket = sockets.get(&playing.port);
            while let Some(packet) = playing.playout.poll_packet(now) {
                // A lost packet is a lost packet: the call goes on.
                socket.map(|socket| socket.send_to(packet, playing.remote).ok());
            }
            let finished = playing.playout.finished(now);
            if finished {
                inbox.send_blocking(Input::Played(*placement));
            }
            !finished
        });
    }
}

/// Prompts by name, read when first wanted.
struct Library {
    folder: PathBuf,
    read: BTreeMap<Arc<str>, Prompt>,
}

impl Library {
    fn get(&mut self, name: &Arc<str>) -> Prompt {
        if let Some(prompt) = self.read.get(name) {
            return prompt.clone();
        }
        match prompts::read(&self.folder, name) {
            Ok(prompt) => {
                self.read.insert(Arc::clone(name), prompt.clone());
                prompt
            }
            Err(fault) => {
                // It was there when the campaign was let go on; the next look halts it.
                tracing::error!(prompt = %name, %fault, "a prompt is gone: a tone is played");
                default_prompt()
            }
        }
    }
}

fn default_prompt() -> Prompt {
    // Two seconds at 8 kHz are neither empty nor too long.
    Prompt::from_samples(&tone(TONE.0, TONE.1), 8_000)
        .unwrap_or_else(|error| unreachable!("the default prompt: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tone_of_a_prompt_that_went_missing_in_between_can_be_played() {
        assert_eq!(default_prompt().duration(), Duration::from_secs(2));
    }
}
