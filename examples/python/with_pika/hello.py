"""The smallest exchange of a message: into a queue by its name, and out again."""

import os

import pika

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")

with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
    channel = connection.channel()

    # An empty name lets the broker choose one; 'exclusive' removes the queue with this connection.
    queue = channel.queue_declare("", exclusive=True).method.queue

    # The default exchange, '', takes the routing key for a queue's name.
    channel.basic_publish(exchange="", routing_key=queue, body=b"Hello, hare!")

    for method, properties, body in channel.consume(queue, auto_ack=True):
        print("received:", body.decode())
        break
