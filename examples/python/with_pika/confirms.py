"""Publisher confirms: knowing that the broker has taken a message, could not route it, or refused it."""

import os

import pika
from pika.exceptions import NackError, UnroutableError

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")


def main():
    with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
        channel = connection.channel()
        # From here on 'basic_publish' waits for the broker's answer to each message.
        channel.confirm_delivery()

        # A queue for two messages that refuses more, instead of dropping the oldest.
        queue = channel.queue_declare("", exclusive=True, arguments={
            "x-max-length": 2, "x-overflow": "reject-publish"}).method.queue

        for text in ("first", "second", "third"):
            try:
                channel.basic_publish("", queue, text)
                print(f"{text}: confirmed")
            except NackError:
                print(f"{text}: refused, the queue is full")

        # 'mandatory' asks for messages back that no queue would get.
        try:
            channel.basic_publish("", queue + ".misspelt", "fourth", mandatory=True)
        except UnroutableError as error:
            print(f"fourth: returned, {error.messages[0].method.reply_text}")


if __name__ == "__main__":
    main()
