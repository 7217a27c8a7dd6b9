"""A work queue with asyncio: two workers share one queue, each holding one unacknowledged task.

'connect_robust' reconnects by itself after a network failure and restores channels, queues and
consumers; tasks that were unacknowledged then are delivered again.
"""

import asyncio
import os

import aio_pika

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")
QUEUE = f"example.aio.tasks.{os.getpid()}"
TASKS = [0.3, 0.05, 0.05, 0.05, 0.05, 0.05]


async def work(name, connection, done):
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=1)
    queue = await channel.get_queue(QUEUE)
    async with queue.iterator() as messages:
        async for message in messages:
            # Acknowledges at the end of the block; an exception inside would put the task back.
            async with message.process(requeue=True):
                await asyncio.sleep(float(message.body))
                print(f"{name} has done {message.body.decode()} s of work")
            done.put_nowait(name)


async def main():
    async with await aio_pika.connect_robust(URL) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(QUEUE, durable=True)
        for seconds in TASKS:
            task = aio_pika.Message(str(seconds).encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await channel.default_exchange.publish(task, QUEUE)

        done = asyncio.Queue()
        workers = [asyncio.create_task(work(name, connection, done)) for name in ("worker 1", "worker 2")]
        for _ in TASKS:
            await done.get()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await queue.delete(if_unused=False, if_empty=False)


asyncio.run(main())
