//! Sockets, and the limits of HTTP: heads, bodies, time, connections.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body, Bytes, Incoming},
    header::{ACCEPT, AUTHORIZATION, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener},
    sync::Semaphore,
    task::JoinSet,
};

use super::{
    Management,
    answer::{Answer, JSON, Refusal},
    call::Call,
    compress,
    cors::Asked,
    dispatch,
    etag::Known,
    live::Content,
    login, metrics, pages,
    path::{self, Query},
    route::{self, Endpoint, Level},
};
use crate::{amqp::Limit, tls::Tls};

/// How long a TLS handshake may take.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);
/// Octets of a request's head.
const HEAD_MAX: usize = 16 << 10;
/// Octets of a form with a name and a password, which comes before the login.
const FORM_MAX: usize = 4 << 10;
/// For everything from the head of a request to its answer.
const DEADLINE: Duration = Duration::from_secs(30);
/// For a head to arrive, and for a connection to be quiet between two requests.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);
/// How long a client may take nothing of an answer.
const STALL: Duration = Duration::from_secs(60);
/// Connections at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 1_000;
/// How long to wait after accept failed.
const RETRY: Duration = Duration::from_millis(50);

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    All,
    /// What Prometheus collects, without a login.
    Metrics,
    /// The socket of the machine's tools: who is let in needs no login.
    Local,
}

/// Who is at the other end, and how.
#[derive(Debug, Clone, Copy)]
struct Caller {
    peer: IpAddr,
    served: Served,
    is_encrypted: bool,
}

/// Accepts connections until its task is aborted, which ends them all.
pub async fn serve(
    listener: TcpListener,
    management: Arc<Management>,
    served: Served,
    tls: Option<Arc<Tls>>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, address)) => {
                let (management, tls) = (management.clone(), tls.clone());
                connections.spawn(async move {
                    welcome(stream, address, management, served, tls).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection to the management interface: {error}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// The same for the socket of the machine's tools. Only root and the user that we run as are let in.
pub async fn serve_local(listener: UnixListener, management: Arc<Management>) {
    let ours = rustix::process::geteuid().as_raw();
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => match stream.peer_cred().map(|peer| peer.uid()) {
                Ok(uid) if uid == 0 || uid == ours => {
                    let peer = IpAddr::from([127, 0, 0, 1]);
                    let caller = Caller { peer, served: Served::Local, is_encrypted: false };
                    connections.spawn(converse(stream, caller, management.clone()));
                }
                Ok(uid) => tracing::warn!("the user with number {uid} may not use the socket for tools"),
                Err(error) => tracing::warn!("who uses the socket for tools cannot be told: {error}"),
            },
            Err(error) => {
                tracing::warn!("cannot accept a connection to the socket for tools: {error}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn welcome(
    stream: TcpStream,
    address: SocketAddr,
    management: Arc<Management>,
    served: Served,
    tls: Option<Arc<Tls>>,
) {
    let peer = address.ip().to_canonical();
    let socket = socket2::SockRef::from(&stream);
    if let Err(error) = socket.set_tcp_nodelay(true).and(socket.set_tcp_user_timeout(Some(STALL))) {
        tracing::debug!("cannot set the options of a socket of {peer}: {error}");
    }
    let caller = Caller { peer, served, is_encrypted: tls.is_some() };
    let Some(tls) = tls else { return converse(stream, caller, management).await };
    match tls.accept(stream, HANDSHAKE_PATIENCE).await {
        Ok((stream, _)) => converse(stream, caller, management).await,
        Err(error) => {
            let what = format_args!("TLS handshake of the management interface with {address}: {error}");
            match management.node.refusals.note(Limit::TlsHandshake, peer, management.now()) {
                Some(notice) => tracing::warn!("{what} ({notice})"),
                None => tracing::debug!("{what}"),
            }
        }
    }
}

async fn converse<S>(stream: S, caller: Caller, management: Arc<Management>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let management = management.clone();
        async move { Ok::<_, Infallible>(management.respond(request, caller).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!("HTTP connection of {}: {error}", caller.peer);
    }
}

impl Management {
    async fn respond(self: Arc<Management>, request: Request<Incoming>, caller: Caller) -> Response<Content> {
        let Caller { peer, served, is_encrypted } = caller;
        let asked = Asked::of(request.method(), request.headers());
        let gzip = compress::is_accepted(request.headers());
        let known = Known::of(request.method(), request.headers());
        let answer = match tokio::time::timeout(DEADLINE, self.clone().answer(request, peer, served)).await {
            Ok(answer) => answer,
            Err(_) => Refusal::timed_out().answer(),
        };
        let mut answer = self.settings.cors.apply(&asked, known.apply(answer));
        if is_encrypted {
            answer = secure(answer, self.settings.hsts.as_deref());
        }
        render(if gzip { compress::answer(answer) } else { answer })
    }

    async fn answer(
        self: Arc<Management>,
        request: Request<Incoming>,
        peer: IpAddr,
        served: Served,
    ) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        if served == Served::Metrics || path.starts_with("/metrics") {
            if head.method != Method::GET && head.method != Method::HEAD {
                return Answer::empty(StatusCode::METHOD_NOT_ALLOWED);
            }
            let query = Query::parse(head.uri.query().unwrap_or_default());
            let answer = metrics::answer(&self, path, &query).await;
            return answer.unwrap_or_else(|| Answer::empty(StatusCode::NOT_FOUND));
        }
        if let Some(answer) = pages::answer(&head.method, path) {
            return answer;
        }
        let segments = path.strip_prefix("/api/").and_then(path::segments).unwrap_or_default();
        let names: Vec<&str> = segments.iter().map(String::as_str).collect();
        let Some(route) = route::find(&names) else { return Refusal::not_found().answer() };
        let allow = route.allow();
        match head.method {
            Method::OPTIONS => return Answer::empty(StatusCode::OK).header("allow", allow),
            Method::HEAD if route.methods.contains(&"GET") => {}
            ref method if route.methods.contains(&method.as_str()) => {}
            _ => return Answer::empty(StatusCode::METHOD_NOT_ALLOWED).header("allow", allow),
        }
        if !accepts_json(&head.headers) && route.endpoint != Endpoint::LiveLog {
            return Answer::empty(StatusCode::NOT_ACCEPTABLE);
        }
        if route.endpoint == Endpoint::Login {
            let Ok(form) = Limited::new(body, FORM_MAX).collect().await else {
                return Refusal::too_large().answer().header("connection", "close");
            };
            return self.log_in_by_form(&form.to_bytes(), peer).await;
        }
        if route.level == Level::Open {
            return dispatch::open(&self, &route.endpoint).unwrap_or_else(|refusal| refusal.answer());
        }
        // A tool may still ask as somebody.
        let is_local = served == Served::Local && !head.headers.contains_key(AUTHORIZATION);
        let user = match is_local {
            true => login::tool(),
            false => match self.log_in(&head.headers, peer).await {
                Ok(user) => user,
                Err(answer) => return answer,
            },
        };
        let method = if head.method == Method::HEAD { Method::GET } else { head.method };
        if let Err(refusal) = route.check(&self, &user, &method, is_local) {
            return refusal.answer();
        }
        // Before it is sent, if its length is announced.
        let most = self.settings.body_max;
        if body.size_hint().exact().is_some_and(|length| (most as u64) < length) {
            return Refusal::too_large().answer().header("connection", "close");
        }
        let body = match Limited::new(body, most).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return Refusal::too_large().answer().header("connection", "close"),
        };
        let query = Query::parse(head.uri.query().unwrap_or_default());
        let call = Call { management: self, user, is_local, method, query, headers: head.headers, body };
        dispatch::run(&call, &route.endpoint).await.unwrap_or_else(|refusal| refusal.answer())
    }
}

/// What only answers over TLS say: that browsers should stay with it, and keep the login for it.
fn secure(mut answer: Answer, hsts: Option<&str>) -> Answer {
    for (name, value) in &mut answer.headers {
        if *name == "set-cookie" {
            value.push_str("; Secure");
        }
    }
    match hsts {
        Some(hsts) => answer.header("strict-transport-security", hsts),
        None => answer,
    }
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter().peekable();
    if accepted.peek().is_none() {
        return true;
    }
    let types = accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    types
        .map(|kind| kind.split(';').next().unwrap_or_default().trim())
        .any(|kind| matches!(kind, "*/*" | "application/*" | "application/json" | ""))
}

fn render(answer: Answer) -> Response<Content> {
    let Answer { status, body, content_type, headers, live } = answer;
    let has_type = body.is_some() || live.is_some();
    let content = match live {
        Some(portions) => Content::Live(portions),
        None => Content::Whole(Full::new(Bytes::from(body.unwrap_or_default()))),
    };
    let mut response = Response::new(content);
    *response.status_mut() = status;
    let map = response.headers_mut();
    if has_type {
        map.insert("content-type", HeaderValue::from_static(content_type));
    }
    if content_type == JSON {
        map.insert("cache-control", HeaderValue::from_static("no-cache"));
        map.insert("vary", HeaderValue::from_static("accept, accept-encoding, origin"));
    }
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            map.insert(name, value);
        }
    }
    response
}
