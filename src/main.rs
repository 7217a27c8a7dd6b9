//! The `leveret` binary.

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    let b = leveret::Broker::builder()
        .configure(|c| c.amqp.listen = vec!["127.0.0.1:5672".parse().unwrap()])
        .start()
        .await
        .unwrap();
    println!("Server startup complete {}", b.uri());
    tokio::signal::ctrl_c().await.unwrap();
    b.shutdown().await;
}
