"""aio-pika against the broker: asyncio, publisher confirms by default, and topology that recovers."""

import asyncio
import datetime
import decimal

import aio_pika
from aio_pika import DeliveryMode, ExchangeType, Message
from aio_pika.exceptions import (
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
    InvalidFrameError,
    ProbableAuthenticationError,
    PublishError,
)
from aio_pika.patterns import RPC, Master
from aiormq.exceptions import ChannelAccessRefused, ChannelLockedResource

from checks import AMQP_URL, check, contains, equal, main, unique
from relay import Relay
from session import bodies, fails, session


@check
async def refusals():
    async with fails(ProbableAuthenticationError, "ACCESS_REFUSED - Login was refused using authentication "
                     "mechanism PLAIN. For details see the broker logfile."):
        await aio_pika.connect(AMQP_URL.replace("guest:guest", "guest:wrong"))
    # Here the library expects open-ok only: it shows that a close came, but not what it said.
    try:
        await aio_pika.connect(AMQP_URL.replace("%2f", unique("vhost")))
    except InvalidFrameError as error:
        contains(str(error), "Connection.OpenOk")
        contains(str(error), "Connection.Close")
    else:
        raise AssertionError("an unknown vhost was accepted")


@check
async def direct_fanout_and_topic():
    async with session() as s:
        for kind, key, misses in (
            (ExchangeType.DIRECT, "a.b", ["a", "a.b.c"]),
            (ExchangeType.FANOUT, "", []),
            (ExchangeType.TOPIC, "a.*", ["a", "b.a", "a.b.c"]),
        ):
            exchange = await s.exchange(kind, durable=True)
            queue = await s.bound_queue(exchange, key)
            await s.publish("a.b", b"hit", exchange=exchange)
            for miss in misses:
                await s.publish(miss, b"miss", exchange=exchange)
            equal(await bodies(queue), [b"hit"], kind)


@check
async def headers_exchange():
    async with session() as s:
        exchange = await s.exchange(ExchangeType.HEADERS)
        wanted = {"colour": "red", "size": 3, "fast": True}
        every = await s.bound_queue(exchange, arguments={**wanted, "x-match": "all"})
        some = await s.bound_queue(exchange, arguments={**wanted, "x-match": "any"})
        for body, headers in (
            (b"all", wanted),
            (b"one", {"colour": "blue", "size": 3}),
            (b"none", {"colour": "blue", "size": "3", "fast": 1}),
        ):
            await s.publish("", body, exchange=exchange, headers=headers)
        equal((await bodies(every), await bodies(some)), ([b"all"], [b"all", b"one"]), "queues")


@check
async def exchange_to_exchange():
    async with session() as s:
        source, target = await s.exchange("topic", "source"), await s.exchange("direct", "target")
        queue = await s.bound_queue(target, "a.b")
        await target.bind(source, "a.#")
        await s.publish("a.b", b"1", exchange=source)
        await s.publish("a.c", b"2", exchange=source)
        await target.unbind(source, "a.#")
        await s.publish("a.b", b"3", exchange=source)
        equal(await bodies(queue), [b"1"], "bodies")


@check
async def confirms_in_parallel():
    async with session() as s:
        queue = await s.queue(durable=True)
        acks = await asyncio.gather(*(
            s.channel.default_exchange.publish(
                Message(b"%d" % n, delivery_mode=DeliveryMode.PERSISTENT), queue.name, mandatory=False)
            for n in range(500)))
        equal({type(ack).__name__ for ack in acks}, {"Ack"}, "confirms")
        equal(len(await bodies(queue)), 500, "messages")


@check
async def mandatory_return():
    async with session() as s:
        returned = await s.channel.default_exchange.publish(
            Message(b"back", message_id="m-1"), unique("nobody"), mandatory=True)
        method = returned.delivery
        equal((method.reply_code, method.reply_text, method.exchange), (312, "NO_ROUTE", ""), "return")
        equal((returned.header.properties.message_id, returned.body), ("m-1", b"back"), "content")
        strict = await s.connection.channel(on_return_raises=True)
        try:
            await strict.default_exchange.publish(Message(b"back"), unique("nobody"), mandatory=True)
        except PublishError as error:
            contains(repr(error), "NO_ROUTE")
        else:
            raise AssertionError("PublishError was not raised")


@check
async def full_queue_nacks():
    async with session() as s:
        queue = await s.queue(arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        await s.publish(queue.name, b"fits")
        try:
            await s.publish(queue.name, b"refused")
        except DeliveryError as error:
            equal(type(error.frame).__name__, "Nack", "confirm")
        else:
            raise AssertionError("DeliveryError was not raised")


@check
async def channel_errors():
    async with session() as s:
        queue, missing = await s.queue(), unique("missing")
        for kind, text, action in (
            (ChannelNotFoundEntity, f"NOT_FOUND - no queue '{missing}' in vhost '/'",
             lambda c: c.declare_queue(missing, passive=True)),
            (ChannelNotFoundEntity, f"NOT_FOUND - no exchange '{missing}' in vhost '/'",
             lambda c: c.get_exchange(missing)),
            (ChannelPreconditionFailed, f"PRECONDITION_FAILED - inequivalent arg 'durable' for queue "
             f"'{queue.name}' in vhost '/': received 'true' but current is 'false'",
             lambda c: c.declare_queue(queue.name, durable=True)),
            (ChannelAccessRefused, "ACCESS_REFUSED - exchange name 'amq.interop' contains reserved prefix 'amq.*'",
             lambda c: c.declare_exchange("amq.interop")),
        ):
            channel = await s.connection.channel()
            async with fails(kind, text):
                await action(channel)
        # The connection and its other channel have survived all of that.
        await s.publish(queue.name, b"alive")
        equal(await bodies(queue), [b"alive"], "first channel")


@check
async def exclusive_queue():
    async with session() as owner, session() as other:
        queue = await owner.channel.declare_queue("", exclusive=True)
        contains(queue.name[:8], "amq.gen-")
        async with fails(ChannelLockedResource, f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue "
                         f"'{queue.name}' in vhost '/'. It could be originally declared on another connection or "
                         "the exclusive property value does not match that of the original declaration."):
            await other.channel.get_queue(queue.name)
        await owner.connection.close()
        channel = await other.connection.channel()
        async with fails(ChannelNotFoundEntity, f"NOT_FOUND - no queue '{queue.name}' in vhost '/'"):
            await channel.get_queue(queue.name)


@check
async def prefetch_is_exact():
    async with session() as s:
        queue = await s.queue()
        await s.publish(queue.name, *(b"%d" % n for n in range(10)))
        await s.channel.set_qos(prefetch_count=4)
        got = asyncio.Queue()
        await queue.consume(got.put)
        held = [await got.get() for _ in range(4)]
        again = await s.channel.declare_queue(queue.name, passive=True)
        equal((again.declaration_result.message_count, got.qsize()), (6, 0), "waiting with 4 unacked")
        await held[3].ack(multiple=True)
        equal([(await got.get()).body for _ in range(4)], [b"4", b"5", b"6", b"7"], "next")


@check
async def ack_nack_and_reject():
    async with session() as s:
        dead = await s.queue("dead")
        queue = await s.queue(arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead.name})
        await s.publish(queue.name, b"ack", b"nack", b"reject", b"drop")
        ack, nack, reject, drop = [await queue.get() for _ in range(4)]
        equal(await queue.get(fail=False), None, "get-empty")
        await ack.ack()
        await nack.nack(requeue=True)
        await reject.reject(requeue=True)
        await drop.reject(requeue=False)
        got = asyncio.Queue()
        await queue.consume(got.put, no_ack=True)
        again = sorted([(m.redelivered, m.body) for m in [await got.get(), await got.get()]])
        equal(again, [(True, b"nack"), (True, b"reject")], "redelivered")
        await dead.consume(got.put, no_ack=True)
        lost = await got.get()
        equal((lost.body, lost.headers["x-death"][0]["reason"]), (b"drop", "rejected"), "dead letter")


@check
async def queue_iterator_and_process():
    async with session() as s:
        queue = await s.queue()
        await s.publish(queue.name, b"1", b"fails", b"3")
        seen = []
        async with queue.iterator() as messages:
            async for message in messages:
                try:
                    async with message.process(requeue=True):
                        seen.append((message.redelivered, message.body))
                        if message.body == b"fails" and not message.redelivered:
                            raise ValueError("as intended")
                except ValueError:
                    pass
                if len(seen) == 4:
                    break
        equal(sorted(seen), [(False, b"1"), (False, b"3"), (False, b"fails"), (True, b"fails")], "seen")


@check
async def cancelled_when_the_queue_goes():
    async with session() as s:
        queue = await s.queue()
        channel, cancelled = await s.channel.get_underlay_channel(), asyncio.Queue()
        channel.on_consumer_cancel_callbacks.add(cancelled.put)
        tag = await queue.consume(lambda _message: None)
        other = await s.connection.channel()
        await other.queue_delete(queue.name)
        equal((await cancelled.get()).consumer_tag, tag, "cancelled")
        equal(s.channel.is_closed, False, "channel closed")


@check
async def properties_and_headers():
    async with session() as s:
        queue = await s.queue()
        headers = {
            "text": "žluť", "true": True, "byte": 1, "negative": -200, "int": 70000, "long": 2**45, "float": 1.5,
            "decimal": decimal.Decimal("3.14"), "void": None, "bytes": bytearray(b"\x00\xff"),
            "time": datetime.datetime(2021, 3, 4, 5, 6, 7, tzinfo=datetime.timezone.utc),
            "array": [1, "x", [None, {"k": False}]], "table": {"a": {"b": {"c": "deep"}}},
        }
        when = datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
        await s.channel.default_exchange.publish(Message(
            b"body", headers=headers, content_type="application/json", content_encoding="utf-8",
            delivery_mode=DeliveryMode.PERSISTENT, priority=3, correlation_id="c", reply_to="r",
            expiration=60, message_id="m", timestamp=when, type="t", user_id="guest", app_id="a"), queue.name)
        got = await queue.get(no_ack=True)
        equal(got.headers, headers, "headers")
        equal((got.content_type, got.content_encoding, got.delivery_mode, got.priority, got.correlation_id,
               got.reply_to, got.expiration, got.message_id, got.timestamp, got.type, got.user_id, got.app_id),
              ("application/json", "utf-8", 2, 3, "c", "r", 60.0, "m", when, "t", "guest", "a"), "properties")


@check
async def large_and_empty_bodies():
    async with session() as s:
        queue = await s.queue()
        sent = [b"", bytes(131064), bytes(131065), bytes(range(256)) * 20000]
        await s.publish(queue.name, *sent)
        got = await bodies(queue)
        equal([len(b) for b in got], [len(b) for b in sent], "lengths")
        equal(got == sent, True, "same octets")


@check
async def transactions():
    async with session() as s:
        queue = await s.queue()
        channel = await s.connection.channel(publisher_confirms=False)
        async with channel.transaction():
            await channel.default_exchange.publish(Message(b"committed"), queue.name)
            equal(await queue.get(fail=False), None, "before commit")
        try:
            async with channel.transaction():
                await channel.default_exchange.publish(Message(b"rolled back"), queue.name)
                raise ValueError("as intended")
        except ValueError:
            pass
        equal(await bodies(queue), [b"committed"], "afterwards")


@check
async def direct_reply_to():
    async with session() as s:
        requests = await s.queue()
        server = await s.connection.channel()

        async def serve(message):
            await server.default_exchange.publish(
                Message(message.body[::-1], correlation_id=message.correlation_id), message.reply_to)
            await message.ack()

        await (await server.get_queue(requests.name)).consume(serve)
        replies = asyncio.Queue()
        mine = await s.channel.get_queue("amq.rabbitmq.reply-to", ensure=False)
        await mine.consume(replies.put, no_ack=True)
        await s.publish(requests.name, b"stressed", reply_to="amq.rabbitmq.reply-to", correlation_id="7")
        reply = await replies.get()
        equal((reply.correlation_id, reply.body, reply.exchange), ("7", b"desserts", ""), "reply")


@check
async def rpc_pattern():
    # The library's own RPC: an exclusive reply queue, a headers-bound dead-letter exchange, and returns.
    async with session() as s:
        rpc, name = await RPC.create(s.channel), unique("multiply")

        async def multiply(*, x, y):
            return x * y

        await rpc.register(name, multiply, auto_delete=True)
        equal(await asyncio.gather(*(rpc.call(name, {"x": x, "y": 7}) for x in range(20))),
              [x * 7 for x in range(20)], "products")
        await rpc.close()


@check
async def worker_pattern():
    async with session() as s:
        master, name, done = Master(s.channel), unique("tasks"), asyncio.Queue()

        async def work(*, number):
            await done.put(number)

        worker = await master.create_worker(name, work, auto_delete=True)
        for number in range(10):
            await master.create_task(name, {"number": number})
        equal([await done.get() for _ in range(10)], list(range(10)), "tasks")
        await worker.close()


@check
async def heartbeats_keep_an_idle_connection():
    # This library reads its interval from the address.
    async with await aio_pika.connect(AMQP_URL + "?heartbeat=2") as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("", exclusive=True)
        await asyncio.sleep(5)
        await channel.default_exchange.publish(Message(b"awake"), queue.name)
        equal(await bodies(queue), [b"awake"], "after 5 s of silence")


@check
async def robust_connection_recovers():
    with Relay() as relay:
        connection = await aio_pika.connect_robust(relay.url, reconnect_interval=0.1)
        async with connection:
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=5)
            exchange = await channel.declare_exchange(unique("exchange"), "topic", auto_delete=True)
            queue = await channel.declare_queue(unique("queue"), exclusive=True)
            await queue.bind(exchange, "a.*")
            got, again = asyncio.Queue(), asyncio.Event()
            await queue.consume(got.put, no_ack=True)
            connection.reconnect_callbacks.add(lambda *_: again.set())
            for round_number in range(2):
                await exchange.publish(Message(b"%d" % round_number), "a.b")
                equal((await got.get()).body, b"%d" % round_number, "delivered")
                again.clear()
                relay.cut()
                await again.wait()
                await channel.ready()
            await exchange.publish(Message(b"end"), "a.b")
            equal((await got.get()).body, b"end", "after two reconnections")
            equal(relay.accepted, 3, "connections")


if __name__ == "__main__":
    main()
