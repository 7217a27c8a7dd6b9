//! What clients do, at random.

use super::{
    channel::{Channel, Command, Mode, Opened, Verdict, What},
    client::Client,
    model::{CHANGING, DELAYING, EXCHANGES, KEYS, Model, PATTERNS, STANDING, arguments, is_durable},
    random::Random,
    wire::{self, Letter},
};
use crate::amqp::{AMQPValue, ChannelId};

/// Channels of a client.
const CHANNELS: u64 = 3;
/// Commands that the session has not used up before a client waits.
const BACKLOG_MAX: usize = 12;

/// A client does one more thing.
pub fn act(client: &mut Client, model: &Model, random: &mut Random, next_id: &mut u64) {
    if BACKLOG_MAX < client.backlog() {
        return;
    }
    let id = 1 + random.below(CHANNELS) as ChannelId;
    match client.channels.get(&id).map(|channel| channel.state) {
        None | Some(Opened::Closed) => open(client, id, random),
        Some(Opened::Closing) => {}
        Some(Opened::Opening | Opened::Open) => match random.below(100) {
            0..=44 => publish(client, id, random, next_id),
            45..=69 => settle(client, id, random),
            70..=77 => consume(client, id, random),
            78..=85 => get(client, id, random),
            86..=91 => end_transaction(client, id, random),
            92..=98 => define(client, model, id, random),
            _ => close(client, id),
        },
    }
}

fn ask(client: &mut Client, id: ChannelId, what: What, command: Command, octets: Vec<u8>) {
    if let Some(channel) = client.channels.get_mut(&id) {
        channel.expect(what);
    }
    client.send(command, octets);
}

fn open(client: &mut Client, id: ChannelId, random: &mut Random) {
    let mode = *random.pick(&[Mode::Plain, Mode::Confirm, Mode::Confirm, Mode::Transaction]);
    client.channels.insert(id, Channel::new(mode));
    ask(client, id, What::Open, Command::Open(id), wire::open(id));
    match mode {
        Mode::Plain => {}
        Mode::Confirm => ask(client, id, What::Reply, Command::Ask(id), wire::confirm_select(id)),
        Mode::Transaction => ask(client, id, What::Reply, Command::Ask(id), wire::tx_select(id)),
    }
    let prefetch = *random.pick(&[0, 1, 3, 20]);
    ask(client, id, What::Reply, Command::Ask(id), wire::qos(id, prefetch));
}

/// Nothing may cross the close, so that what it meets is known.
fn close(client: &mut Client, id: ChannelId) {
    if client.backlog() != 0 || client.channels.get(&id).is_none_or(|channel| channel.dead) {
        return;
    }
    ask(client, id, What::Close, Command::Close(id), wire::close(id));
    if let Some(channel) = client.channels.get_mut(&id) {
        channel.state = Opened::Closing;
    }
}

fn publish(client: &mut Client, id: ChannelId, random: &mut Random, next_id: &mut u64) {
    let Some(mode) = client.channels.get(&id).map(|channel| channel.mode) else { return };
    for _ in 0..1 + random.below(6) * random.below(2) {
        let (exchange, key) = match random.below(9) {
            0..=3 => (random.pick(EXCHANGES).0, *random.pick(KEYS)),
            4 => ("", *random.pick(CHANGING)),
            5 => (DELAYING, ""),
            _ => ("", *random.pick(STANDING)),
        };
        // Only a confirm tells whether it was refused; and nobody but the broker writes dead letters.
        if key.starts_with("dead.") || key == "refusing" && mode != Mode::Confirm {
            continue;
        }
        *next_id += 1;
        let letter = Letter::new(*next_id);
        let (exchange, key) = (exchange.to_owned(), key.to_owned());
        let octets = wire::publish(id, &exchange, &key, &letter);
        client.send(Command::Publish { channel: id, exchange, key, letter }, octets);
    }
}

fn settle(client: &mut Client, id: ChannelId, random: &mut Random) {
    let Some(channel) = client.channels.get_mut(&id) else { return };
    let tags: Vec<u64> = channel.held.keys().copied().collect();
    if tags.is_empty() || channel.is_rolling_back() {
        return;
    }
    let verdict = match random.below(10) {
        0..=5 => Verdict::Accept,
        6..=7 => Verdict::Requeue,
        _ => Verdict::Discard,
    };
    let at = random.index(tags.len());
    let (tag, multiple) = (tags[at], random.once_in(2));
    let tags = if multiple { &tags[..=at] } else { &tags[at..=at] };
    let deliveries = channel.settle(tags);
    let octets = match verdict {
        Verdict::Accept => wire::ack(id, tag, multiple),
        _ if !multiple && random.once_in(2) => wire::reject(id, tag, verdict == Verdict::Requeue),
        _ => wire::nack(id, tag, multiple, verdict == Verdict::Requeue),
    };
    client.send(Command::Settle { channel: id, deliveries, verdict }, octets);
}

fn any_queue(random: &mut Random) -> &'static str {
    let names = if random.once_in(2) { CHANGING } else { STANDING };
    names[random.index(names.len())]
}

fn consume(client: &mut Client, id: ChannelId, random: &mut Random) {
    if let Some(channel) = client.channels.get(&id)
        && 3 < channel.consumers.len()
    {
        return cancel(client, id, random);
    }
    let queue = any_queue(random);
    // One queue stays without consumers for long, so that its messages have to be moved.
    if queue == "long" && !random.once_in(8) {
        return;
    }
    client.next_tag += 1;
    let tag = format!("c{}", client.next_tag);
    let no_ack = queue == "noack" && random.once_in(2);
    let octets = wire::consume(id, queue, &tag, no_ack);
    let command = Command::Consume { channel: id, queue: queue.to_owned(), tag, no_ack };
    ask(client, id, What::Reply, command, octets);
}

fn cancel(client: &mut Client, id: ChannelId, random: &mut Random) {
    let Some(channel) = client.channels.get(&id) else { return };
    let tags: Vec<&String> =
        channel.consumers.keys().filter(|tag| !channel.cancelled.contains(*tag)).collect();
    if tags.is_empty() {
        return;
    }
    let tag = (*random.pick(&tags)).clone();
    if let Some(channel) = client.channels.get_mut(&id) {
        channel.cancelled.insert(tag.clone());
    }
    let octets = wire::cancel(id, &tag);
    ask(client, id, What::Reply, Command::Cancel { channel: id }, octets);
}

fn get(client: &mut Client, id: ChannelId, random: &mut Random) {
    let queue = any_queue(random).to_owned();
    let no_ack = random.once_in(3);
    let octets = wire::get(id, &queue, no_ack);
    let what = What::Get { name: queue.clone(), key: None, no_ack };
    ask(client, id, what, Command::Get { channel: id, queue }, octets);
}

fn end_transaction(client: &mut Client, id: ChannelId, random: &mut Random) {
    let Some(channel) = client.channels.get_mut(&id) else { return };
    if channel.mode != Mode::Transaction || channel.is_rolling_back() {
        return;
    }
    if random.once_in(4) {
        ask(client, id, What::Rollback, Command::Rollback(id), wire::tx_rollback(id));
    } else {
        ask(client, id, What::Reply, Command::Commit(id), wire::tx_commit(id));
    }
}

fn define(client: &mut Client, model: &Model, id: ChannelId, random: &mut Random) {
    let (exchange, kind, durable) = *random.pick(EXCHANGES);
    let queue = *random.pick(CHANGING);
    let key = (*random.pick(if exchange == "x.topic" { PATTERNS } else { KEYS })).to_owned();
    let (own, name) = (exchange.to_owned(), queue.to_owned());
    let (command, octets) = match random.below(20) {
        0 | 1 => {
            let octets = wire::declare_exchange(id, exchange, kind, durable, &[]);
            (Command::DeclareExchange { channel: id, exchange: own }, octets)
        }
        2 => (Command::DeleteExchange { channel: id, exchange: own }, wire::delete_exchange(id, exchange)),
        3 | 4 => return declare(client, id, queue),
        5 => (Command::DeleteQueue { channel: id, queue: name }, wire::delete_queue(id, queue)),
        6 => {
            let queue = any_queue(random);
            (Command::Purge { channel: id, queue: queue.to_owned() }, wire::purge(id, queue))
        }
        7 | 8 => {
            let octets = wire::unbind(id, exchange, queue, &key);
            (Command::Unbind { channel: id, exchange: own, queue: name, key }, octets)
        }
        _ if model.current(queue).is_none() => return declare(client, id, queue),
        _ if !model.has_exchange(exchange) => {
            let octets = wire::declare_exchange(id, exchange, kind, durable, &[]);
            (Command::DeclareExchange { channel: id, exchange: own }, octets)
        }
        _ => {
            let octets = wire::bind(id, exchange, queue, &key);
            (Command::Bind { channel: id, exchange: own, queue: name, key }, octets)
        }
    };
    ask(client, id, What::Reply, command, octets);
}

fn declare(client: &mut Client, id: ChannelId, queue: &str) {
    let octets = wire::declare_queue(id, queue, is_durable(queue), &arguments(queue));
    let command = Command::DeclareQueue { channel: id, queue: queue.to_owned() };
    ask(client, id, What::Reply, command, octets);
}

/// Declares everything that clients rely on.
pub fn set_up(client: &mut Client) {
    let id = 1;
    client.channels.insert(id, Channel::new(Mode::Plain));
    ask(client, id, What::Open, Command::Open(id), wire::open(id));
    let routing = AMQPValue::LongString(b"fanout".to_vec().into());
    let delaying = (DELAYING, "x-delayed-message", true, &[("x-delayed-type", routing)][..]);
    let plain = EXCHANGES.iter().map(|(exchange, kind, durable)| (*exchange, *kind, *durable, &[][..]));
    for (exchange, kind, durable, arguments) in plain.chain([delaying]) {
        let octets = wire::declare_exchange(id, exchange, kind, durable, arguments);
        let command = Command::DeclareExchange { channel: id, exchange: exchange.to_owned() };
        ask(client, id, What::Reply, command, octets);
    }
    for queue in STANDING.iter().chain(CHANGING) {
        declare(client, id, queue);
    }
    let (exchange, queue, key) = (DELAYING.to_owned(), "dead.wait".to_owned(), String::new());
    let octets = wire::bind(id, &exchange, &queue, &key);
    ask(client, id, What::Reply, Command::Bind { channel: id, exchange, queue, key }, octets);
}
