"""Declaring, naming, limiting and deleting queues."""

import pika

from checks import check, contains, equal, unique
from session import channel_closed, parameters, session

LOCKED = (
    "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{}' in vhost '/'. It could be originally "
    "declared on another connection or the exclusive property value does not match that of the original declaration."
)


@check
def server_named_exclusive_queue():
    with session() as owner, session() as other:
        declared = owner.channel.queue_declare("", exclusive=True).method
        contains(declared.queue[:8], "amq.gen-")
        equal((declared.message_count, declared.consumer_count), (0, 0), "declare-ok")
        with channel_closed(405, LOCKED.format(declared.queue)):
            other.channel.queue_declare(declared.queue, passive=True)
        # An empty name stands for the queue that was declared last on the channel.
        owner.publish("", declared.queue, b"mine")
        equal(owner.take("")[2], b"mine", "body by empty name")
        owner.connection.close()
        with channel_closed(404, f"NOT_FOUND - no queue '{declared.queue}' in vhost '/'"):
            other.connection.channel().queue_declare(declared.queue, passive=True)


@check
def passive_declare():
    with session() as s:
        queue, missing = s.queue(), unique("missing")
        s.publish("", queue, b"1", b"2")
        equal(s.depth(queue), 2, "message count")
        with channel_closed(404, f"NOT_FOUND - no queue '{missing}' in vhost '/'"):
            s.channel.queue_declare(missing, passive=True)


@check
def inequivalent_declare():
    with session() as s:
        queue = s.queue(arguments={"x-message-ttl": 60000})
        about = f"PRECONDITION_FAILED - inequivalent arg '{{}}' for queue '{queue}' in vhost '/': {{}}"
        for name, detail, wanted in (
            ("durable", "received 'true' but current is 'false'", {"durable": True}),
            ("auto_delete", "received 'true' but current is 'false'", {"auto_delete": True}),
            ("x-message-ttl", "received none but current is the value '60000' of type 'signedint'", {}),
            ("x-message-ttl", "received '5' but current is '60000'", {"arguments": {"x-message-ttl": 5}}),
        ):
            # RabbitMQ names the width in which the client sent the number: pika picks 'I' here, and
            # a broker that stores a plain integer must still call it so.
            with channel_closed(406, about.format(name, detail)):
                s.connection.channel().queue_declare(queue, **wanted)
        s.channel.queue_declare(queue, arguments={"x-message-ttl": 60000, "x-unknown": "ignored"})


@check
def bad_arguments():
    with session() as s:
        queue = unique("bad")
        for arguments, detail in (
            ({"x-message-ttl": -1}, "invalid arg 'x-message-ttl' for queue '{}' in vhost '/': {{value_negative,-1}}"),
            ({"x-expires": 0}, "invalid arg 'x-expires' for queue '{}' in vhost '/': {{value_zero,0}}"),
            ({"x-overflow": "x"}, "invalid arg 'x-overflow' for queue '{}' in vhost '/': invalid_overflow"),
            ({"x-dead-letter-exchange": 7},
             "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue '{}' in vhost '/'"),
        ):
            with channel_closed(406, "PRECONDITION_FAILED - " + detail.format(queue)):
                s.connection.channel().queue_declare(queue, arguments=arguments)


@check
def reserved_name():
    with session() as s:
        name = f"amq.{unique('mine')}"
        with channel_closed(403, f"ACCESS_REFUSED - queue name '{name}' contains reserved prefix 'amq.*'"):
            s.channel.queue_declare(name)


@check
def conditional_delete():
    with session() as s:
        queue = s.queue()
        s.publish("", queue, b"1", b"2")
        equal(s.depth(queue), 2, "depth")
        with channel_closed(406, f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty"):
            s.connection.channel().queue_delete(queue, if_empty=True)
        s.channel.basic_consume(queue, lambda *_: None)
        with channel_closed(406, f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' in use"):
            s.connection.channel().queue_delete(queue, if_unused=True)
        equal(s.channel.queue_delete(queue).method.message_count, 0, "unacked messages do not count")
        equal(s.connection.channel().queue_delete(queue).method.message_count, 0, "delete of a missing queue")


@check
def purge():
    with session() as s:
        queue = s.queue()
        s.publish("", queue, b"1", b"2", b"3")
        equal(s.depth(queue), 3, "depth")
        equal(s.channel.queue_purge(queue).method.message_count, 3, "purged")
        equal(s.depth(queue), 0, "afterwards")


@check
def auto_delete_queue():
    with session() as s:
        queue = s.queue(auto_delete=True)
        tag = s.channel.basic_consume(queue, lambda *_: None)
        s.channel.basic_cancel(tag)
        with channel_closed(404, f"NOT_FOUND - no queue '{queue}' in vhost '/'"):
            s.channel.queue_declare(queue, passive=True)


@check
def durable_queue_survives_its_connection():
    with session() as s:
        queue = s.queue(durable=True)
        s.publish("", queue, b"kept", properties=pika.BasicProperties(delivery_mode=2))
        s.connection.close()
        with pika.BlockingConnection(parameters()) as later:
            method, properties, body = later.channel().basic_get(queue, auto_ack=True)
        equal((method.redelivered, properties.delivery_mode, body), (False, 2, b"kept"), "message")


@check
def message_ttl_dead_letters():
    with session() as s:
        dead = s.queue("dead")
        queue = s.queue(arguments={
            "x-message-ttl": 50, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
        got = []
        s.channel.basic_consume(dead, lambda *message: got.append(message), auto_ack=True)
        s.publish("", queue, b"late", properties=pika.BasicProperties(expiration="60000"))
        s.wait_until(lambda: got)
        _, method, properties, body = got[0]
        death = properties.headers["x-death"][0]
        equal((method.routing_key, body, properties.expiration), (dead, b"late", None), "dead letter")
        equal((death["count"], death["reason"], death["queue"], death["exchange"], death["routing-keys"],
               death["original-expiration"]), (1, "expired", queue, "", [queue], "60000"), "x-death")
        equal(properties.headers["x-first-death-reason"], "expired", "first death")


@check
def reject_dead_letters():
    with session() as s:
        exchange = s.exchange("fanout", "dlx")
        dead = s.bound_queue(exchange)
        queue = s.queue(arguments={"x-dead-letter-exchange": exchange})
        s.publish("", queue, b"bad")
        method, _, _ = s.channel.basic_get(queue)
        s.channel.basic_reject(method.delivery_tag, requeue=False)
        got = []
        s.channel.basic_consume(dead, lambda *message: got.append(message), auto_ack=True)
        s.wait_until(lambda: got)
        _, method, properties, body = got[0]
        equal((method.exchange, method.routing_key, body), (exchange, queue, b"bad"), "dead letter")
        equal(properties.headers["x-death"][0]["reason"], "rejected", "reason")


@check
def length_limit_drops_the_oldest():
    with session() as s:
        queue = s.queue(arguments={"x-max-length": 2})
        s.publish("", queue, b"1", b"2", b"3")
        equal(s.bodies(queue), [b"2", b"3"], "kept")


@check
def priorities():
    with session() as s:
        queue = s.queue(arguments={"x-max-priority": 5})
        for priority, body in ((1, b"low"), (5, b"high"), (3, b"mid"), (9, b"clamped"), (None, b"none")):
            s.publish("", queue, body, properties=pika.BasicProperties(priority=priority))
        equal(s.bodies(queue), [b"high", b"clamped", b"mid", b"low", b"none"], "order")


@check
def unused_queue_expires():
    with session() as s:
        queue = s.queue(arguments={"x-expires": 100})
        returned = []
        s.channel.add_on_return_callback(lambda *message: returned.append(message))
        while not returned:
            # Publishing does not count as use, unlike a passive declare, which would restart the clock.
            s.channel.basic_publish("", queue, b"there?", mandatory=True)
            s.connection.process_data_events(time_limit=0.05)
        equal(returned[0][1].reply_code, 312, "return")
