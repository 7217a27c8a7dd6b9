"""Publish and subscribe with asyncio: a fanout exchange copies each message to every subscriber."""

import asyncio
import os

import aio_pika

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")
EXCHANGE = f"example.aio.news.{os.getpid()}"


async def subscribe(name, connection, count, ready):
    channel = await connection.channel()
    exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.FANOUT, auto_delete=True)
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(exchange)
    ready.set()
    async with queue.iterator(no_ack=True) as messages:
        async for message in messages:
            print(f"{name}: {message.body.decode()}")
            count -= 1
            if count == 0:
                break


async def main():
    async with await aio_pika.connect(URL) as connection:
        listening = [asyncio.Event(), asyncio.Event()]
        subscribers = [asyncio.create_task(subscribe(name, connection, 2, ready))
                       for name, ready in zip(("Anna", "Boris"), listening)]
        for ready in listening:
            await ready.wait()

        channel = await connection.channel()
        exchange = await channel.get_exchange(EXCHANGE)
        for text in (b"spring is here", b"the clover is up"):
            await exchange.publish(aio_pika.Message(text), routing_key="")
        await asyncio.gather(*subscribers)


asyncio.run(main())
