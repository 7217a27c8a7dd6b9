"""An aio-pika connection for one check, with what the checks have in common."""

import contextlib

import aio_pika
from aio_pika import Message

from checks import AMQP_URL, equal, unique


@contextlib.asynccontextmanager
async def session(**options):
    """Yields a Session and afterwards removes the queues and exchanges that it named."""
    opened = Session(await aio_pika.connect(AMQP_URL, **options))
    opened.channel = await opened.connection.channel()
    try:
        yield opened
    finally:
        await opened.clean()


class Session:
    def __init__(self, connection):
        self.connection = connection
        self.channel = None
        self._queues, self._exchanges = [], []

    async def queue(self, label="queue", **options):
        declared = await self.channel.declare_queue(unique(label), **options)
        self._queues.append(declared.name)
        return declared

    async def exchange(self, kind, label="exchange", **options):
        declared = await self.channel.declare_exchange(unique(label), kind, **options)
        self._exchanges.append(declared.name)
        return declared

    async def bound_queue(self, exchange, key="", arguments=None):
        declared = await self.queue()
        await declared.bind(exchange, key, arguments=arguments)
        return declared

    async def publish(self, key, *bodies, exchange=None, **properties):
        """Publishes and, the channel being in confirm mode, waits for the broker's confirms."""
        for body in bodies:
            await (exchange or self.channel.default_exchange).publish(
                Message(body, **properties), key, mandatory=False)

    async def clean(self):
        await self.connection.close()
        connection = await aio_pika.connect(AMQP_URL)
        async with connection, connection.channel() as channel:
            for name in self._queues:
                await channel.queue_delete(name)
            for name in self._exchanges:
                await channel.exchange_delete(name)


async def bodies(queue):
    """Takes everything out of a queue whose publishers have seen their confirms."""
    taken = []
    while message := await queue.get(no_ack=True, fail=False):
        taken.append(message.body)
    return taken


@contextlib.asynccontextmanager
async def fails(kind, text):
    """The block must fail with this exception, whose class stands for the reply code, and this reply text."""
    try:
        yield
    except kind as error:
        equal(error.args[-1], text, kind.__name__)
    else:
        raise AssertionError(f"{kind.__name__} was not raised")
