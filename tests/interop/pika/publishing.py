"""Confirms, returns, transactions, properties and bodies."""

import datetime
import decimal

import pika
from pika.exceptions import NackError, UnroutableError

from checks import check, equal, unique
from session import channel_closed, raises, session


@check
def single_confirm():
    with session() as s:
        queue = s.queue(durable=True)
        s.channel.confirm_delivery()
        # The blocking channel returns from here only when the broker has confirmed.
        s.channel.basic_publish("", queue, b"one", pika.BasicProperties(delivery_mode=2))
        equal(s.depth(queue), 1, "depth")


@check
def many_confirms():
    with session() as s:
        queue = s.queue()
        s.channel.confirm_delivery()
        for n in range(300):
            s.channel.basic_publish("", queue, b"%d" % n)
        equal(s.bodies(queue), [b"%d" % n for n in range(300)], "order")


@check
def confirms_out_of_step():
    # Below the blocking wrapper: 200 publishes in flight, then acks that together cover 1..200.
    with session() as s:
        queue = s.queue()
        covered = set()
        tags = set(range(1, 201))

        def confirmed(frame):
            equal(frame.method.NAME, "Basic.Ack", "confirm")
            tag = frame.method.delivery_tag
            covered.update(range(1, tag + 1) if frame.method.multiple else [tag])

        s.channel._impl.confirm_delivery(confirmed, lambda _frame: None)
        for n in tags:
            s.channel._impl.basic_publish("", queue, b"%d" % n)
        s.wait_until(lambda: covered >= tags)
        equal(covered, tags, "confirmed tags")


@check
def mandatory_return():
    with session() as s:
        exchange = s.exchange("direct")
        returned = []
        s.channel.add_on_return_callback(lambda *message: returned.append(message))
        properties = pika.BasicProperties(message_id="m-1", headers={"a": 1})
        s.channel.basic_publish(exchange, "nobody", b"back", properties, mandatory=True)
        s.wait_until(lambda: returned)
        _, method, properties, body = returned[0]
        equal((method.reply_code, method.reply_text, method.exchange, method.routing_key),
              (312, "NO_ROUTE", exchange, "nobody"), "return")
        equal((properties.message_id, properties.headers, body), ("m-1", {"a": 1}, b"back"), "content")


@check
def mandatory_with_confirms():
    with session() as s:
        s.channel.confirm_delivery()
        with raises(UnroutableError):
            s.channel.basic_publish("", unique("nobody"), b"back", mandatory=True)
        queue = s.queue()
        s.channel.basic_publish("", queue, b"routed", mandatory=True)
        equal(s.bodies(queue), [b"routed"], "routed")


@check
def full_queue_nacks():
    with session() as s:
        queue = s.queue(arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        s.publish("", queue, b"fits")
        with raises(NackError):
            s.publish("", queue, b"refused")
        equal(s.bodies(queue), [b"fits"], "kept")


@check
def publish_to_missing_exchange():
    with session() as s:
        missing = unique("missing")
        with channel_closed(404, f"NOT_FOUND - no exchange '{missing}' in vhost '/'"):
            s.publish(missing, "k", b"lost")


@check
def publish_errors():
    with session() as s:
        queue = s.queue()
        for text, properties in (
            ("user_id property set to 'bob' but authenticated user was 'guest'", {"user_id": "bob"}),
            ("invalid expiration 'abc': no_integer", {"expiration": "abc"}),
            ("invalid expiration '-1': {value_negative,-1}", {"expiration": "-1"}),
            ("fast reply consumer does not exist", {"reply_to": "amq.rabbitmq.reply-to"}),
        ):
            channel = s.connection.channel()
            channel.confirm_delivery()
            with channel_closed(406, f"PRECONDITION_FAILED - {text}"):
                channel.basic_publish("", queue, b"x", pika.BasicProperties(**properties))
        equal(s.depth(queue), 0, "nothing arrived")


@check
def transaction_commit_and_rollback():
    with session() as s, session() as reader:
        queue = s.queue()
        s.channel.tx_select()
        s.channel.basic_publish("", queue, b"rolled back")
        s.channel.tx_rollback()
        s.channel.basic_publish("", queue, b"1")
        s.channel.basic_publish("", queue, b"2")
        equal(reader.depth(queue), 0, "before commit")
        s.channel.tx_commit()
        equal(reader.depth(queue), 2, "after commit")
        # Acks belong to the transaction too.
        tag = s.channel.basic_get(queue)[0].delivery_tag
        s.channel.basic_ack(tag)
        s.channel.tx_rollback()
        s.channel.basic_ack(tag)
        s.channel.tx_commit()
        equal(reader.bodies(queue), [b"2"], "left")


@check
def transaction_errors():
    with session() as s:
        with channel_closed(406, "PRECONDITION_FAILED - channel is not transactional"):
            s.connection.channel().tx_commit()
        confirming = s.connection.channel()
        confirming.confirm_delivery()
        with channel_closed(406, "PRECONDITION_FAILED - cannot switch from confirm to tx mode"):
            confirming.tx_select()
        s.channel.tx_select()
        with channel_closed(406, "PRECONDITION_FAILED - cannot switch from tx to confirm mode"):
            s.channel.confirm_delivery()


@check
def properties_round_trip():
    with session() as s:
        queue = s.queue()
        sent = pika.BasicProperties(
            content_type="text/plain", content_encoding="utf-8", headers={"k": "v"}, delivery_mode=2,
            priority=7, correlation_id="corr", reply_to="reply", expiration="60000", message_id="id",
            timestamp=1700000000, type="type", user_id="guest", app_id="app", cluster_id="cluster")
        s.publish("", queue, b"body", properties=sent)
        equal(vars(s.take(queue)[1]), vars(sent), "properties")
        s.publish("", queue, b"bare")
        equal(vars(s.take(queue)[1]), vars(pika.BasicProperties()), "no properties")


@check
def headers_round_trip():
    with session() as s:
        queue = s.queue()
        headers = {
            "text": "žluťoučký",
            "empty": "",
            "bytes": b"\x00\xff\x01",
            "true": True,
            "false": False,
            "int": -5,
            "big": 2**40,
            "small": -(2**62),
            "decimal": decimal.Decimal("-12.345"),
            "time": datetime.datetime(2020, 2, 29, 12, 30, tzinfo=datetime.timezone.utc),
            "void": None,
            "array": [1, "two", [3, None], {"four": 4}],
            "table": {"inner": {"deep": [True, b"x"]}, "none": {}},
            "no items": [],
            "k" * 255: "long key",
            "long text": "x" * 20000,
        }
        s.publish("", queue, b"", properties=pika.BasicProperties(headers=headers))
        equal(s.take(queue)[1].headers, headers, "headers")


@check
def large_and_empty_bodies():
    with session() as s:
        queue = s.queue()
        bodies = [b"", b"x", bytes(131072 - 8), bytes(131072 - 7), bytes(range(256)) * 1500, b"\xce" * 5_000_000]
        s.publish("", queue, *bodies)
        got = s.bodies(queue)
        equal([len(b) for b in got], [len(b) for b in bodies], "lengths")
        equal(got == bodies, True, "same octets")


@check
def large_body_to_a_consumer():
    with session() as s:
        queue = s.queue()
        got = []
        s.channel.basic_consume(queue, lambda _c, _m, _p, body: got.append(body), auto_ack=True)
        body = bytes(n % 251 for n in range(1_000_000))
        s.publish("", queue, body, b"", body)
        s.wait_until(lambda: len(got) == 3)
        equal(got == [body, b"", body], True, "same octets")
