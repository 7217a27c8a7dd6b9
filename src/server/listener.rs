//! Accepting sockets.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::{
    clock::Clock,
    connection::{Driver, Wire},
    door::{Door, Place, TurnedAway},
    proxy::{self, Header, Network},
};
use crate::{
    amqp::Limit,
    broker::Millis,
    engine::{Encryption, Node, ServiceState},
    session::{Peer, Session, SessionSettings},
    tls::{AcceptError, Tls},
};

/// How long to wait after accept failed, as it does when file descriptors run out.
const RETRY: Duration = Duration::from_millis(50);

/// What every accepted connection gets.
#[derive(Debug, Clone)]
pub struct Shared {
    pub node: Arc<Node>,
    pub settings: Arc<SessionSettings>,
    pub clock: Clock,
    pub door: Arc<Door>,
    pub stall: Duration,
    pub handshake_timeout: Duration,
    pub nodelay: bool,
    /// Networks of proxies, which say whom they connect for.
    pub proxies: Arc<[Network]>,
    /// `None` for a listener that does not encrypt.
    pub tls: Option<Arc<Tls>>,
    /// How long a TLS handshake may take.
    pub tls_patience: Duration,
    /// Held by every connection's task; shutdown waits until all are gone.
    pub alive: tokio::sync::mpsc::Sender<()>,
}

/// Opens a listening socket.
pub fn bind(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` serves both families, as users of `[::]:5672` expect.
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

/// Accepts connections until its task is aborted.
pub async fn serve(listener: TcpListener, shared: Shared) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => admit(stream, address, &shared),
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Both ends of a connection, as far as they are known.
#[derive(Debug, Clone, Copy)]
struct Ends {
    peer: SocketAddr,
    local: SocketAddr,
}

impl Ends {
    fn of(stream: &TcpStream, peer: SocketAddr) -> Ends {
        let local = stream.local_addr().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        Ends { peer: canonical(peer), local: canonical(local) }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn admit(stream: TcpStream, address: SocketAddr, shared: &Shared) {
    let ends = Ends::of(&stream, address);
    if shared.node.service.state() != ServiceState::Serving {
        tracing::debug!("nobody is let in: closed a connection from {address}");
        return;
    }
    let is_proxy = shared.proxies.iter().any(|network| network.contains(ends.peer.ip()));
    if is_proxy { ask_proxy(stream, ends, shared) } else { let_in(stream, ends, shared) }
}

/// Lets in whom a proxy connects for.
fn ask_proxy(mut stream: TcpStream, ends: Ends, shared: &Shared) {
    let proxy = ends.peer.ip();
    let place = match shared.door.enter_as_proxy(proxy) {
        Ok(place) => place,
        Err(turned_away) => return refuse(ends.peer, turned_away, shared),
    };
    note_dropped(&place, shared);
    let (number, served) = (place.number(), shared.clone());
    let task = tokio::spawn(async move {
        let header = tokio::time::timeout(served.handshake_timeout, proxy::read_header(&mut stream)).await;
        // The client gets a place of its own, among those of its own address.
        drop(place);
        let refuse = |reason: fmt::Arguments<'_>| {
            let what = format_args!("dropped a connection of the proxy {}: {reason}", ends.peer);
            ran_into(Limit::ProxyHeader, proxy, what, &served);
        };
        match header {
            Ok(Ok(Header::Proxied { source, destination })) => {
                let ends = Ends { peer: canonical(source), local: canonical(destination) };
                let_in(stream, ends, &served);
            }
            Ok(Ok(Header::Own)) => let_in(stream, ends, &served),
            Ok(Err(error)) => refuse(format_args!("{error}")),
            Err(_) => refuse(format_args!("its PROXY header did not come in time")),
        }
    });
    shared.door.set_task(number, task.abort_handle());
}

fn let_in(stream: TcpStream, ends: Ends, shared: &Shared) {
    let ip = ends.peer.ip();
    match shared.door.enter(ip) {
        Ok(place) => start(stream, ends, place, shared),
        Err(TurnedAway::AddressCrowded) => {
            let shared = shared.clone();
            tokio::spawn(async move {
                let turn = shared.door.enter_in_turn(ip);
                match tokio::time::timeout(shared.handshake_timeout, turn).await {
                    Ok(Ok(place)) => start(stream, ends, place, &shared),
                    Ok(Err(turned_away)) => refuse(ends.peer, turned_away, &shared),
                    Err(_) => refuse(ends.peer, TurnedAway::AddressCrowded, &shared),
                }
            });
        }
        Err(turned_away) => refuse(ends.peer, turned_away, shared),
    }
}

fn refuse(address: SocketAddr, turned_away: TurnedAway, shared: &Shared) {
    let what = format_args!("refused a connection from {address}: {turned_away}");
    ran_into(turned_away.limit(), address.ip(), what, shared);
}

fn note_dropped(place: &Place, shared: &Shared) {
    if let Some(dropped) = place.dropped() {
        let what = format_args!("dropped the oldest connection without a login, of {dropped}: too many wait");
        ran_into(Limit::Unauthenticated, dropped, what, shared);
    }
}

/// Counts that an address ran into a limit before there was a session to say so.
fn ran_into(limit: Limit, address: IpAddr, what: fmt::Arguments<'_>, shared: &Shared) {
    match shared.node.refusals.note(limit, address, shared.clock.now()) {
        Some(notice) => tracing::warn!("{what} ({notice})"),
        None => tracing::debug!("{what}"),
    }
}

fn start(stream: TcpStream, ends: Ends, place: Place, shared: &Shared) {
    let Ends { peer: address, local } = ends;
    note_dropped(&place, shared);
    if shared.nodelay
        && let Err(error) = stream.set_nodelay(true)
    {
        tracing::debug!("cannot set TCP_NODELAY for {address}: {error}");
    }
    let peer = Peer { address: address.ip(), port: address.port(), local, encryption: None };
    let number = place.number();
    let accepted_at = shared.clock.now();
    let task = match shared.tls.clone() {
        None => tokio::spawn(converse(stream, peer, place, accepted_at, shared.clone())),
        Some(tls) => tokio::spawn(converse_encrypted(stream, peer, place, accepted_at, tls, shared.clone())),
    };
    shared.door.set_task(number, task.abort_handle());
}

async fn converse_encrypted(
    stream: TcpStream,
    mut peer: Peer,
    place: Place,
    accepted_at: Millis,
    tls: Arc<Tls>,
    shared: Shared,
) {
    match tls.accept(stream, shared.tls_patience).await {
        Ok((stream, encryption)) => {
            peer.encryption = Some(Arc::<Encryption>::new(encryption));
            converse(stream, peer, place, accepted_at, shared).await;
        }
        Err(error) => {
            let address = SocketAddr::new(peer.address, peer.port);
            let what = match &error {
                AcceptError::Handshake(_) => "failed",
                AcceptError::TooLate(_) => "was given up",
            };
            let what = format_args!("TLS handshake with {address} {what}: {error}");
            ran_into(Limit::TlsHandshake, peer.address, what, &shared);
        }
    }
}

async fn converse<W: Wire>(stream: W, peer: Peer, place: Place, accepted_at: Millis, shared: Shared) {
    let Shared { node, settings, clock, stall, alive, .. } = shared;
    let frame_max = settings.limits.frame_max;
    let session = Session::new(node, settings, peer, accepted_at);
    let farewell = Driver::new(stream, session, place, clock, stall, frame_max).run().await;
    drop(alive);
    if let Some(farewell) = farewell {
        farewell.close().await;
    }
}
