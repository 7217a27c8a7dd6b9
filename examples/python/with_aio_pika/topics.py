"""Topic routing with asyncio: '*' in a binding stands for one word of the key, '#' for any number."""

import asyncio
import os

import aio_pika

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")
KEYS = ["kitchen.oven.error", "kitchen.lamp.info", "garden.pump.error", "garden"]
PATTERNS = {"kitchen.#": 2, "*.*.error": 2, "garden.#": 2, "#": 4}


async def listen(channel, exchange, pattern, count):
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(exchange, pattern)

    async def read():
        async with queue.iterator(no_ack=True) as messages:
            keys = []
            async for message in messages:
                keys.append(message.routing_key)
                if len(keys) == count:
                    return f"{pattern:<10} gets {', '.join(keys)}"

    return asyncio.create_task(read())


async def main():
    async with await aio_pika.connect(URL) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(
            f"example.aio.logs.{os.getpid()}", aio_pika.ExchangeType.TOPIC, auto_delete=True)
        listeners = [await listen(channel, exchange, pattern, count) for pattern, count in PATTERNS.items()]
        for key in KEYS:
            await exchange.publish(aio_pika.Message(b"something happened"), key)
        for line in await asyncio.gather(*listeners):
            print(line)


asyncio.run(main())
