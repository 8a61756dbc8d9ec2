//! TCP proxies of ours between the programs and the stores: connections are reset, what is said
//! comes late or not at all, and a program can be led to another server.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::LocalSet,
};

/// What is read at once.
const PIECE: usize = 16 * 1024;

/// How it is between a program and its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weather {
    /// The server. Connections to another one are reset when it changes.
    pub(crate) target: SocketAddr,
    /// Everything comes so much later, either way.
    pub(crate) delay: Duration,
    /// Nothing arrives, and nobody is told.
    pub(crate) hold: bool,
    /// Connections of an earlier number are reset.
    pub(crate) resets: u64,
}

impl Weather {
    /// Fair weather on the way to this server.
    const fn fair(target: SocketAddr) -> Self {
        Self { target, delay: Duration::ZERO, hold: false, resets: 0 }
    }

    /// Whether a connection made in the weather `before` is reset by this.
    fn breaks(&self, before: &Self) -> bool {
        self.target != before.target || self.resets != before.resets
    }
}

/// A proxy on loopback. It ends with the process.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    weather: Arc<watch::Sender<Weather>>,
}

impl Proxy {
    /// Starts one on a thread of its own.
    ///
    /// # Errors
    /// If no port is free or no thread can be started.
    pub(crate) fn start(target: SocketAddr) -> anyhow::Result<Self> {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free TCP port")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (weather, seen) = watch::channel(Weather::fair(target));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            LocalSet::new().block_on(&runtime, async move {
                if let Ok(listener) = TcpListener::from_std(listener) {
                    accept(&listener, &seen).await;
                }
            });
        })?;
        Ok(Self { address, weather: Arc::new(weather) })
    }

    /// Changes the weather.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }

    /// Resets every connection.
    pub(crate) fn reset(&self) {
        self.change(|weather| weather.resets += 1);
    }

    /// Leads to this server from now on; does nothing where it does so already.
    pub(crate) fn lead_to(&self, target: SocketAddr) {
        self.weather.send_if_modified(|weather| {
            let moved = weather.target != target;
            weather.target = target;
            moved
        });
    }

    /// Nothing is late or held any more.
    pub(crate) fn clear(&self) {
        self.change(|weather| {
            weather.delay = Duration::ZERO;
            weather.hold = false;
        });
    }
}

async fn accept(listener: &TcpListener, weather: &watch::Receiver<Weather>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Out of file descriptors, say: later there may be one.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let weather = weather.clone();
        tokio::task::spawn_local(async move {
            // Whatever ends a connection ends it for both.
            serve(client, weather).await.ok();
        });
    }
}

async fn serve(client: TcpStream, mut weather: watch::Receiver<Weather>) -> std::io::Result<()> {
    let at_start = *weather.borrow_and_update();
    client.set_nodelay(true)?;
    let server = tokio::select! {
        server = TcpStream::connect(at_start.target) => server,
        () = broken(weather.clone(), at_start) => return abort(&client),
    };
    let Ok(server) = server else { return abort(&client) };
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // An end goes one way, an error both.
    tokio::try_join!(
        carry(from_client, to_server, weather.clone(), at_start),
        carry(from_server, to_client, weather, at_start),
    )
    .map(|_| ())
}

/// Closes so that the other end sees a reset.
fn abort(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_zero_linger()
}

/// Until the weather breaks connections that were made in this one.
async fn broken(mut weather: watch::Receiver<Weather>, before: Weather) {
    // Without a sender nothing changes any more.
    if weather.wait_for(|now| now.breaks(&before)).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Carries one way until its end, or until the weather breaks the connection.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    weather: watch::Receiver<Weather>,
    at_start: Weather,
) -> std::io::Result<()> {
    tokio::select! {
        ended = pass(&mut from, &mut to, weather.clone()) => return ended,
        () = broken(weather, at_start) => {}
    }
    // A dropped half would say goodbye in order.
    to.forget();
    from.as_ref().set_zero_linger()
}

async fn pass(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece).await?;
        let delay = weather.borrow_and_update().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if weather.wait_for(|now| !now.hold).await.is_err() {
            return Ok(());
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(piece.get(..length).unwrap_or_default()).await?;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, Read as _, Write as _},
        net::TcpStream as StdStream,
    };

    use super::*;
    use crate::stack::clock;

    /// A server that answers every byte with this one.
    fn server(answer: u8) -> SocketAddr {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut byte = [0];
                    while stream.read(&mut byte).is_ok_and(|length| length == 1) {
                        stream.write_all(&[answer]).unwrap();
                    }
                });
            }
        });
        address
    }

    fn connect(proxy: &Proxy) -> StdStream {
        let stream = StdStream::connect(proxy.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    fn ask(stream: &mut StdStream) -> std::io::Result<u8> {
        let mut byte = [0];
        stream.write_all(b"?")?;
        stream.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    #[test]
    fn what_is_said_passes_comes_late_or_is_held() {
        let proxy = Proxy::start(server(1)).unwrap();
        let mut stream = connect(&proxy);
        assert_eq!(ask(&mut stream).unwrap(), 1);
        proxy.change(|weather| weather.delay = Duration::from_millis(60));
        let started = clock::monotonic();
        assert_eq!(ask(&mut stream).unwrap(), 1);
        assert!(started.elapsed() >= Duration::from_millis(120));
        proxy.change(|weather| weather.hold = true);
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let error = ask(&mut stream).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
        proxy.clear();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        assert_eq!(byte[0], 1);
    }

    #[test]
    fn connections_are_reset_on_demand_and_when_the_server_is_another() {
        let (one, other) = (server(1), server(2));
        let proxy = Proxy::start(one).unwrap();
        let mut first = connect(&proxy);
        assert_eq!(ask(&mut first).unwrap(), 1);
        proxy.lead_to(one);
        assert_eq!(ask(&mut first).unwrap(), 1, "the same server is no change");
        proxy.reset();
        let error = first.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let mut second = connect(&proxy);
        assert_eq!(ask(&mut second).unwrap(), 1);
        proxy.lead_to(other);
        assert_eq!(second.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(ask(&mut connect(&proxy)).unwrap(), 2);
    }
}
