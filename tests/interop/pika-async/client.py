"""pika's asynchronous connections against the broker.

The blocking client next door covers behaviour; here the point is what only an asynchronous client
does: many methods in flight, channels that work at the same time, and reconnecting on its own.
"""

import asyncio
import socket

import pika
from pika.exceptions import ChannelClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError

from checks import check, contains, equal, main, unique
from session import call, closes_with, connect, open_channel, parameters, session


@check
async def open_and_close():
    connection = await connect()
    channel = await open_channel(connection)
    channel.close()
    equal((await channel.closed).reply_code, 0, "channel close")
    connection.close(200, "done")
    equal((await connection.closed).reply_code, 200, "connection close")


@check
async def refusals():
    vhost = unique("vhost")
    for kind, text, overrides in (
        (ProbableAuthenticationError, "(403) 'ACCESS_REFUSED - Login was refused using authentication mechanism "
         "PLAIN.", {"credentials": pika.PlainCredentials("guest", "wrong")}),
        (ProbableAccessDeniedError, f"(530) 'NOT_ALLOWED - vhost {vhost} not found'", {"virtual_host": vhost}),
    ):
        try:
            await connect(**overrides)
        except pika.exceptions.AMQPConnectionError as error:
            contains(repr(error), kind.__name__)
            contains(repr(error), text)
        else:
            raise AssertionError(f"{overrides} was accepted")


@check
async def queued_methods_are_answered_in_order():
    async with session() as s:
        name, exchange, answers = unique("queue"), unique("exchange"), []
        s.queues.append(name)
        s.exchanges.append(exchange)

        def note(frame):
            answers.append(frame.method.NAME)

        last = asyncio.get_running_loop().create_future()
        # pika itself queues these and sends each as soon as the one before is answered.
        s.channel.queue_declare(name, callback=note)
        s.channel.exchange_declare(exchange, "topic", callback=note)
        s.channel.queue_bind(name, exchange, "a.*", callback=note)
        s.channel.queue_purge(name, callback=note)
        s.channel.queue_unbind(name, exchange, "a.*", callback=note)
        s.channel.queue_delete(name, callback=last.set_result)
        await last
        equal(answers, ["Queue.DeclareOk", "Exchange.DeclareOk", "Queue.BindOk", "Queue.PurgeOk",
                        "Queue.UnbindOk"], "answers")


@check
async def methods_without_answers():
    async with session() as s:
        exchange, queue = unique("exchange"), unique("queue")
        s.exchanges.append(exchange)
        s.queues.append(queue)
        # Without a callback pika sets the no-wait bit: one write may carry all of it.
        s.channel.exchange_declare(exchange, "direct")
        s.channel.queue_declare(queue)
        s.channel.queue_bind(queue, exchange, "k")
        s.channel.basic_publish(exchange, "k", b"quietly")
        deliveries = await s.consume(queue, auto_ack=True)
        equal((await deliveries.get())[3], b"quietly", "body")
        s.channel.queue_delete(queue)
        await closes_after_use(s, queue)


async def closes_after_use(s, queue):
    """The queue must be gone: asking for it costs the channel."""
    channel = await open_channel(s.connection)
    try:
        await call(channel.queue_declare, queue, passive=True)
    except ChannelClosedByBroker as error:
        equal(error.reply_text, f"NOT_FOUND - no queue '{queue}' in vhost '/'", "text")
    else:
        raise AssertionError("the queue is still there")


@check
async def thousands_of_confirms_in_flight():
    async with session() as s:
        queue = await s.queue(durable=True)
        outstanding, settled = set(range(1, 3001)), asyncio.Event()

        def confirmed(frame):
            equal(frame.method.NAME, "Basic.Ack", "confirm")
            tag = frame.method.delivery_tag
            covered = {t for t in outstanding if t <= tag} if frame.method.multiple else {tag}
            outstanding.difference_update(covered)
            if not outstanding:
                settled.set()

        await call(s.channel.confirm_delivery, confirmed)
        for number in range(3000):
            s.channel.basic_publish("", queue, b"%d" % number, pika.BasicProperties(delivery_mode=2))
        await settled.wait()
        equal(await s.depth(queue), 3000, "depth")


@check
async def publish_and_consume_at_the_same_time():
    async with session() as s:
        queue = await s.queue()
        publisher = await open_channel(s.connection)
        await call(s.channel.basic_qos, prefetch_count=50)
        deliveries = await s.consume(queue)
        for number in range(2000):
            publisher.basic_publish("", queue, b"%d" % number)
        for number in range(2000):
            _, method, _, body = await deliveries.get()
            equal((method.delivery_tag, body), (number + 1, b"%d" % number), "order")
            # In batches, so that acks for many and for single messages both occur.
            if number % 7 == 0:
                s.channel.basic_ack(method.delivery_tag, multiple=True)
        s.channel.basic_ack(2000, multiple=True)
        equal(await s.depth(queue), 0, "left")


@check
async def channels_do_not_wait_for_each_other():
    async with session() as s:
        async def work(number):
            channel = await open_channel(s.connection)
            queue = (await call(channel.queue_declare, "", exclusive=True)).queue
            got = await s.consume(queue, channel, auto_ack=True)
            for n in range(20):
                channel.basic_publish("", queue, b"%d-%d" % (number, n))
            return [(await got.get())[3] for _ in range(20)]

        results = await asyncio.gather(*(work(number) for number in range(30)))
        equal(results, [[b"%d-%d" % (number, n) for n in range(20)] for number in range(30)], "results")


@check
async def prefetch_is_exact():
    async with session() as s:
        queue = await s.queue()
        confirms = asyncio.Queue()
        publisher = await open_channel(s.connection)
        await call(publisher.confirm_delivery, confirms.put_nowait)
        for number in range(20):
            publisher.basic_publish("", queue, b"%d" % number)
        highest = 0
        while highest < 20:
            highest = max(highest, (await confirms.get()).method.delivery_tag)
        await call(s.channel.basic_qos, prefetch_count=5)
        deliveries = await s.consume(queue)
        for _ in range(5):
            _, method, _, _ = await deliveries.get()
        equal((await s.depth(queue), deliveries.qsize()), (15, 0), "waiting with 5 unacked")
        s.channel.basic_nack(method.delivery_tag)
        _, method, _, body = await deliveries.get()
        equal((method.redelivered, body), (True, b"4"), "requeued")


@check
async def returned_message_precedes_its_confirm():
    async with session() as s:
        events = asyncio.Queue()
        await call(s.channel.confirm_delivery, events.put_nowait)
        s.channel.add_on_return_callback(lambda *message: events.put_nowait(message))
        s.channel.basic_publish("", unique("nobody"), b"back", mandatory=True)
        _, method, _, body = await events.get()
        equal((method.reply_code, method.reply_text, body), (312, "NO_ROUTE", b"back"), "return")
        confirm = (await events.get()).method
        equal((confirm.NAME, confirm.delivery_tag), ("Basic.Ack", 1), "confirm")


@check
async def channel_error_leaves_other_channels():
    async with session() as s:
        other, missing = await open_channel(s.connection), unique("missing")
        # What follows the failing publish on its channel is discarded, whatever it is.
        other.basic_publish(missing, "k", b"x")
        for _ in range(50):
            other.basic_publish("", missing, b"discarded")
        await closes_with(other, 404, f"NOT_FOUND - no exchange '{missing}' in vhost '/'")
        queue = await s.queue(exclusive=True)
        equal(await s.depth(queue), 0, "first channel works")


@check
async def inequivalent_declare():
    async with session() as s:
        queue = await s.queue()
        other = await open_channel(s.connection)
        other.queue_declare(queue, durable=True, callback=lambda _frame: None)
        await closes_with(other, 406, f"PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{queue}' "
                          "in vhost '/': received 'true' but current is 'false'")


@check
async def cancel_notification():
    async with session() as s:
        queue, cancelled = await s.queue(), asyncio.Queue()
        s.channel.add_on_cancel_callback(cancelled.put_nowait)
        await s.consume(queue, consumer_tag="watcher")
        other = await open_channel(s.connection)
        await call(other.queue_delete, queue)
        equal((await cancelled.get()).method.consumer_tag, "watcher", "cancelled")
        equal(s.channel.is_open, True, "channel")


@check
async def cancel_stops_deliveries():
    async with session() as s:
        queue = await s.queue()
        deliveries = await s.consume(queue, consumer_tag="short", auto_ack=True)
        s.channel.basic_publish("", queue, b"1")
        equal((await deliveries.get())[3], b"1", "before")
        await call(s.channel.basic_cancel, "short")
        s.channel.basic_publish("", queue, b"2")
        later = await s.consume(queue, auto_ack=True)
        equal(((await later.get())[3], deliveries.qsize()), (b"2", 0), "after")


@check
async def direct_reply_to():
    async with session() as s:
        requests = await s.queue()
        server = await open_channel(s.connection)

        def serve(channel, method, properties, body):
            channel.basic_publish("", properties.reply_to, body * 2,
                                  pika.BasicProperties(correlation_id=properties.correlation_id))
            channel.basic_ack(method.delivery_tag)

        await call(server.basic_consume, requests, serve)
        replies = await s.consume("amq.rabbitmq.reply-to", auto_ack=True)
        for number in range(100):
            properties = pika.BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id=str(number))
            s.channel.basic_publish("", requests, b"%d" % number, properties)
        answers = [await replies.get() for _ in range(100)]
        equal([(m[2].correlation_id, m[3]) for m in answers],
              [(str(n), b"%d" % n * 2) for n in range(100)], "replies")


@check
async def exchange_to_exchange_and_headers():
    async with session() as s:
        source, target = await s.exchange("headers", "source"), await s.exchange("fanout", "target")
        queue = await s.queue()
        await call(s.channel.exchange_bind, target, source, "", arguments={"x-match": "any", "a": 1, "b": None})
        await call(s.channel.queue_bind, queue, target)
        deliveries = await s.consume(queue, auto_ack=True)
        for body, headers in ((b"a", {"a": 1}), (b"no", {"a": 2}), (b"b", {"b": "any value"})):
            s.channel.basic_publish(source, "", body, pika.BasicProperties(headers=headers))
        equal([(await deliveries.get())[3] for _ in range(2)], [b"a", b"b"], "matched")
        await call(s.channel.exchange_unbind, target, source, "", arguments={"x-match": "any", "a": 1, "b": None})


@check
async def large_bodies_in_small_frames():
    async with session(frame_max=4096) as s:
        queue = await s.queue()
        deliveries = await s.consume(queue, auto_ack=True)
        bodies = [b"", bytes(4088), bytes(4089), bytes(range(256)) * 20000]
        for body in bodies:
            s.channel.basic_publish("", queue, body)
        got = [(await deliveries.get())[3] for _ in bodies]
        equal([len(b) for b in got], [len(b) for b in bodies], "lengths")
        equal(got == bodies, True, "same octets")


@check
async def transactions():
    async with session() as s:
        queue = await s.queue()
        await call(s.channel.tx_select)
        s.channel.basic_publish("", queue, b"rolled back")
        await call(s.channel.tx_rollback)
        s.channel.basic_publish("", queue, b"kept")
        await call(s.channel.tx_commit)
        deliveries = await s.consume(queue, auto_ack=True)
        equal((await deliveries.get())[3], b"kept", "body")


@check
async def heartbeats_keep_an_idle_connection():
    async with session(heartbeat=1) as s:
        queue = await s.queue(exclusive=True)
        await asyncio.sleep(5)
        equal(s.connection.is_open, True, "open after 5 s")
        equal(await s.depth(queue), 0, "works")


@check
async def reconnecting_consumer():
    """A consumer that reopens its connection whenever that breaks, and loses nothing that is unacked."""
    async with session() as s:
        queue, got = await s.queue(durable=True), []

        async def consume_until(count):
            while len(got) < count:
                connection = await connect()
                channel = await open_channel(connection)

                def on_message(_channel, method, _properties, body, connection=connection, channel=channel):
                    if body == b"2" and not method.redelivered:
                        # The connection breaks with this message unacked.
                        connection._transport._sock.shutdown(socket.SHUT_RDWR)
                        return
                    got.append((method.redelivered, body))
                    channel.basic_ack(method.delivery_tag)
                    if len(got) == count:
                        connection.close()

                await call(channel.basic_qos, prefetch_count=1)
                await call(channel.basic_consume, queue, on_message)
                await connection.closed

        for body in (b"1", b"2", b"3"):
            s.channel.basic_publish("", queue, body)
        await consume_until(3)
        equal(got, [(False, b"1"), (True, b"2"), (False, b"3")], "handled")


@check
def select_connection():
    """The same protocol over pika's own event loop: a message there and back."""
    got, queue = [], unique("queue")

    def on_open(connection):
        connection.channel(on_open_callback=on_channel)

    def on_channel(channel):
        channel.queue_declare(queue, exclusive=True, callback=lambda _frame: on_queue(channel))

    def on_queue(channel):
        channel.basic_consume(queue, on_message, auto_ack=True)
        channel.basic_publish("", queue, b"around")

    def on_message(channel, _method, _properties, body):
        got.append(body)
        channel.connection.close()

    connection = pika.SelectConnection(
        parameters(), on_open_callback=on_open,
        on_open_error_callback=lambda connection, _error: connection.ioloop.stop(),
        on_close_callback=lambda connection, _reason: connection.ioloop.stop())
    connection.ioloop.start()
    equal(got, [b"around"], "body")


if __name__ == "__main__":
    main()
