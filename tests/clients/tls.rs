//! TLS: the same broker behind it, certificates of both sides, certificates that change (CON-22).

use std::net::SocketAddr;

use amqprs::{
    BasicProperties,
    channel::*,
    connection::{Connection, OpenConnectionArguments},
    security::SecurityCredentials,
    tls::TlsAdaptor,
};
use leveret::{
    Broker, Config,
    tls::{LoginFrom, NamedPair, TlsVersion, Verify},
};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ALL_VERSIONS, SupportedProtocolVersion,
        pki_types::{CertificateDer, ServerName},
        version::{TLS12, TLS13},
    },
};

use crate::{
    pki::{Identity, Pki, name},
    support::{unique, within, within_secs},
};

async fn start(pki: &Pki, change: impl FnOnce(&mut Config)) -> Broker {
    let builder = Broker::builder().configure(|config| {
        pki.configure(config);
        change(config);
    });
    builder.start().await.expect("the broker starts")
}

/// Opens a connection with the `amqprs` client.
async fn connect(
    pki: &Pki,
    broker: &Broker,
    identity: Option<&Identity>,
    credentials: SecurityCredentials,
) -> Result<Connection, amqprs::error::Error> {
    let connector = TlsConnector::from(pki.client_config(identity, ALL_VERSIONS));
    let port = broker.amqps_addrs()[0].port();
    let mut arguments = OpenConnectionArguments::new("127.0.0.1", port, "guest", "guest");
    arguments.credentials(credentials).tls_adaptor(TlsAdaptor::new(connector, "localhost".to_owned()));
    within("connection.open-ok over TLS", Connection::open(&arguments)).await
}

fn guest() -> SecurityCredentials {
    SecurityCredentials::new_plain("guest", "guest")
}

/// A handshake alone.
async fn handshake(
    pki: &Pki,
    address: SocketAddr,
    server: &'static str,
    identity: Option<&Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<TlsStream<TcpStream>> {
    let connector = TlsConnector::from(pki.client_config(identity, versions));
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(server).unwrap();
    let mut stream = within("a TLS handshake", connector.connect(name, stream)).await?;
    // With TLS 1.3 a client hears only afterwards that its certificate was refused.
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"AMQP\x00\x00\x09\x01").await?;
    let mut first = [0; 1];
    within("connection.start", stream.read_exact(&mut first)).await?;
    Ok(stream)
}

fn certificate(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_all_sizes_pass_through_tls() {
    let pki = Pki::new();
    let broker = start(&pki, |_| {}).await;
    let connection = connect(&pki, &broker, None, guest()).await.unwrap();
    let channel = within("channel.open-ok", connection.open_channel(None)).await.unwrap();
    let queue = unique("tls");
    channel.queue_declare(QueueDeclareArguments::transient_autodelete(&queue)).await.unwrap();
    let arguments = BasicConsumeArguments::new(&queue, "").manual_ack(false).finish();
    let (_, mut deliveries) = channel.basic_consume_rx(arguments).await.unwrap();
    let sizes = [0, 1, 100, 4_000, 16_383, 16_384, 16_385, 131_072, 1_000_000, 5_000_000, 17];
    let body = |size: usize| -> Vec<u8> { (0..size).map(|at| (at * 31 % 251) as u8).collect() };
    for size in sizes {
        let arguments = BasicPublishArguments::new("", &queue);
        channel.basic_publish(BasicProperties::default(), body(size), arguments).await.unwrap();
    }
    for size in sizes {
        let delivery = within("a delivery", deliveries.recv()).await.expect("the consumer lives");
        assert!(delivery.content.unwrap() == body(size), "{size} octets");
    }
    within("close-ok", connection.close()).await.unwrap();
}

/// A backlog that fills every buffer on the way arrives whole and in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_arrives_in_order_through_tls() {
    const MESSAGES: u32 = 3_000;
    let pki = Pki::new();
    let broker = start(&pki, |_| {}).await;
    let connection = connect(&pki, &broker, None, guest()).await.unwrap();
    let channel = within("channel.open-ok", connection.open_channel(None)).await.unwrap();
    let queue = unique("tls-backlog");
    channel.queue_declare(QueueDeclareArguments::transient_autodelete(&queue)).await.unwrap();
    let mut body = vec![b'x'; 6_000];
    for number in 0..MESSAGES {
        body[..4].copy_from_slice(&number.to_be_bytes());
        let arguments = BasicPublishArguments::new("", &queue);
        channel.basic_publish(BasicProperties::default(), body.clone(), arguments).await.unwrap();
    }
    let arguments = BasicConsumeArguments::new(&queue, "").manual_ack(false).finish();
    let (_, mut deliveries) = channel.basic_consume_rx(arguments).await.unwrap();
    for number in 0..MESSAGES {
        let delivery = within("a delivery", deliveries.recv()).await.expect("the consumer lives");
        let content = delivery.content.unwrap();
        assert_eq!((content.len(), &content[..4]), (6_000, &number.to_be_bytes()[..]));
    }
    within("close-ok", connection.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn con_22_a_certificate_logs_its_user_in() {
    let pki = Pki::new();
    let login_as = |user: &'static str, from: LoginFrom| {
        move |config: &mut Config| {
            config.tls.verify = Verify::Optional;
            config.auth.certificate_login.from = from;
            config.bootstrap.users = vec![(user.to_owned(), "unused".to_owned())];
        }
    };
    let alice = pki.client("alice");
    for (user, from) in [("CN=alice", LoginFrom::DistinguishedName), ("alice", LoginFrom::CommonName)] {
        let broker = start(&pki, login_as(user, from)).await;
        let connection = connect(&pki, &broker, Some(&alice), SecurityCredentials::new_external()).await;
        let connection = connection.unwrap_or_else(|error| panic!("{user}: {error}"));
        within("channel.open-ok", connection.open_channel(None)).await.unwrap().close().await.unwrap();
        connection.close().await.unwrap();
        // A password still does where a certificate would do, too.
        let connection = connect(&pki, &broker, Some(&alice), guest()).await.unwrap();
        connection.close().await.unwrap();
        // A good certificate of nobody here.
        let stranger = pki.client("stranger");
        let refused = connect(&pki, &broker, Some(&stranger), SecurityCredentials::new_external()).await;
        assert!(refused.is_err());
        // No certificate, no such mechanism.
        assert!(connect(&pki, &broker, None, SecurityCredentials::new_external()).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn con_11_external_is_offered_to_those_with_a_certificate_alone() {
    let pki = Pki::new();
    let broker = start(&pki, |config| config.tls.verify = Verify::Optional).await;
    let address = broker.amqps_addrs()[0];
    let client = pki.client("alice");
    for (identity, is_offered) in [(Some(&client), true), (None, false)] {
        let mut stream = handshake(&pki, address, "localhost", identity, ALL_VERSIONS).await.unwrap();
        let mut start = vec![0; 4_096];
        let mut read = 0;
        while !start[..read].ends_with(&[0xCE]) {
            read += within("connection.start", stream.read(&mut start[read..])).await.unwrap();
        }
        let text = String::from_utf8_lossy(&start[..read]).into_owned();
        assert!(text.contains("PLAIN AMQPLAIN"), "{text}");
        assert_eq!(text.contains("EXTERNAL"), is_offered, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_clients_with_a_good_certificate_come_in_where_one_is_required() {
    let pki = Pki::new();
    let broker = start(&pki, |config| config.tls.verify = Verify::Required).await;
    let address = broker.amqps_addrs()[0];
    let expired = pki.issue(&[], |params| {
        params.distinguished_name = name("late");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let good = pki.client("alice");
    let foreign = Pki::new().client("alice");
    for versions in [&[&TLS12][..], &[&TLS13]] {
        for (what, identity, is_let_in) in [
            ("a good one", Some(&good), true),
            ("none", None, false),
            ("one of another issuer", Some(&foreign), false),
            ("one that has run out", Some(&expired), false),
        ] {
            let result = handshake(&pki, address, "localhost", identity, versions).await;
            assert_eq!(result.is_ok(), is_let_in, "{what}: {result:?}");
        }
    }
    assert_eq!(broker.connection_count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_versions_are_refused() {
    let pki = Pki::new();
    let broker = start(&pki, |config| config.tls.min_version = TlsVersion::V1_3).await;
    let address = broker.amqps_addrs()[0];
    assert!(handshake(&pki, address, "localhost", None, &[&TLS13]).await.is_ok());
    assert!(handshake(&pki, address, "localhost", None, &[&TLS12]).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_has_other_certificates_for_other_names() {
    let pki = Pki::new();
    for (file, names) in [("a", &["a.example"][..]), ("b", &["*.b.example"])] {
        let identity = pki.issue(names, |params| params.distinguished_name = name(file));
        std::fs::write(pki.path(&format!("{file}.pem")), identity.cert).unwrap();
        std::fs::write(pki.path(&format!("{file}.key")), identity.key).unwrap();
    }
    let pair = |name: &str, file: &str| NamedPair {
        name: name.to_owned(),
        cert: pki.path(&format!("{file}.pem")),
        key: pki.path(&format!("{file}.key")),
    };
    let names = vec![pair("a.example", "a"), pair("*.b.example", "b")];
    let broker = start(&pki, |config| config.tls.names = names).await;
    let address = broker.amqps_addrs()[0];
    // The client itself checks that the certificate is one for the name.
    for server in ["localhost", "a.example", "x.b.example"] {
        let stream = handshake(&pki, address, server, None, ALL_VERSIONS).await;
        assert!(stream.is_ok(), "{server}: {stream:?}");
    }
    assert!(handshake(&pki, address, "c.example", None, ALL_VERSIONS).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_certificates_are_for_new_connections_and_broken_ones_for_nobody() {
    let pki = Pki::new();
    let broker = start(&pki, |_| {}).await;
    let address = broker.amqps_addrs()[0];
    let old = connect(&pki, &broker, None, guest()).await.unwrap();
    let first = certificate(&handshake(&pki, address, "localhost", None, ALL_VERSIONS).await.unwrap());

    pki.write_server("cert.pem", "key.pem", |params| params.distinguished_name = name("second"));
    broker.reload_certificates();
    let second = certificate(&handshake(&pki, address, "localhost", None, ALL_VERSIONS).await.unwrap());
    assert_ne!(first, second);

    std::fs::write(pki.path("key.pem"), "no key at all").unwrap();
    broker.reload_certificates();
    let third = certificate(&handshake(&pki, address, "localhost", None, ALL_VERSIONS).await.unwrap());
    assert_eq!(second, third);
    let channel = within("channel.open-ok", old.open_channel(None)).await;
    // One that is dropped closes itself some time, which this client's connection does not wait for.
    channel.expect("the first connection lives on").close().await.unwrap();
    old.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_change_are_noticed() {
    let pki = Pki::new();
    let broker = start(&pki, |_| {}).await;
    let address = broker.amqps_addrs()[0];
    let first = certificate(&handshake(&pki, address, "localhost", None, ALL_VERSIONS).await.unwrap());
    pki.write_server("cert.pem", "key.pem", |params| params.distinguished_name = name("another"));
    within_secs(30, "another certificate", async {
        while certificate(&handshake(&pki, address, "localhost", None, ALL_VERSIONS).await.unwrap()) == first
        {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
}
