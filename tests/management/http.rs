//! A broker with a management interface, and an HTTP client that hides nothing.

use std::{net::SocketAddr, path::PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use lapin::{Connection, ConnectionProperties};
use leveret::{Broker, Config};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// A broker of its own for each test.
pub struct Target {
    pub broker: Broker,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Fails unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Fails unless it is a refusal with these words.
    #[track_caller]
    pub fn refused(self, status: u16, error: &str, reason: &str) {
        let reply = self.expect(status);
        let body = reply.json();
        assert_eq!((body["error"].as_str(), body["reason"].as_str()), (Some(error), Some(reason)));
    }
}

/// Who asks.
pub const GUEST: (&str, &str) = ("guest", "guest");

impl Target {
    pub async fn start() -> Target {
        Target::configured(|_| {}).await
    }

    pub async fn on_disk(path: PathBuf) -> Target {
        Target::configured(move |config| config.storage.data_dir = Some(path)).await
    }

    pub async fn configured(configure: impl FnOnce(&mut Config)) -> Target {
        let builder = Broker::builder().configure(|config| {
            config.management.listen = vec!["127.0.0.1:0".parse().unwrap()];
        });
        let broker = builder.configure(configure).start().await.expect("the broker starts");
        Target { broker }
    }

    /// Sends octets as they are and reads to the end.
    pub async fn raw(&self, request: &[u8]) -> Reply {
        exchange(self.open().await, request).await
    }

    async fn open(&self) -> TcpStream {
        TcpStream::connect(self.broker.management_addrs()[0]).await.unwrap()
    }

    /// As [`Target::raw`], the answer's octets as they come.
    pub async fn octets(&self, request: &[u8]) -> Vec<u8> {
        read(self.open().await, request).await
    }

    /// A request of a user with further header lines.
    pub async fn request(
        &self,
        user: (&str, &str),
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        ask(self.broker.management_addrs()[0], user, method, path, headers, body).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.request(GUEST, "GET", path, &[], "").await
    }

    pub async fn put(&self, path: &str, body: &str) -> Reply {
        self.request(GUEST, "PUT", path, &[], body).await
    }

    pub async fn post(&self, path: &str, body: &str) -> Reply {
        self.request(GUEST, "POST", path, &[], body).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.request(GUEST, "DELETE", path, &[], "").await
    }

    /// What an AMQP client of this user gets in this vhost, percent-encoded.
    pub async fn connect(&self, user: (&str, &str), vhost: &str) -> Result<Connection, String> {
        let address = self.broker.amqp_addr();
        let uri = format!("amqp://{}:{}@{address}/{vhost}", user.0, user.1);
        let properties = ConnectionProperties::default().with_connection_name("the test".into());
        Connection::connect(&uri, properties).await.map_err(|error| error.to_string())
    }
}

/// Sends a request over a connection and reads to its end.
pub async fn exchange(stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> Reply {
    let answer = String::from_utf8(read(stream, request).await).expect("answers are text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}

/// A request of a user to whoever listens there.
pub async fn ask(
    address: SocketAddr,
    user: (&str, &str),
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let credentials = BASE64_STANDARD.encode(format!("{}:{}", user.0, user.1));
    let mut request = format!(
        "{method} /api/{path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
         authorization: Basic {credentials}\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.push_str(body);
    exchange(TcpStream::connect(address).await.unwrap(), request.as_bytes()).await
}

async fn read(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> Vec<u8> {
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

/// Awaits what others bring about, and fails by its name if it does not come.
pub async fn eventually<F: Future<Output = bool>>(event: &str, mut happened: impl FnMut() -> F) {
    let patience = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while !happened().await {
        assert!(tokio::time::Instant::now() < patience, "never came: {event}");
        tokio::task::yield_now().await;
    }
}
