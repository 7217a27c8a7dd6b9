//! `rabbitmqadmin` over TLS: options of both versions, and of their files.

use std::fs;

use crate::{
    pki::{Pki, name},
    place::Place,
};

/// A broker whose management interface speaks TLS, too, and that interface's port.
fn start(pki: &Pki, settings: &[&str]) -> (Place, u64) {
    let mut place = Place::empty();
    let pem = |key: &str, file: &str| format!("{key}={}", pki.path(file).display());
    let (cert, key, ca) = (pem("tls.cert", "cert.pem"), pem("tls.key", "key.pem"), pem("tls.ca", "ca.pem"));
    let mut arguments = vec!["--set", &cert, "--set", &key, "--set", &ca];
    arguments.extend(["--set", "tls.amqp_listen=none", "--set", "tls.management_listen=127.0.0.1:0"]);
    arguments.extend(settings);
    place.launch(&arguments);
    let ports: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(place.path("ports")).unwrap()).unwrap();
    let port = ports["management_tls_port"].as_u64().unwrap();
    (place, port)
}

const VHOSTS: &str = "list vhosts name";

#[test]
fn the_brokers_certificate_is_checked_as_far_as_asked_for() {
    let pki = Pki::new();
    let (place, port) = start(&pki, &[]);
    let ca = pki.path("ca.pem").display().to_string();
    let run = |options: &str| place.run(&format!("rabbitmqadmin -P {port} -f bash {options} {VHOSTS}"));
    for fine in [
        format!("--ssl --ssl-ca-cert-file {ca}"),
        format!("--use-tls --tls-ca-cert-file {ca}"),
        format!("--tls --tls-ca-cert-file={ca} -H localhost"),
        "-s -k".to_owned(),
        "--use-tls --insecure".to_owned(),
        format!("-U https://localhost:{port} --ssl-ca-cert-file {ca}"),
        format!("-H 127.0.0.1 -s --ssl-disable-hostname-verification --ssl-ca-cert-file {ca}"),
    ] {
        assert_eq!(run(&fine).fine(), "/\n", "{fine}");
    }
    for (wrong, why) in [
        ("--ssl".to_owned(), "UnknownIssuer"),
        ("--ssl --ssl-disable-hostname-verification".to_owned(), "UnknownIssuer"),
        (format!("-H 127.0.0.1 --ssl --ssl-ca-cert-file {ca}"), "not valid for name"),
        ("--ssl --ssl-ca-cert-file nowhere".to_owned(), "cannot read the file nowhere"),
        (format!("--ssl --ssl-ca-cert-file {ca} --ssl-key-file k"), "a key without its certificate"),
    ] {
        let called = run(&wrong);
        assert_eq!(called.code, Some(1), "{wrong}: {called:?}");
        assert!(called.err.contains(why), "{wrong}: {called:?}");
    }
    // Sections of a file, as either version has them.
    let old = format!("[default]\nport = {port}\nssl = True\nssl_ca_cert_file = {ca}\n");
    let new = format!("[default]\nport = {port}\ntls = true\nca_certificate_bundle_path = \"{ca}\"\n");
    for file in [old, new] {
        fs::write(place.path("admin.conf"), &file).unwrap();
        assert_eq!(
            place.run(&format!("rabbitmqadmin -c admin.conf -f bash {VHOSTS}")).fine(),
            "/\n",
            "{file}"
        );
    }
}

#[test]
fn a_certificate_of_ones_own() {
    let pki = Pki::new();
    let (place, port) = start(&pki, &["--set", "tls.management_verify=required"]);
    let client = pki.issue(&[], |params| params.distinguished_name = name("admin"));
    fs::write(place.path("client.pem"), &client.cert).unwrap();
    fs::write(place.path("client.key"), &client.key).unwrap();
    fs::write(place.path("both.pem"), client.cert + &client.key).unwrap();
    let trust = format!("-P {port} -f bash --ssl --ssl-ca-cert-file {}", pki.path("ca.pem").display());
    for own in [
        "--ssl-cert-file client.pem --ssl-key-file client.key",
        "--tls-cert-file client.pem --tls-key-file client.key",
        "--ssl-cert-file both.pem",
    ] {
        assert_eq!(place.run(&format!("rabbitmqadmin {trust} {own} {VHOSTS}")).fine(), "/\n", "{own}");
    }
    assert_eq!(place.run(&format!("rabbitmqadmin {trust} {VHOSTS}")).code, Some(1));
}
