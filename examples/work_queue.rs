//! A work queue: two workers share the jobs, the faster one does more, and no job is lost.
//!
//! `cargo run --example work_queue`, with a broker at `AMQP_URL` or on this machine.

use std::time::Duration;

use futures_lite::StreamExt;
use lapin::{BasicProperties, Connection, ConnectionProperties, options::*, types::FieldTable};

const QUEUE: &str = "example.jobs";
const JOBS: u32 = 20;

#[tokio::main]
async fn main() -> lapin::Result<()> {
    let url =
        std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@localhost:5672/%2f".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    // Durable queue and persistent messages (delivery mode 2): jobs survive a restart of the broker.
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(QUEUE.into(), durable, FieldTable::default()).await?;
    let persistent = BasicProperties::default().with_delivery_mode(2);
    for number in 1..=JOBS {
        let (options, job) = (BasicPublishOptions::default(), format!("job {number}"));
        channel.basic_publish("".into(), QUEUE.into(), options, job.as_bytes(), persistent.clone()).await?;
    }

    let (done, mut finished) = tokio::sync::mpsc::channel(1);
    let mut workers = tokio::task::JoinSet::new();
    for (name, pace) in [("hare", Duration::from_millis(5)), ("tortoise", Duration::from_millis(20))] {
        let channel = connection.create_channel().await?;
        let done = done.clone();
        workers.spawn(work(channel, name, pace, done));
    }
    for _ in 0..JOBS {
        let report: String = finished.recv().await.expect("the workers are alive");
        println!("{report}");
    }
    // The workers end when their queue is gone.
    channel.queue_delete(QUEUE.into(), QueueDeleteOptions::default()).await?;
    while let Some(worker) = workers.join_next().await {
        worker.expect("no worker panics")?;
    }
    connection.close(200, "done".into()).await
}

/// Takes one job at a time and acknowledges it only when it is done.
async fn work(
    channel: lapin::Channel,
    name: &'static str,
    pace: Duration,
    done: tokio::sync::mpsc::Sender<String>,
) -> lapin::Result<()> {
    // Prefetch 1: the next job goes to whoever is free, instead of piling up here.
    channel.basic_qos(1, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let mut jobs = channel.basic_consume(QUEUE.into(), name.into(), options, FieldTable::default()).await?;
    while let Some(job) = jobs.next().await.transpose()? {
        tokio::time::sleep(pace).await;
        let again = if job.redelivered { " (somebody else had begun it)" } else { "" };
        let report = format!("{name} did {}{again}", String::from_utf8_lossy(&job.data));
        // Without this, the broker would hand the job to another worker once this one is gone.
        job.ack(BasicAckOptions::default()).await?;
        done.send(report).await.expect("main waits for every report");
    }
    // Dropping it would close it, too, but perhaps only while the connection is being closed.
    channel.close(200, "done".into()).await
}
