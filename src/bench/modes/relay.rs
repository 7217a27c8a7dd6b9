//! Relay mode: what merely moving the bytes costs, as the lower bound for any broker.
//!
//! Connections say with their first byte whether they are a producer or a consumer; the n-th producer
//! is joined to the n-th consumer, and bytes go both ways unchanged.

use std::{
    collections::VecDeque,
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
};

use crate::bench::{
    client::connection::Role,
    error::{BenchError, Result},
    options::Options,
};

const BLOCK: usize = 256 * 1024;

/// Serves until the process is ended.
pub fn run(options: &Options) -> Result<()> {
    let listener = TcpListener::bind(options.listen)?;
    let address = listener.local_addr()?;
    if let Some(file) = &options.port_file {
        fs::write(file, address.to_string())?;
    }
    println!("relay://{address}");
    let (mut producers, mut consumers) = (VecDeque::new(), VecDeque::new());
    loop {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut marker = [0];
        if stream.read_exact(&mut marker).is_err() {
            continue;
        }
        match marker[0] {
            byte if byte == Role::Producer.marker() => producers.push_back(stream),
            byte if byte == Role::Consumer.marker() => consumers.push_back(stream),
            byte => return Err(BenchError::Unexpected(format!("role {byte:#x}"))),
        }
        if !producers.is_empty() && !consumers.is_empty() {
            let pair = producers.pop_front().zip(consumers.pop_front()).expect("both have one");
            join(pair.0, pair.1)?;
        }
    }
}

/// Copies both ways, a thread each, until both ends are done.
fn join(producer: TcpStream, consumer: TcpStream) -> Result<()> {
    let (from_producer, to_consumer) = (producer.try_clone()?, consumer.try_clone()?);
    thread::spawn(move || copy(from_producer, to_consumer));
    thread::spawn(move || copy(consumer, producer));
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut block = vec![0; BLOCK];
    loop {
        match from.read(&mut block) {
            Ok(count @ 1..) if to.write_all(&block[..count]).is_ok() => {}
            // An end or a failure: the other side sees the end, which is all a relay can say.
            _ => break,
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_ends_pass_both_ways() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || {
            let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (near, listener.accept().unwrap().0)
        };
        let ((mut producer, left), (mut consumer, right)) = (connect(), connect());
        join(left, right).unwrap();
        producer.write_all(b"request").unwrap();
        producer.shutdown(Shutdown::Write).unwrap();
        consumer.write_all(b"reply").unwrap();
        consumer.shutdown(Shutdown::Write).unwrap();
        let (mut forth, mut back) = (Vec::new(), Vec::new());
        consumer.read_to_end(&mut forth).unwrap();
        producer.read_to_end(&mut back).unwrap();
        assert_eq!((forth.as_slice(), back.as_slice()), (b"request".as_slice(), b"reply".as_slice()));
    }
}
