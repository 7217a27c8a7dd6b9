"""pika's callback style turned into futures, so that a check reads from top to bottom."""

import asyncio
import contextlib

import pika
from pika.adapters.asyncio_connection import AsyncioConnection

from checks import AMQP_URL, equal, unique


def parameters(**overrides):
    wanted = pika.URLParameters(AMQP_URL)
    for name, value in overrides.items():
        setattr(wanted, name, value)
    return wanted


async def connect(**overrides):
    """An open connection, or the exception that pika gives for the refusal.

    The connection gets an attribute 'closed': a future with the reason of its end.
    """
    loop = asyncio.get_running_loop()
    opened, closed = loop.create_future(), loop.create_future()
    AsyncioConnection(
        parameters(**overrides),
        on_open_callback=opened.set_result,
        on_open_error_callback=lambda _connection, error: opened.set_exception(error),
        on_close_callback=lambda _connection, reason: closed.set_result(reason),
    )
    connection = await opened
    connection.closed = closed
    return connection


async def open_channel(connection):
    """An open channel with an attribute 'closed': a future with the reason of its end."""
    loop = asyncio.get_running_loop()
    opened, closed = loop.create_future(), loop.create_future()
    connection.channel(on_open_callback=opened.set_result)
    channel = await opened
    channel.closed = closed
    channel.add_on_close_callback(lambda _channel, reason: closed.set_result(reason))
    return channel


async def call(method, *arguments, **named):
    """Calls a channel method and returns its -ok method, or raises why its channel closed."""
    answered = asyncio.get_running_loop().create_future()
    method(*arguments, callback=answered.set_result, **named)
    closed = method.__self__.closed
    await asyncio.wait([answered, closed], return_when=asyncio.FIRST_COMPLETED)
    if not answered.done():
        raise closed.result()
    return answered.result().method


@contextlib.asynccontextmanager
async def session(**overrides):
    """Yields an open connection, a channel and a queue maker; the queues go afterwards."""
    opened = Session()
    opened.connection = await connect(**overrides)
    opened.channel = await open_channel(opened.connection)
    try:
        yield opened
    finally:
        await opened.clean()


class Session:
    def __init__(self):
        self.queues = []
        self.exchanges = []

    async def queue(self, label="queue", **arguments):
        name = unique(label)
        await call(self.channel.queue_declare, name, **arguments)
        self.queues.append(name)
        return name

    async def exchange(self, kind, label="exchange", **arguments):
        name = unique(label)
        await call(self.channel.exchange_declare, name, kind, **arguments)
        self.exchanges.append(name)
        return name

    async def depth(self, queue):
        return (await call(self.channel.queue_declare, queue, passive=True)).message_count

    async def consume(self, queue, channel=None, **arguments):
        """Starts a consumer; its deliveries arrive in the returned asyncio queue."""
        deliveries = asyncio.Queue()
        await call((channel or self.channel).basic_consume, queue,
                   lambda *message: deliveries.put_nowait(message), **arguments)
        return deliveries

    async def clean(self):
        if not self.connection.is_open:
            self.connection = await connect()
        if self.queues or self.exchanges:
            channel = await open_channel(self.connection)
            for name in self.queues:
                await call(channel.queue_delete, name)
            for name in self.exchanges:
                await call(channel.exchange_delete, name)
        self.connection.close()
        await self.connection.closed


async def closes_with(channel, code, text):
    """Waits for the broker to close the channel with this code and exactly this text."""
    reason = await channel.closed
    equal((reason.reply_code, reason.reply_text), (code, text), "channel close")
