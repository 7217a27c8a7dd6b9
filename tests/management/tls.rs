//! The management interface in TLS, and what it tells of the TLS of others.

use amqprs::{
    connection::{Connection, OpenConnectionArguments},
    security::SecurityCredentials,
    tls::TlsAdaptor,
};
use leveret::tls::Verify;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ALL_VERSIONS, SupportedProtocolVersion,
        pki_types::ServerName,
        version::{TLS12, TLS13},
    },
};

use crate::{
    http::{Reply, Target, exchange},
    pki::{Pki, name},
};

const REQUEST: &str = "GET /api/whoami HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
                       authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n";

async fn whoami(
    pki: &Pki,
    target: &Target,
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<Reply> {
    let address = target.broker.management_tls_addrs()[0];
    let connector = TlsConnector::from(pki.client_config(None, versions));
    let stream = TcpStream::connect(address).await?;
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    Ok(exchange(stream, REQUEST.as_bytes()).await)
}

#[tokio::test]
async fn requests_over_tls_are_answered() {
    let pki = Pki::new();
    let target = Target::configured(|config| {
        pki.configure(config);
        config.management.hsts = Some("max-age=60".to_owned());
    })
    .await;
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let reply = whoami(&pki, &target, versions).await.unwrap();
        let reply = reply.expect(200);
        assert_eq!(reply.json()["name"], "guest");
        assert_eq!(reply.header("strict-transport-security"), Some("max-age=60"));
    }
    let in_clear = target.get("whoami").await.expect(200);
    assert_eq!(in_clear.header("strict-transport-security"), None);
    // In clear, at that port: nothing of HTTP comes back.
    let mut stream = TcpStream::connect(target.broker.management_tls_addrs()[0]).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, REQUEST.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _reset_or_end = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await;
    assert!(answer.len() <= 7, "{answer:?}");
}

#[tokio::test]
async fn listeners_with_tls_are_listed() {
    let pki = Pki::new();
    let target = Target::configured(|config| pki.configure(config)).await;
    let overview = target.get("overview").await.expect(200).json();
    let listeners = overview["listeners"].as_array().unwrap();
    for (protocol, address) in [
        ("amqp", target.broker.amqp_addr()),
        ("amqp/ssl", target.broker.amqps_addrs()[0]),
        ("http", target.broker.management_addrs()[0]),
        ("https", target.broker.management_tls_addrs()[0]),
    ] {
        let listed = listeners.iter().find(|listener| listener["protocol"] == protocol);
        let listed = listed.unwrap_or_else(|| panic!("no {protocol} in {listeners:?}"));
        assert_eq!((&listed["port"], &listed["ip_address"]), (&json!(address.port()), &json!("127.0.0.1")));
        target.get(&format!("health/checks/port-listener/{}", address.port())).await.expect(200);
    }
    target.get("health/checks/protocol-listener/amqps").await.expect(200);
    target.get("health/checks/protocol-listener/https").await.expect(200);
    let contexts = overview["contexts"].as_array().unwrap();
    assert!(contexts[0]["ssl_opts"].as_array().unwrap().is_empty());
    assert!(contexts[1]["ssl_opts"][0]["certfile"].as_str().unwrap().ends_with("cert.pem"));
}

#[tokio::test]
async fn certificates_that_run_out_are_found() {
    let pki = Pki::new();
    let now = std::time::SystemTime::now();
    let in_ten_days = now + std::time::Duration::from_secs(10 * 86_400);
    pki.write_server("cert.pem", "key.pem", |params| params.not_after = in_ten_days.into());
    let target = Target::configured(|config| pki.configure(config)).await;
    let check =
        async |within: &str| target.get(&format!("health/checks/certificate-expiration/{within}")).await;
    for within in ["1/days", "9/days", "1/weeks"] {
        assert_eq!(check(within).await.expect(200).json()["status"], "ok");
    }
    for within in ["11/days", "2/weeks", "1/months", "1/years"] {
        let body = check(within).await.expect(503).json();
        assert_eq!((&body["status"], &body["reason"]), (&json!("failed"), &json!("Certificates expiring")));
        let expired = body["expired"].as_array().unwrap();
        assert_eq!(expired.len(), 2, "{body}");
        assert_eq!(expired[0]["protocol"], "amqp/ssl");
        assert!(expired[0]["certfile"][0].as_str().unwrap().ends_with("cert.pem"));
        assert_eq!(expired[0]["cacertfile"], json!([]));
    }
    for wrong in ["1/hours", "x/days", "-1/days"] {
        check(wrong).await.expect(400);
    }
    // What is loaded counts, not what was loaded once.
    pki.write_server("cert.pem", "key.pem", |params| params.distinguished_name = name("fresh"));
    target.broker.reload_certificates();
    check("11/days").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_in_tls_says_so() {
    let pki = Pki::new();
    let target = Target::configured(|config| {
        pki.configure(config);
        config.tls.verify = Verify::Optional;
    })
    .await;
    let identity = pki.client("alice");
    let connector = TlsConnector::from(pki.client_config(Some(&identity), ALL_VERSIONS));
    let port = target.broker.amqps_addrs()[0].port();
    let mut arguments = OpenConnectionArguments::new("127.0.0.1", port, "guest", "guest");
    arguments
        .credentials(SecurityCredentials::new_plain("guest", "guest"))
        .tls_adaptor(TlsAdaptor::new(connector, "localhost".to_owned()));
    let connection = Connection::open(&arguments).await.unwrap();
    let listed = target.get("connections").await.expect(200).json();
    let seen = &listed[0];
    for (field, value) in [
        ("ssl", json!(true)),
        ("ssl_protocol", json!("tlsv1.3")),
        ("ssl_hash", json!("aead")),
        ("ssl_key_exchange", json!("any")),
        ("peer_cert_subject", json!("CN=alice")),
        ("peer_cert_issuer", json!("CN=Test issuer")),
        ("port", json!(port)),
    ] {
        assert_eq!(seen[field], value, "{field}");
    }
    assert!(
        ["aes_128_gcm", "aes_256_gcm", "chacha20_poly1305"].contains(&seen["ssl_cipher"].as_str().unwrap())
    );
    assert!(seen["peer_cert_validity"].as_str().unwrap().contains("Z - "), "{seen}");
    connection.close().await.unwrap();
}
