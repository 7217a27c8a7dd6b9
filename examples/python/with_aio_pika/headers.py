"""Headers routing with asyncio: bindings compare header values, all of them or any of them."""

import asyncio
import os

import aio_pika

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")
DOCUMENTS = {
    "poster": {"colour": True, "format": "A1"},
    "letter": {"colour": False, "format": "A4"},
    "photo": {"colour": True, "format": "A4", "pages": 1},
    "receipt": {"colour": False, "format": "A7"},
}


async def main():
    async with await aio_pika.connect(URL) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(
            f"example.aio.documents.{os.getpid()}", aio_pika.ExchangeType.HEADERS, auto_delete=True)
        queues = {}
        for match in ("all", "any"):
            queues[match] = await channel.declare_queue(exclusive=True)
            await queues[match].bind(exchange, arguments={"x-match": match, "colour": True, "format": "A4"})

        for name, headers in DOCUMENTS.items():
            # Publishing waits for the broker's confirm, so what was routed is in its queue afterwards. A
            # document that fits no binding is dropped: with mandatory=True it would come back instead.
            await exchange.publish(aio_pika.Message(name.encode(), headers=headers), "", mandatory=False)

        for match, queue in queues.items():
            seen = []
            while message := await queue.get(no_ack=True, fail=False):
                seen.append(message.body.decode())
            print(f"{match} of colour and A4: {', '.join(seen)}")


asyncio.run(main())
