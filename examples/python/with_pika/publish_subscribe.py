"""Publish and subscribe: a fanout exchange copies each message into every queue bound to it."""

import os

import pika

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")
EXCHANGE = f"example.news.{os.getpid()}"


def subscribe(connection):
    """A subscriber's own queue. What was published before it was bound is not for it."""
    channel = connection.channel()
    channel.exchange_declare(EXCHANGE, "fanout", auto_delete=True)
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, EXCHANGE)
    return channel, queue


def read(name, channel, queue, count):
    for number, (_method, _properties, body) in enumerate(channel.consume(queue, auto_ack=True), start=1):
        print(f"{name}: {body.decode()}")
        if number == count:
            break
    channel.cancel()


def main():
    with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
        anna, boris = subscribe(connection), subscribe(connection)

        # The publisher names the exchange only: it need not know who listens.
        publisher = connection.channel()
        for text in ("spring is here", "the clover is up"):
            publisher.basic_publish(EXCHANGE, "", text)

        read("Anna", *anna, count=2)
        read("Boris", *boris, count=2)


if __name__ == "__main__":
    main()
