"""Request and reply with asyncio: many questions at once over one reply address."""

import asyncio
import os
import uuid

import aio_pika

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")
QUEUE = f"example.aio.squares.{os.getpid()}"
REPLY_TO = "amq.rabbitmq.reply-to"


class Client:
    """Asks over one channel. Answers find their question by its correlation id."""

    @classmethod
    async def open(cls, connection):
        client = cls()
        client.waiting = {}
        client.channel = await connection.channel()
        # A pseudo-queue: it exists without being declared, and is consumed without acknowledgements.
        replies = await client.channel.get_queue(REPLY_TO, ensure=False)
        await replies.consume(client.on_reply, no_ack=True)
        return client

    async def on_reply(self, message):
        self.waiting.pop(message.correlation_id).set_result(int(message.body))

    async def square(self, number):
        correlation_id = str(uuid.uuid4())
        answer = self.waiting[correlation_id] = asyncio.get_running_loop().create_future()
        request = aio_pika.Message(str(number).encode(), correlation_id=correlation_id, reply_to=REPLY_TO)
        await self.channel.default_exchange.publish(request, QUEUE)
        return await answer


async def serve(connection):
    channel = await connection.channel()
    queue = await channel.declare_queue(QUEUE, exclusive=True)

    async def on_request(message):
        answer = aio_pika.Message(str(int(message.body) ** 2).encode(), correlation_id=message.correlation_id)
        # Replies are never kept: one whose client has gone is dropped, and that is no error.
        await channel.default_exchange.publish(answer, message.reply_to, mandatory=False)
        await message.ack()

    await queue.consume(on_request)


async def main():
    async with await aio_pika.connect(URL) as connection:
        await serve(connection)
        client = await Client.open(connection)
        for number, square in enumerate(await asyncio.gather(*(client.square(n) for n in range(5)))):
            print(f"{number} squared is {square}")


asyncio.run(main())
