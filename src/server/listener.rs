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
    connection::Driver,
    door::{Door, Place, TurnedAway},
};
use crate::{
    amqp::Limit,
    engine::Node,
    session::{Peer, Session, SessionSettings},
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
    let peer = Peer { address: address.ip().to_canonical(), port: address.port(), local };
    let frame_max = shared.settings.limits.frame_max;
    let (node, settings, clock) = (shared.node.clone(), shared.settings.clone(), shared.clock);
    let session = Session::new(node, settings, peer, clock.now());
    let number = place.number();
    let driver = Driver::new(stream, session, place, clock, shared.stall, frame_max);
    let alive = shared.alive.clone();
    let task = tokio::spawn(async move {
        let farewell = driver.run().await;
        drop(alive);
        if let Some(farewell) = farewell {
            farewell.close().await;
        }
    });
    shared.door.set_task(number, task.abort_handle());
}
