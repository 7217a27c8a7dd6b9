//! The methods of AMQP 0-9-1 as RabbitMQ speaks it, as data.

/// One method: `(class id, method id, name, arguments)`. Arguments are `name:type` in wire order;
/// types are `o` octet, `s` short, `l` long, `L` longlong, `S` short string, `X` long string,
/// `F` table, `b` bit.
pub type Definition = (u16, u16, &'static str, &'static str);

/// Every method, both directions.
pub const METHODS: &[Definition] = &[
    (10, 10, "connection.start", "major:o minor:o server-properties:F mechanisms:X locales:X"),
    (10, 11, "connection.start-ok", "client-properties:F mechanism:S response:X locale:S"),
    (10, 20, "connection.secure", "challenge:X"),
    (10, 21, "connection.secure-ok", "response:X"),
    (10, 30, "connection.tune", "channel-max:s frame-max:l heartbeat:s"),
    (10, 31, "connection.tune-ok", "channel-max:s frame-max:l heartbeat:s"),
    (10, 40, "connection.open", "vhost:S capabilities:S insist:b"),
    (10, 41, "connection.open-ok", "known-hosts:S"),
    (10, 50, "connection.close", "code:s text:S class:s method:s"),
    (10, 51, "connection.close-ok", ""),
    (10, 60, "connection.blocked", "reason:S"),
    (10, 61, "connection.unblocked", ""),
    (10, 70, "connection.update-secret", "new-secret:X reason:S"),
    (10, 71, "connection.update-secret-ok", ""),
    (20, 10, "channel.open", "out-of-band:S"),
    (20, 11, "channel.open-ok", "channel-id:X"),
    (20, 20, "channel.flow", "active:b"),
    (20, 21, "channel.flow-ok", "active:b"),
    (20, 40, "channel.close", "code:s text:S class:s method:s"),
    (20, 41, "channel.close-ok", ""),
    (30, 10, "access.request", "realm:S exclusive:b passive:b active:b write:b read:b"),
    (30, 11, "access.request-ok", "ticket:s"),
    (
        40,
        10,
        "exchange.declare",
        "ticket:s exchange:S type:S passive:b durable:b auto-delete:b internal:b nowait:b arguments:F",
    ),
    (40, 11, "exchange.declare-ok", ""),
    (40, 20, "exchange.delete", "ticket:s exchange:S if-unused:b nowait:b"),
    (40, 21, "exchange.delete-ok", ""),
    (40, 30, "exchange.bind", "ticket:s destination:S source:S key:S nowait:b arguments:F"),
    (40, 31, "exchange.bind-ok", ""),
    (40, 40, "exchange.unbind", "ticket:s destination:S source:S key:S nowait:b arguments:F"),
    // 51, not 41: the published XML and the wire of every broker disagree.
    (40, 51, "exchange.unbind-ok", ""),
    (
        50,
        10,
        "queue.declare",
        "ticket:s queue:S passive:b durable:b exclusive:b auto-delete:b nowait:b arguments:F",
    ),
    (50, 11, "queue.declare-ok", "queue:S messages:l consumers:l"),
    (50, 20, "queue.bind", "ticket:s queue:S exchange:S key:S nowait:b arguments:F"),
    (50, 21, "queue.bind-ok", ""),
    (50, 30, "queue.purge", "ticket:s queue:S nowait:b"),
    (50, 31, "queue.purge-ok", "messages:l"),
    (50, 40, "queue.delete", "ticket:s queue:S if-unused:b if-empty:b nowait:b"),
    (50, 41, "queue.delete-ok", "messages:l"),
    (50, 50, "queue.unbind", "ticket:s queue:S exchange:S key:S arguments:F"),
    (50, 51, "queue.unbind-ok", ""),
    (60, 10, "basic.qos", "prefetch-size:l prefetch-count:s global:b"),
    (60, 11, "basic.qos-ok", ""),
    (60, 20, "basic.consume", "ticket:s queue:S tag:S no-local:b no-ack:b exclusive:b nowait:b arguments:F"),
    (60, 21, "basic.consume-ok", "tag:S"),
    (60, 30, "basic.cancel", "tag:S nowait:b"),
    (60, 31, "basic.cancel-ok", "tag:S"),
    (60, 40, "basic.publish", "ticket:s exchange:S key:S mandatory:b immediate:b"),
    (60, 50, "basic.return", "code:s text:S exchange:S key:S"),
    (60, 60, "basic.deliver", "ctag:S tag:L redelivered:b exchange:S key:S"),
    (60, 70, "basic.get", "ticket:s queue:S no-ack:b"),
    (60, 71, "basic.get-ok", "tag:L redelivered:b exchange:S key:S messages:l"),
    (60, 72, "basic.get-empty", "cluster-id:S"),
    (60, 80, "basic.ack", "tag:L multiple:b"),
    (60, 90, "basic.reject", "tag:L requeue:b"),
    (60, 100, "basic.recover-async", "requeue:b"),
    (60, 110, "basic.recover", "requeue:b"),
    (60, 111, "basic.recover-ok", ""),
    (60, 120, "basic.nack", "tag:L multiple:b requeue:b"),
    (85, 10, "confirm.select", "nowait:b"),
    (85, 11, "confirm.select-ok", ""),
    (90, 10, "tx.select", ""),
    (90, 11, "tx.select-ok", ""),
    (90, 20, "tx.commit", ""),
    (90, 21, "tx.commit-ok", ""),
    (90, 30, "tx.rollback", ""),
    (90, 31, "tx.rollback-ok", ""),
];

/// Content properties, highest flag bit first, with their types.
pub const PROPERTIES: &[(&str, char)] = &[
    ("content-type", 'S'),
    ("content-encoding", 'S'),
    ("headers", 'F'),
    ("delivery-mode", 'o'),
    ("priority", 'o'),
    ("correlation-id", 'S'),
    ("reply-to", 'S'),
    ("expiration", 'S'),
    ("message-id", 'S'),
    ("timestamp", 'L'),
    ("type", 'S'),
    ("user-id", 'S'),
    ("app-id", 'S'),
    ("cluster-id", 'S'),
];

/// The definition of a method by name.
pub fn by_name(name: &str) -> Option<&'static Definition> {
    METHODS.iter().find(|(_, _, candidate, _)| *candidate == name)
}

/// The definition of a method by its ids.
pub fn by_ids(class: u16, method: u16) -> Option<&'static Definition> {
    METHODS.iter().find(|(c, m, _, _)| (*c, *m) == (class, method))
}

/// The arguments of a definition: name and type.
pub fn arguments(definition: &Definition) -> impl Iterator<Item = (&'static str, char)> {
    definition.3.split_whitespace().map(|field| {
        let (name, kind) = field.split_once(':').expect("a definition has name:type");
        (name, kind.chars().next().expect("a type is one letter"))
    })
}

/// Whether the method is followed by a content.
pub fn has_content(name: &str) -> bool {
    matches!(name, "basic.publish" | "basic.return" | "basic.deliver" | "basic.get-ok")
}
