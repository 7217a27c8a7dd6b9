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
};
use crate::{
    amqp::Limit,
    broker::Millis,
    engine::{Encryption, Node},
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

fn admit(stream: TcpStream, address: SocketAddr, shared: &Shared) {
    let ip = address.ip().to_canonical();
    match shared.door.enter(ip) {
        Ok(place) => start(stream, address, place, shared),
        Err(TurnedAway::AddressCrowded) => {
            let shared = shared.clone();
            tokio::spawn(async move {
                let turn = shared.door.enter_in_turn(ip);
                match tokio::time::timeout(shared.handshake_timeout, turn).await {
                    Ok(Ok(place)) => start(stream, address, place, &shared),
                    Ok(Err(turned_away)) => refuse(address, turned_away, &shared),
                    Err(_) => refuse(address, TurnedAway::AddressCrowded, &shared),
                }
            });
        }
        Err(turned_away) => refuse(address, turned_away, shared),
    }
}

fn refuse(address: SocketAddr, turned_away: TurnedAway, shared: &Shared) {
    let what = format_args!("refused a connection from {address}: {turned_away}");
    ran_into(turned_away.limit(), address.ip().to_canonical(), what, shared);
}

/// Counts that an address ran into a limit before there was a session to say so.
fn ran_into(limit: Limit, address: IpAddr, what: fmt::Arguments<'_>, shared: &Shared) {
    match shared.node.refusals.note(limit, address, shared.clock.now()) {
        Some(notice) => tracing::warn!("{what} ({notice})"),
        None => tracing::debug!("{what}"),
    }
}

fn start(stream: TcpStream, address: SocketAddr, place: Place, shared: &Shared) {
    if let Some(dropped) = place.dropped() {
        let what = format_args!("dropped the oldest connection without a login, of {dropped}: too many wait");
        ran_into(Limit::Unauthenticated, dropped, what, shared);
    }
    if shared.nodelay
        && let Err(error) = stream.set_nodelay(true)
    {
        tracing::debug!("cannot set TCP_NODELAY for {address}: {error}");
    }
    let local = stream.local_addr().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
    let local = SocketAddr::new(local.ip().to_canonical(), local.port());
    let peer = Peer { address: address.ip().to_canonical(), port: address.port(), local, encryption: None };
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
