//! The client's side of the handshake, for scripts that are about something else.

use std::time::Duration;

use crate::{
    common::Address,
    wire::{End, Event, HEADER, Method, Peer, Table, Value, codec::Field},
};

/// What a client may choose. `login heartbeat=1 frame-max=4096 caps=none` sets some.
pub struct Login {
    mechanism: String,
    user: String,
    password: String,
    vhost: String,
    channel_max: u64,
    frame_max: u64,
    heartbeat: u64,
    capabilities: Vec<String>,
}

/// What RabbitMQ's own clients declare.
const CAPABILITIES: &str = "authentication_failure_close,consumer_cancel_notify,connection.blocked,\
    publisher_confirms,basic.nack,exchange_exchange_bindings";

impl Login {
    /// The usual choices, changed by `key=value` words.
    pub fn parse(settings: &str, address: &Address) -> Login {
        let mut login = Login {
            mechanism: "PLAIN".to_owned(),
            user: address.user.clone(),
            password: address.password.clone(),
            vhost: address.vhost.clone(),
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: 0,
            capabilities: CAPABILITIES.split(',').map(str::to_owned).collect(),
        };
        for word in settings.split_whitespace() {
            let (key, value) = word.split_once('=').expect("script error: login takes key=value");
            let number = || value.parse().expect("script error: a number");
            match key {
                "mechanism" => login.mechanism = value.to_owned(),
                "user" => login.user = value.to_owned(),
                "password" => login.password = value.to_owned(),
                "vhost" => login.vhost = value.to_owned(),
                "channel-max" => login.channel_max = number(),
                "frame-max" => login.frame_max = number(),
                "heartbeat" => login.heartbeat = number(),
                "caps" => login.capabilities = value.split(',').map(str::to_owned).collect(),
                _ => panic!("script error: login has no {key:?}"),
            }
        }
        login
    }

    /// Goes as far as the broker lets us. A surprise is left to be read as the next event.
    pub fn perform(&self, peer: &mut Peer) {
        peer.queue(HEADER);
        let start = |method: &Method| method.name == "connection.start";
        if !answered(peer, start) {
            return;
        }
        peer.queue_method(0, &self.start_ok());
        if !answered(peer, |method| method.name == "connection.tune") {
            return;
        }
        let numbers = [self.channel_max, self.frame_max, self.heartbeat].map(Field::Number);
        peer.queue_method(0, &Method { name: "connection.tune-ok", fields: numbers.to_vec() });
        let vhost = Field::Text(self.vhost.clone().into_bytes());
        let open = vec![vhost, Field::Text(Vec::new()), Field::Bit(false)];
        peer.queue_method(0, &Method { name: "connection.open", fields: open });
        // As the broker would: 0 is its own maximum, and the tests need a number to split bodies at.
        peer.frame_max = if self.frame_max == 0 { 131_072 } else { self.frame_max as usize };
        answered(peer, |method| method.name == "connection.open-ok");
    }

    fn start_ok(&self) -> Method {
        let capabilities: Table =
            self.capabilities.iter().map(|name| (name.clone().into_bytes(), Value::Bool(1))).collect();
        let properties = vec![(b"capabilities".to_vec(), Value::Table(capabilities))];
        let response = match self.mechanism.as_str() {
            "AMQPLAIN" => crate::wire::value::encode_table(&vec![
                (b"LOGIN".to_vec(), Value::Str(self.user.clone().into_bytes())),
                (b"PASSWORD".to_vec(), Value::Str(self.password.clone().into_bytes())),
            ]),
            _ => format!("\0{}\0{}", self.user, self.password).into_bytes(),
        };
        let fields = vec![
            Field::Table(properties),
            Field::Text(self.mechanism.clone().into_bytes()),
            Field::Text(response),
            Field::Text(b"en_US".to_vec()),
        ];
        Method { name: "connection.start-ok", fields }
    }
}

/// Whether the next event is the wanted method; if not it stays to be read.
fn answered(peer: &mut Peer, wanted: impl Fn(&Method) -> bool) -> bool {
    loop {
        match peer.next(Duration::from_secs(15)) {
            Event::Heartbeat => {}
            Event::Method(0, method, None) if wanted(&method) => return true,
            Event::End(End::Timeout) => panic!("the broker does not answer the handshake"),
            surprise => {
                peer.unread(surprise);
                return false;
            }
        }
    }
}
