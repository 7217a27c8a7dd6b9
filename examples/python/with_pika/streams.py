"""Streams: a log that is read from any place, as often as one likes, by consumers that remember how far they were."""

import os

import pika

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")
STREAM = f"example.stream.{os.getpid()}"


def read(channel, count, **arguments):
    """Reads so many messages from a place; consumers of streams need a prefetch and acknowledge."""
    seen = []
    channel.basic_qos(prefetch_count=100)
    for method, properties, body in channel.consume(STREAM, arguments=arguments):
        seen.append(f"{properties.headers['x-stream-offset']}:{body.decode()}")
        # Gives room for one more, and moves what is stored under the consumer's name.
        channel.basic_ack(method.delivery_tag)
        if len(seen) == count:
            break
    channel.cancel()
    return " ".join(seen)


def main():
    with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare(STREAM, durable=True, arguments={
            "x-queue-type": "stream",
            "x-max-age": "7D",
            "x-max-length-bytes": 20_000_000_000,
        })

        for number, city in enumerate(["Rome", "Oslo", "Rome", "Lima", "Oslo"]):
            headers = {"x-stream-filter-value": city}
            channel.basic_publish("", STREAM, f"{city}-{number}", pika.BasicProperties(headers=headers))

        first, third = {"x-stream-offset": "first"}, {"x-stream-offset": 3}
        print("from the beginning:  ", read(channel, 5, **first))
        print("once more, from 3:   ", read(channel, 2, **third))
        print("only what is of Rome:", read(channel, 2, **first, **{"x-stream-filter": "Rome"}))

        # A name goes on where it was, also after a restart of the broker.
        named = {"x-stream-offset-name": "reports", "x-stream-offset": "stored"}
        print("by name, two:        ", read(channel, 2, **named))
        print("by name, the rest:   ", read(channel, 3, **named))
        channel.queue_delete(STREAM)


if __name__ == "__main__":
    main()
