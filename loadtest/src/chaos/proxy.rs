//! TCP proxies of ours between the programs and the stores: connections are reset, what is said
//! comes late or not at all. One before a Sentinel has it name our proxies instead of the servers.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener},
    sync::{Arc, Mutex, PoisonError},
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

/// What a Sentinel is made to say: for the port of a server that of a proxy. Both have five digits:
/// they are handed out by the operating system.
pub(crate) type Names = Arc<Mutex<BTreeMap<u16, u16>>>;

/// How it is between a program and its store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Everything comes so much later, either way.
    pub(crate) delay: Duration,
    /// Nothing arrives, and nobody is told.
    pub(crate) hold: bool,
    /// Connections of an earlier number are reset.
    pub(crate) resets: u64,
}

impl Weather {
    /// Whether a connection made in the weather `before` is reset by this.
    const fn breaks(&self, before: &Self) -> bool {
        self.resets != before.resets
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
        Self::naming(target, Names::default())
    }

    /// The same; what the server says has these names in it instead of its own.
    ///
    /// # Errors
    /// If no port is free or no thread can be started.
    pub(crate) fn naming(target: SocketAddr, names: Names) -> anyhow::Result<Self> {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free TCP port")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (weather, seen) = watch::channel(Weather::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            LocalSet::new().block_on(&runtime, async move {
                if let Ok(listener) = TcpListener::from_std(listener) {
                    accept(&listener, target, &names, &seen).await;
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

    /// Nothing is late or held any more.
    pub(crate) fn clear(&self) {
        self.change(|weather| {
            weather.delay = Duration::ZERO;
            weather.hold = false;
        });
    }
}

async fn accept(
    listener: &TcpListener,
    target: SocketAddr,
    names: &Names,
    weather: &watch::Receiver<Weather>,
) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Out of file descriptors, say: later there may be one.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (weather, names) = (weather.clone(), Arc::clone(names));
        tokio::task::spawn_local(async move {
            // Whatever ends a connection ends it for both.
            serve(client, target, names, weather).await.ok();
        });
    }
}

async fn serve(
    client: TcpStream,
    target: SocketAddr,
    names: Names,
    mut weather: watch::Receiver<Weather>,
) -> std::io::Result<()> {
    let at_start = *weather.borrow_and_update();
    client.set_nodelay(true)?;
    let server = tokio::select! {
        server = TcpStream::connect(target) => server,
        () = broken(weather.clone(), at_start) => return abort(&client),
    };
    let Ok(server) = server else { return abort(&client) };
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // An end goes one way, an error both.
    tokio::try_join!(
        carry(from_client, to_server, Names::default(), weather.clone(), at_start),
        carry(from_server, to_client, names, weather, at_start),
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
    names: Names,
    weather: watch::Receiver<Weather>,
    at_start: Weather,
) -> std::io::Result<()> {
    tokio::select! {
        ended = pass(&mut from, &mut to, &names, weather.clone()) => return ended,
        () = broken(weather, at_start) => {}
    }
    // A dropped half would say goodbye in order.
    to.forget();
    from.as_ref().set_zero_linger()
}

async fn pass(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    names: &Names,
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
        let said = piece.get_mut(..length).unwrap_or_default();
        rename(said, names);
        to.write_all(said).await?;
    }
}

/// Puts names in the place of others where they stand alone on a line, as in `$5\r\n40001\r\n`. An
/// answer of a Sentinel comes in one piece; a name that two pieces shared would lead past the proxy.
fn rename(said: &mut [u8], names: &Names) {
    let names = names.lock().unwrap_or_else(PoisonError::into_inner);
    for line in said.split_mut(|byte| *byte == b'\n') {
        let Some((b'\r', line)) = line.split_last_mut() else { continue };
        let port = std::str::from_utf8(line).ok().and_then(|port| port.parse().ok());
        let name = port.and_then(|port: u16| names.get(&port)).map(ToString::to_string);
        if let Some(name) = name.filter(|name| name.len() == line.len()) {
            line.copy_from_slice(name.as_bytes());
        }
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
    fn connections_are_reset_on_demand() {
        let proxy = Proxy::start(server(1)).unwrap();
        let mut first = connect(&proxy);
        assert_eq!(ask(&mut first).unwrap(), 1);
        proxy.reset();
        let error = first.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let mut second = connect(&proxy);
        assert_eq!(ask(&mut second).unwrap(), 1);
    }

    #[test]
    fn a_sentinel_names_the_proxy_of_a_server() {
        let names = Names::default();
        names.lock().unwrap().extend([(40_001, 50_001), (40_002, 9)]);
        let renamed = |said: &str| {
            let mut said = said.as_bytes().to_vec();
            rename(&mut said, &names);
            String::from_utf8(said).unwrap()
        };
        let answer = |port: &str| format!("*2\r\n$9\r\n127.0.0.1\r\n$5\r\n{port}\r\n");
        assert_eq!(renamed(&answer("40001")), answer("50001"));
        for other in ["40003", "40002", "140001"] {
            assert_eq!(renamed(&answer(other)), answer(other));
        }
        assert_eq!(renamed("$40001"), "$40001");
    }
}
