"""Request and reply by direct reply-to: answers come straight to the asking channel, without a queue.

The client consumes from the pseudo-queue 'amq.rabbitmq.reply-to' and names it as reply-to in its
requests; the broker replaces that by an address that leads back to this channel alone.
"""

import os
import threading

import pika

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")
QUEUE = f"example.squares.{os.getpid()}"
REPLY_TO = "amq.rabbitmq.reply-to"
COUNT = 5


def serve(ready):
    """Answers COUNT requests."""
    with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE, auto_delete=True)
        ready.set()
        for number, (method, properties, body) in enumerate(channel.consume(QUEUE), start=1):
            # The correlation id goes back unchanged: it tells the client which answer this is.
            channel.basic_publish("", properties.reply_to, str(int(body) ** 2),
                                  pika.BasicProperties(correlation_id=properties.correlation_id))
            channel.basic_ack(method.delivery_tag)
            if number == COUNT:
                break
        channel.cancel()


def ask():
    with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
        channel = connection.channel()
        answers = {}

        def on_reply(_channel, _method, properties, body):
            answers[properties.correlation_id] = int(body)

        # Consume first, without acknowledgements, and then publish on the very same channel.
        channel.basic_consume(REPLY_TO, on_reply, auto_ack=True)
        for number in range(COUNT):
            channel.basic_publish("", QUEUE, str(number),
                                  pika.BasicProperties(reply_to=REPLY_TO, correlation_id=str(number)))
        while len(answers) < COUNT:
            connection.process_data_events(time_limit=1)
        for number in range(COUNT):
            print(f"{number} squared is {answers[str(number)]}")


def main():
    ready = threading.Event()
    server = threading.Thread(target=serve, args=(ready,))
    server.start()
    ready.wait()
    ask()
    server.join()


if __name__ == "__main__":
    main()
