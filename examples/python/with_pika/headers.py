"""Headers routing: bindings compare header values; 'x-match' says whether all or any must agree."""

import os

import pika

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")
EXCHANGE = f"example.documents.{os.getpid()}"
BINDINGS = {
    "colour and A4": {"x-match": "all", "colour": True, "format": "A4"},
    "colour or A4": {"x-match": "any", "colour": True, "format": "A4"},
}
DOCUMENTS = {
    "poster": {"colour": True, "format": "A1"},
    "letter": {"colour": False, "format": "A4"},
    "photo": {"colour": True, "format": "A4", "pages": 1},
    "receipt": {"colour": False, "format": "A7"},
}


def main():
    with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
        channel = connection.channel()
        channel.exchange_declare(EXCHANGE, "headers", auto_delete=True)

        queues = {}
        for name, arguments in BINDINGS.items():
            queues[name] = channel.queue_declare("", exclusive=True).method.queue
            channel.queue_bind(queues[name], EXCHANGE, "", arguments)

        for document, headers in DOCUMENTS.items():
            # The routing key plays no part here.
            channel.basic_publish(EXCHANGE, "", document, pika.BasicProperties(headers=headers))

        for name, expected in (("colour and A4", 1), ("colour or A4", 3)):
            seen = []
            for _method, _properties, body in channel.consume(queues[name], auto_ack=True):
                seen.append(body.decode())
                if len(seen) == expected:
                    break
            channel.cancel()
            print(f"{name}: {', '.join(seen)}")


if __name__ == "__main__":
    main()
