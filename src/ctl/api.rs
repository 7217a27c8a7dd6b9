//! The broker's HTTP API, over its socket or over TCP.

use std::{os::unix::net::UnixStream, time::Duration};

use base64::prelude::{BASE64_STANDARD, Engine};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, body::Bytes, client::conn::http1, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::Runtime,
};

use super::tls::Tls;

/// How long an answer may take if nothing else was asked for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where management interfaces are, without and with TLS.
pub const PORT: u16 = 15_672;
pub const TLS_PORT: u16 = 15_671;

/// How a broker is reached.
pub enum Target {
    /// Its socket; who may open it needs no password.
    Local(Box<dyn Fn() -> Result<UnixStream, String>>),
    /// Its management interface.
    Remote(Remote),
}

/// A management interface and who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
    /// Before `/api`.
    pub prefix: String,
    /// How to speak TLS, if at all.
    pub tls: Option<Tls>,
}

impl Default for Remote {
    fn default() -> Remote {
        let guest = || "guest".to_owned();
        Remote {
            host: "localhost".to_owned(),
            port: PORT,
            user: guest(),
            password: guest(),
            prefix: String::new(),
            tls: None,
        }
    }
}

impl Remote {
    /// From `http://user:password@host:port/prefix` or `https`; `None` if it is not that.
    pub fn parse(uri: &str) -> Option<Remote> {
        let mut remote = Remote::default();
        let rest = match uri.strip_prefix("https://") {
            None => uri.strip_prefix("http://")?,
            Some(rest) => {
                (remote.tls, remote.port) = (Some(Tls::default()), TLS_PORT);
                rest
            }
        };
        let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let place = match authority.rsplit_once('@') {
            Some((credentials, place)) => {
                let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
                (remote.user, remote.password) = (decode(user)?, decode(password)?);
                place
            }
            None => authority,
        };
        match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                remote.host = host.to_owned();
                remote.port = port.parse().ok()?;
            }
            _ => remote.host = place.to_owned(),
        }
        let prefix = prefix.trim_end_matches('/').trim_end_matches("api").trim_end_matches('/');
        if !prefix.is_empty() {
            remote.prefix = format!("/{prefix}");
        }
        Some(remote).filter(|remote| !remote.host.is_empty())
    }

    fn authorization(&self) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

/// Why there was no answer.
#[derive(Debug)]
pub enum Silence {
    /// Nobody is there; in words.
    Down(String),
    TimedOut,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Bytes,
}

impl Reply {
    pub fn is_fine(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The broker's words for a refusal.
    pub fn reason(&self) -> String {
        match &self.json()["reason"] {
            Value::String(reason) => reason.clone(),
            Value::Null => format!("the broker answered with status {}", self.status),
            other => other.to_string(),
        }
    }
}

/// One connection to a broker, opened when it is first needed.
pub struct Api {
    runtime: Runtime,
    target: Target,
    sender: Option<SendRequest<Full<Bytes>>>,
    pub timeout: Option<Duration>,
}

impl Api {
    pub fn new(target: Target) -> std::io::Result<Api> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Api { runtime, target, sender: None, timeout: Some(PATIENCE) })
    }

    /// A request to a path below `/api/`, as whoever the target says.
    pub fn ask(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply, Silence> {
        self.send(method, path, body, &[])
    }

    /// A request as a user of the broker.
    pub fn ask_as(&mut self, user: &str, password: &str, path: &str) -> Result<Reply, Silence> {
        let credentials = BASE64_STANDARD.encode(format!("{user}:{password}"));
        self.send(Method::GET, path, None, &[("authorization", &format!("Basic {credentials}"))])
    }

    pub fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Reply, Silence> {
        let octets = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let (host, prefix, authorization) = match &self.target {
            Target::Local(_) => ("localhost".to_owned(), "", None),
            Target::Remote(remote) => (
                format!("{}:{}", remote.host, remote.port),
                remote.prefix.as_str(),
                Some(remote.authorization()),
            ),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{prefix}/api/{path}"))
            .header("host", host)
            .header("content-type", "application/json");
        if let Some(authorization) =
            authorization.filter(|_| headers.iter().all(|(name, _)| *name != "authorization"))
        {
            request = request.header("authorization", authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(octets)).map_err(|error| Silence::Down(error.to_string()))?;
        let Api { runtime, target, sender, timeout } = self;
        let exchange = async {
            if sender.as_ref().is_none_or(SendRequest::is_closed) {
                *sender = Some(connect(target).await?);
            }
            let Some(sender) = sender.as_mut() else { return Err(Silence::Down("no connection".to_owned())) };
            let down = |error: hyper::Error| Silence::Down(error.to_string());
            let response = sender.send_request(request).await.map_err(down)?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.map_err(down)?.to_bytes();
            Ok(Reply { status, body })
        };
        runtime.block_on(async {
            match *timeout {
                Some(timeout) => {
                    tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(Silence::TimedOut))
                }
                None => exchange.await,
            }
        })
    }

    /// Lets time pass.
    pub fn pause(&self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }
}

async fn connect(target: &Target) -> Result<SendRequest<Full<Bytes>>, Silence> {
    let down = |error: std::io::Error| Silence::Down(error.to_string());
    match target {
        Target::Local(open) => {
            let stream = open().map_err(Silence::Down)?;
            stream.set_nonblocking(true).map_err(down)?;
            shake_hands(tokio::net::UnixStream::from_std(stream).map_err(down)?).await
        }
        Target::Remote(remote) => {
            let host = remote.host.trim_matches(['[', ']']);
            let stream = tokio::net::TcpStream::connect((host, remote.port)).await.map_err(down)?;
            stream.set_nodelay(true).map_err(down)?;
            match &remote.tls {
                None => shake_hands(stream).await,
                Some(tls) => shake_hands(tls.connect(host, stream).await.map_err(Silence::Down)?).await,
            }
        }
    }
}

async fn shake_hands(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Full<Bytes>>, Silence> {
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|error| Silence::Down(error.to_string()))?;
    // Ends with the sender; its errors come out of the sender's requests.
    tokio::spawn(async { drop(connection.await) });
    Ok(sender)
}

/// A segment of a path.
pub fn segment(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for octet in name.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(octet))
            }
            _ => encoded.push_str(&format!("%{octet:02X}")),
        }
    }
    encoded
}

/// The text that was percent-encoded.
fn decode(text: &str) -> Option<String> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        octets.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_management_interface() {
        let remote = Remote::parse("http://al%40ice:s%3Acret@rabbit:1234/pre/api").unwrap();
        assert_eq!((remote.host.as_str(), remote.port), ("rabbit", 1234));
        assert_eq!((remote.user.as_str(), remote.password.as_str()), ("al@ice", "s:cret"));
        assert_eq!(remote.prefix, "/pre");
        assert_eq!(Remote::parse("http://localhost"), Some(Remote::default()));
        assert_eq!(
            Remote::parse("http://[::1]:5/").map(|remote| (remote.host, remote.port)),
            Some(("[::1]".into(), 5))
        );
        let remote = Remote::parse("https://rabbit").unwrap();
        assert_eq!((remote.port, remote.tls.is_some()), (15_671, true));
        for wrong in ["rabbit", "ftp://rabbit", "http://", "http://a:b:c@", "http://h:99999"] {
            assert_eq!(Remote::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_become_segments() {
        assert_eq!(segment("/"), "%2F");
        assert_eq!(segment("a b\u{e9}"), "a%20b%C3%A9");
    }
}
