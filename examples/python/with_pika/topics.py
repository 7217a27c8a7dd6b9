"""Topic routing: keys are words between dots; '*' in a binding stands for one word, '#' for any number."""

import os

import pika

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")
EXCHANGE = f"example.logs.{os.getpid()}"
KEYS = ["kitchen.oven.error", "kitchen.lamp.info", "garden.pump.error", "garden"]
PATTERNS = {"kitchen.#": 2, "*.*.error": 2, "garden.#": 2, "#": 4}


def main():
    with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
        channel = connection.channel()
        channel.exchange_declare(EXCHANGE, "topic", auto_delete=True)

        queues = {}
        for pattern in PATTERNS:
            queues[pattern] = channel.queue_declare("", exclusive=True).method.queue
            channel.queue_bind(queues[pattern], EXCHANGE, pattern)

        for key in KEYS:
            channel.basic_publish(EXCHANGE, key, b"something happened")

        for pattern, expected in PATTERNS.items():
            seen = []
            for method, _properties, _body in channel.consume(queues[pattern], auto_ack=True):
                seen.append(method.routing_key)
                if len(seen) == expected:
                    break
            channel.cancel()
            print(f"{pattern:<10} gets {', '.join(seen)}")


if __name__ == "__main__":
    main()
