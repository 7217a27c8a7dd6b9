"""Publisher confirms with asyncio: many messages in flight, each awaited on its own."""

import asyncio
import os

import aio_pika
from aio_pika.exceptions import DeliveryError, PublishError

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")


async def publish(channel, key, text):
    try:
        await channel.default_exchange.publish(aio_pika.Message(text.encode()), key)
    except PublishError:
        return f"{text}: returned, no queue would get it"
    except DeliveryError:
        return f"{text}: refused, the queue is full"
    return f"{text}: confirmed"


async def main():
    async with await aio_pika.connect(URL) as connection:
        # Channels of this library confirm unless told otherwise.
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        queue = await channel.declare_queue(
            exclusive=True, arguments={"x-max-length": 2, "x-overflow": "reject-publish"})
        results = await asyncio.gather(
            *(publish(channel, queue.name, text) for text in ("first", "second", "third")),
            publish(channel, queue.name + ".misspelt", "fourth"))
        print("\n".join(results))


asyncio.run(main())
