//! Real Rust clients (lapin, amqprs) and a raw one against a broker: every pattern users rely on.
//!
//! Each test is named after the reference line it proves. By default every test starts a broker in this
//! process; `LEVERET_TEST_URI` points all of them at a running one instead (see `common/fixture.rs`).

#[path = "../common/fixture.rs"]
mod fixture;
#[path = "../common/pki.rs"]
mod pki;
mod raw;
mod support;

mod acknowledgements;
mod alarms;
mod amqprs_client;
mod confirms;
mod connections;
mod consumers;
mod dead_letters;
mod deduplication;
mod delayed;
mod exchanges;
mod headers_exchange;
mod load;
mod more_exchanges;
mod prefetch;
mod properties;
mod publishing;
mod queue_errors;
mod queues;
mod quorum;
mod reply_to;
mod storage;
mod streams;
mod super_streams;
mod tls;
mod tx;
