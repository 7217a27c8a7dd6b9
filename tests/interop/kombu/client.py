"""kombu, and py-amqp below it, against the broker."""

import contextlib
import datetime
import decimal
import socket

import amqp
from amqp import exceptions
from kombu import Connection, Consumer, Exchange, Producer, Queue, binding
from kombu.pools import connections, producers

from checks import AMQP_HOST, AMQP_PORT, AMQP_URL, check, contains, equal, main, unique
from relay import Relay


@contextlib.contextmanager
def session(confirm=True, **options):
    """Yields an open connection with 'keep' for entities to delete afterwards."""
    connection = Connection(AMQP_URL, transport_options={"confirm_publish": confirm}, **options)
    connection.connect()
    connection.kept = []
    try:
        yield connection
    finally:
        connection.release()
        with Connection(AMQP_URL) as last:
            for entity in connection.kept:
                entity(last.default_channel).delete()


def keep(connection, entity):
    """Declares the entity on the connection and removes it when the session ends."""
    connection.kept.append(entity)
    bound = entity(connection.default_channel)
    bound.declare()
    return bound


def bodies(queue):
    taken = []
    while message := queue.get(no_ack=True):
        taken.append(message.payload)
    return taken


def drain_until(connection, done):
    while not done():
        connection.drain_events(timeout=5)


@contextlib.contextmanager
def fails(kind, code, text):
    """The block must fail with this exception, reply code and reply text."""
    try:
        yield
    except kind as error:
        equal((error.reply_code, error.reply_text), (code, text), kind.__name__)
    else:
        raise AssertionError(f"{kind.__name__} was not raised")


@check
def connect_and_close():
    with session() as s:
        server = s.connection.server_properties
        for name in ("product", "version", "capabilities"):
            contains(list(server), name)
        # py-amqp switches its own capabilities on only when the broker names them.
        for name in ("consumer_cancel_notify", "connection.blocked", "authentication_failure_close"):
            equal(server["capabilities"][name], True, name)
        equal(s.connected, True, "connected")
    equal(s.connected, False, "connected after release")


@check
def refusals():
    with fails(exceptions.AccessRefused, 403, "ACCESS_REFUSED - Login was refused using authentication mechanism "
               "PLAIN. For details see the broker logfile."):
        Connection(AMQP_URL.replace("guest:guest", "guest:wrong"), login_method="PLAIN").connect()
    vhost = unique("vhost")
    with fails(exceptions.NotAllowed, 530, f"NOT_ALLOWED - vhost {vhost} not found"):
        Connection(AMQP_URL.replace("%2f", vhost)).connect()


@check
def login_by_amqplain():
    connection = amqp.Connection(f"{AMQP_HOST}:{AMQP_PORT}", "guest", "guest", login_method="AMQPLAIN")
    connection.connect()
    connection.channel().close()
    connection.close()
    with fails(exceptions.AccessRefused, 403, "ACCESS_REFUSED - Login was refused using authentication mechanism "
               "AMQPLAIN. For details see the broker logfile."):
        amqp.Connection(f"{AMQP_HOST}:{AMQP_PORT}", "guest", "wrong", login_method="AMQPLAIN").connect()


@check
def direct_fanout_and_topic():
    with session() as s:
        for kind, key, misses in (("direct", "a.b", ["a", ""]), ("fanout", "", []), ("topic", "*.b", ["b", "a.b.c"])):
            exchange = Exchange(unique(kind), kind, durable=False)
            queue = keep(s, Queue(unique("queue"), exchange, key, durable=False))
            s.kept.append(exchange)
            producer = Producer(s, exchange)
            producer.publish("hit", routing_key="a.b")
            for miss in misses:
                producer.publish("miss", routing_key=miss)
            equal(bodies(queue), ["hit"], kind)


@check
def headers_exchange():
    with session() as s:
        exchange = Exchange(unique("headers"), "headers")
        wanted = {"kind": "x", "size": 5}
        every = keep(s, Queue(unique("all"), exchange, binding_arguments={**wanted, "x-match": "all"}))
        some = keep(s, Queue(unique("any"), exchange, binding_arguments={**wanted, "x-match": "any"}))
        s.kept.append(exchange)
        producer = Producer(s, exchange)
        for body, headers in (("all", wanted), ("one", {"kind": "y", "size": 5}), ("none", {"size": 5.5})):
            producer.publish(body, headers=headers)
        equal((bodies(every), bodies(some)), (["all"], ["all", "one"]), "queues")


@check
def exchange_to_exchange():
    with session() as s:
        source, target = Exchange(unique("source"), "topic"), Exchange(unique("target"), "fanout")
        keep(s, source)
        bound = keep(s, target)
        queue = keep(s, Queue(unique("queue"), target))
        bound.bind_to(source, routing_key="a.#")
        producer = Producer(s, source)
        producer.publish("1", routing_key="a.b.c")
        bound.unbind_from(source, routing_key="a.#")
        producer.publish("2", routing_key="a.b.c")
        equal(bodies(queue), ["1"], "bodies")


@check
def several_bindings():
    with session() as s:
        exchange = Exchange(unique("direct"), "direct")
        queue = keep(s, Queue(unique("queue"), [binding(exchange, key) for key in ("a", "b", "c")]))
        s.kept.append(exchange)
        for key in "abcd":
            Producer(s, exchange).publish(key, routing_key=key)
        equal(bodies(queue), ["a", "b", "c"], "bodies")


@check
def serializers_and_compression():
    with session() as s:
        queue = keep(s, Queue(unique("queue")))
        payload = {"numbers": list(range(1000)), "text": "žluť", "nested": {"none": None}}
        for options in ({"serializer": "json"}, {"serializer": "json", "compression": "zlib"},
                        {"serializer": "json", "compression": "bzip2"}):
            Producer(s).publish(payload, routing_key=queue.name, **options)
            message = queue.get(no_ack=True)
            equal(message.decode(), payload, str(options))


@check
def mandatory_return():
    with session() as s:
        returned = []
        channel = s.channel()
        channel.events["basic_return"].add(lambda *message: returned.append(message))
        Producer(channel, on_return=None).publish("back", routing_key=unique("nobody"), mandatory=True)
        drain_until(s, lambda: returned)
        error, exchange, _, message = returned[0]
        equal((error.reply_code, error.reply_text, exchange, message.body), (312, "NO_ROUTE", "", "back"), "return")


@check
def full_queue_nacks():
    with session() as s:
        queue = keep(s, Queue(unique("full"), max_length=1, queue_arguments={"x-overflow": "reject-publish"}))
        producer = Producer(s)
        producer.publish("fits", routing_key=queue.name)
        try:
            producer.publish("refused", routing_key=queue.name)
        except exceptions.MessageNacked:
            pass
        else:
            raise AssertionError("MessageNacked was not raised")


@check
def channel_errors():
    with session() as s:
        queue, missing = keep(s, Queue(unique("queue"), durable=False)), unique("missing")
        with fails(exceptions.NotFound, 404, f"NOT_FOUND - no queue '{missing}' in vhost '/'"):
            Queue(missing)(s.channel()).queue_declare(passive=True)
        with fails(exceptions.PreconditionFailed, 406, f"PRECONDITION_FAILED - inequivalent arg 'durable' for queue "
                   f"'{queue.name}' in vhost '/': received 'true' but current is 'false'"):
            Queue(queue.name, durable=True)(s.channel()).queue_declare()
        with fails(exceptions.NotFound, 404, f"NOT_FOUND - no exchange '{missing}' in vhost '/'"):
            s.channel().exchange_declare(missing, "direct", passive=True)
        with fails(exceptions.AccessRefused, 403, "ACCESS_REFUSED - deletion of system exchange 'amq.topic' in vhost "
                   "'/' not allowed"):
            s.channel().exchange_delete("amq.topic")
        Producer(s).publish("alive", routing_key=queue.name)
        equal(bodies(queue), ["alive"], "first channel")


@check
def locked_queue():
    with session() as owner, session() as other:
        queue = Queue("", exclusive=True)(owner.default_channel)
        name = queue.queue_declare().queue
        contains(name[:8], "amq.gen-")
        with fails(exceptions.ResourceLocked, 405, f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue "
                   f"'{name}' in vhost '/'. It could be originally declared on another connection or the exclusive "
                   "property value does not match that of the original declaration."):
            Queue(name, durable=False)(other.channel()).queue_declare(passive=True)


@check
def prefetch_is_exact():
    with session() as s:
        queue, got = keep(s, Queue(unique("queue"))), []
        for n in range(10):
            Producer(s).publish(n, routing_key=queue.name)
        with Consumer(s, [queue], callbacks=[lambda _body, message: got.append(message)],
                      prefetch_count=3):
            drain_until(s, lambda: len(got) == 3)
            equal((_waiting(s, queue), len(got)), (7, 3), "waiting with 3 unacked")
            got[0].ack()
            drain_until(s, lambda: len(got) == 4)
            equal([m.payload for m in got], list(range(len(got))), "order")


def _waiting(s, queue):
    return s.default_channel.queue_declare(queue.name, passive=True).message_count


@check
def shared_prefetch_changes_at_run_time():
    with session() as s:
        queue, got = keep(s, Queue(unique("queue"))), []
        for n in range(6):
            Producer(s).publish(n, routing_key=queue.name)
        s.default_channel.basic_qos(0, 1, True)
        with Consumer(s, [queue], callbacks=[lambda _body, message: got.append(message)]):
            drain_until(s, lambda: len(got) == 1)
            equal(_waiting(s, queue), 5, "waiting with a limit of 1")
            s.default_channel.basic_qos(0, 4, True)
            drain_until(s, lambda: len(got) == 4)
            equal(_waiting(s, queue), 2, "waiting with a limit of 4")


@check
def ack_requeue_and_reject():
    with session() as s:
        queue, got = keep(s, Queue(unique("queue"))), []

        def handle(body, message):
            got.append((bool(message.delivery_info["redelivered"]), body))
            if body == "again" and not message.delivery_info["redelivered"]:
                message.requeue()
            elif body == "drop":
                message.reject()
            else:
                message.ack()

        for body in ("ack", "again", "drop"):
            Producer(s).publish(body, routing_key=queue.name)
        with Consumer(s, [queue], callbacks=[handle], prefetch_count=1):
            drain_until(s, lambda: len(got) == 4)
        equal(sorted(got), [(False, "ack"), (False, "again"), (False, "drop"), (True, "again")], "handled")
        equal(bodies(queue), [], "left")


@check
def recover_requeues():
    with session() as s:
        queue = keep(s, Queue(unique("queue")))
        Producer(s).publish("1", routing_key=queue.name)
        equal(queue.get().delivery_info["redelivered"], False, "first")
        s.default_channel.basic_recover(requeue=True)
        again = None
        while again is None:
            again = queue.get(no_ack=True)
        equal((again.delivery_info["redelivered"], again.payload), (True, "1"), "second")


@check
def cancelled_when_the_queue_goes():
    with session() as s:
        queue, other = keep(s, Queue(unique("queue"))), s.channel()
        cancelled = []
        s.default_channel.basic_consume(queue.name, "watcher", callback=lambda _m: None,
                                        on_cancel=cancelled.append)
        other.queue_delete(queue.name)
        drain_until(s, lambda: cancelled)
        equal(cancelled, ["watcher"], "cancelled tags")


@check
def properties_and_headers():
    with session() as s:
        queue = keep(s, Queue(unique("queue")))
        headers = {
            "text": "žluť", "true": True, "false": False, "int": -7, "long": 2**40, "double": 0.1, "void": None,
            "decimal": decimal.Decimal("12.50"), "time": datetime.datetime(2022, 1, 2, 3, 4, 5),
            "array": [1, "two", [3.5, {"k": None}]], "table": {"inner": {"deep": True}}, "no items": [],
        }
        now = 1715000000
        Producer(s).publish("body", routing_key=queue.name, headers=headers, priority=4, expiration=60,
                            correlation_id="c", reply_to="r", message_id="m", type="t", app_id="a", user_id="guest",
                            timestamp=now, delivery_mode=1)
        got = queue.get(no_ack=True)
        equal(got.headers, headers, "headers")
        equal({name: got.properties[name] for name in (
            "priority", "expiration", "correlation_id", "reply_to", "message_id", "type", "app_id", "user_id",
            "timestamp", "delivery_mode")}, {
                "priority": 4, "expiration": "60000", "correlation_id": "c", "reply_to": "r", "message_id": "m",
                "type": "t", "app_id": "a", "user_id": "guest", "timestamp": now, "delivery_mode": 1}, "properties")


@check
def large_and_empty_bodies():
    with session() as s:
        queue = keep(s, Queue(unique("queue")))
        sent = [b"", bytes(131064), bytes(131065), bytes(range(256)) * 20000]
        for body in sent:
            Producer(s).publish(body, routing_key=queue.name, content_type="application/octet-stream",
                                content_encoding="binary")
        got = [queue.get(no_ack=True, accept=["application/octet-stream"]).body for _ in sent]
        got = [bytes(b.encode() if isinstance(b, str) else b) for b in got]
        equal([len(b) for b in got], [len(b) for b in sent], "lengths")
        equal(got == sent, True, "same octets")


@check
def transactions():
    with session(confirm=False) as s:
        queue, channel = keep(s, Queue(unique("queue"))), s.channel()
        channel.tx_select()
        Producer(channel).publish("rolled back", routing_key=queue.name)
        channel.tx_rollback()
        Producer(channel).publish("committed", routing_key=queue.name)
        equal(_waiting(s, queue), 0, "before commit")
        channel.tx_commit()
        equal(bodies(queue), ["committed"], "after commit")


@check
def expiring_reply_queue():
    # What remote control and result backends declare: transient, auto-delete, with its own expiry and ttl.
    with session() as s:
        queue = keep(s, Queue(unique("reply"), durable=False, auto_delete=True, expires=10.0, message_ttl=10.0))
        Producer(s).publish("reply", routing_key=queue.name, delivery_mode=1)
        got = []
        with Consumer(s, [queue], callbacks=[lambda body, message: (got.append(body), message.ack())]):
            drain_until(s, lambda: got)
        with fails(exceptions.NotFound, 404, f"NOT_FOUND - no queue '{queue.name}' in vhost '/'"):
            queue(s.channel()).queue_declare(passive=True)


@check
def direct_reply_to():
    with session(confirm=False) as s:
        requests, replies = keep(s, Queue(unique("requests"))), []
        client = s.channel()
        client.basic_consume("amq.rabbitmq.reply-to", no_ack=True, callback=replies.append)

        def serve(body, message):
            Producer(s).publish(body.upper(), routing_key=message.properties["reply_to"],
                                correlation_id=message.properties["correlation_id"])
            message.ack()

        with Consumer(s, [requests], callbacks=[serve]):
            Producer(client).publish("question", routing_key=requests.name, reply_to="amq.rabbitmq.reply-to",
                                     correlation_id="9")
            drain_until(s, lambda: replies)
        equal((replies[0].body, replies[0].properties["correlation_id"]), ("QUESTION", "9"), "reply")


@check
def simple_queue():
    with session() as s:
        name = unique("simple")
        s.kept += [Queue(name), Exchange(name)]
        with s.SimpleQueue(name) as queue:
            for n in range(3):
                queue.put({"n": n})
            equal(queue.qsize(), 3, "size")
            for n in range(3):
                message = queue.get(timeout=5)
                equal(message.payload, {"n": n}, "payload")
                message.ack()


@check
def heartbeats_keep_an_idle_connection():
    with session(heartbeat=2) as s:
        queue = keep(s, Queue(unique("queue"), durable=False))
        for _ in range(10):
            try:
                s.drain_events(timeout=0.5)
            except socket.timeout:
                s.heartbeat_check(rate=2)
        Producer(s).publish("awake", routing_key=queue.name)
        equal(bodies(queue), ["awake"], "after 5 s of silence")


@check
def pools():
    with Connection(AMQP_URL) as connection:
        name = unique("pool")
        with connections[connection].acquire(block=True) as pooled:
            Queue(name, durable=False)(pooled.default_channel).declare()
        for n in range(20):
            with producers[connection].acquire(block=True) as producer:
                producer.publish(n, routing_key=name)
        with connections[connection].acquire(block=True) as pooled:
            equal(Queue(name)(pooled.default_channel).delete(), 20, "messages deleted")
        connections[connection].force_close_all()


@check
def publisher_retries_after_a_break():
    with Relay() as relay, session() as s:
        queue = keep(s, Queue(unique("queue")))
        connection = Connection(relay.url, transport_options={"confirm_publish": True})
        producer = Producer(connection)
        producer.publish("before", routing_key=queue.name, retry=True)
        relay.cut()
        producer.publish("after", routing_key=queue.name, retry=True,
                         retry_policy={"max_retries": 20, "interval_start": 0, "interval_step": 0.05})
        connection.release()
        got = bodies(queue)
        equal((got[0], got[-1]), ("before", "after"), "messages")
        equal(relay.accepted, 2, "connections")


@check
def consumer_resumes_after_a_break():
    with Relay() as relay, session() as s:
        queue, got = keep(s, Queue(unique("queue"))), []
        connection = Connection(relay.url)

        def handle(body, message):
            got.append((bool(message.delivery_info["redelivered"]), body))
            if len(got) == 1:
                relay.cut()
            else:
                message.ack()

        with Consumer(connection, [queue.__copy__()], callbacks=[handle]) as consumer:
            Producer(s).publish("once more", routing_key=queue.name)
            drain = connection.ensure(consumer, lambda: connection.drain_events(timeout=5), interval_start=0)
            while len(got) < 2:
                drain()
        connection.release()
        equal(got, [(False, "once more"), (True, "once more")], "handled")


if __name__ == "__main__":
    main()
