"""The smallest exchange of a message with asyncio: into a queue by its name, and out again."""

import asyncio
import os

import aio_pika

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")


async def main():
    async with await aio_pika.connect(URL) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await channel.default_exchange.publish(aio_pika.Message(b"Hello, hare!"), queue.name)
        message = await queue.get()
        print("received:", message.body.decode())
        await message.ack()


asyncio.run(main())
