"""Consuming, acknowledging, prefetching, cancelling, and replies."""

import pika

from checks import check, contains, equal, unique
from session import channel_closed, session


def consume(s, queue, **arguments):
    """Starts a consumer and returns the list that its deliveries are appended to."""
    got = []
    s.channel.basic_consume(queue, lambda *message: got.append(message), **arguments)
    return got


@check
def get_and_get_empty():
    with session() as s:
        queue = s.queue()
        equal(s.channel.basic_get(queue), (None, None, None), "get-empty")
        s.publish("", queue, b"1", b"2", b"3")
        equal(s.depth(queue), 3, "depth")
        method = s.take(queue)[0]
        equal((method.message_count, method.redelivered), (2, False), "get-ok")


@check
def prefetch_is_exact():
    with session() as s:
        queue = s.queue()
        s.publish("", queue, *(b"%d" % n for n in range(10)))
        s.channel.basic_qos(prefetch_count=3)
        got = consume(s, queue)
        s.wait_until(lambda: len(got) == 3)
        equal(s.depth(queue), 7, "waiting with 3 unacked")
        s.channel.basic_ack(got[1][1].delivery_tag, multiple=True)
        s.wait_until(lambda: len(got) == 5)
        equal((s.depth(queue), len(got)), (5, 5), "waiting after 2 acks")
        equal([m[3] for m in got], [b"%d" % n for n in range(5)], "order")


@check
def prefetch_for_the_channel():
    with session() as s:
        one, two = s.queue(), s.queue()
        for queue in (one, two):
            s.publish("", queue, *(b"%d" % n for n in range(5)))
        s.channel.basic_qos(prefetch_count=4, global_qos=True)
        first, second = consume(s, one), consume(s, two)
        s.wait_until(lambda: len(first) + len(second) == 4)
        equal(s.depth(one) + s.depth(two), 6, "waiting")
        s.channel.basic_qos(prefetch_count=6, global_qos=True)
        s.wait_until(lambda: len(first) + len(second) == 6)
        equal(s.depth(one) + s.depth(two), 4, "waiting after a wider limit")


@check
def ack_empties_the_queue():
    with session() as s:
        queue = s.queue()
        s.publish("", queue, b"1", b"2")
        got = consume(s, queue)
        s.wait_until(lambda: len(got) == 2)
        for _, method, _, _ in got:
            s.channel.basic_ack(method.delivery_tag)
        s.channel.close()
        s.channel = s.connection.channel()
        equal(s.depth(queue), 0, "after acks")


@check
def nack_requeues_in_order():
    with session() as s:
        queue = s.queue()
        s.publish("", queue, b"1", b"2", b"3")
        tags = [s.channel.basic_get(queue)[0].delivery_tag for _ in range(3)]
        equal(tags, [1, 2, 3], "delivery tags")
        s.channel.basic_nack(tags[2])
        s.channel.basic_nack(tags[1], multiple=True)
        taken = []
        while len(taken) < 3:
            got = s.channel.basic_get(queue)
            if got[0]:
                taken.append((got[0].redelivered, got[2]))
        equal(taken, [(True, b"1"), (True, b"2"), (True, b"3")], "redelivered")


@check
def reject_requeues_or_drops():
    with session() as s:
        queue = s.queue()
        s.publish("", queue, b"again", b"drop")
        got = consume(s, queue)
        s.wait_until(lambda: len(got) == 2)
        s.channel.basic_reject(got[1][1].delivery_tag, requeue=False)
        s.channel.basic_reject(got[0][1].delivery_tag, requeue=True)
        s.wait_until(lambda: len(got) == 3)
        equal((got[2][1].redelivered, got[2][1].delivery_tag, got[2][3]), (True, 3, b"again"), "redelivery")
        s.channel.basic_ack(3)
        equal(s.depth(queue), 0, "left")


@check
def closing_a_channel_requeues():
    with session() as s:
        queue = s.queue()
        s.publish("", queue, b"1", b"2")
        got = consume(s, queue)
        s.wait_until(lambda: len(got) == 2)
        s.channel.close()
        s.channel = s.connection.channel()
        equal([s.take(queue)[0].redelivered for _ in range(2)], [True, True], "redelivered")


@check
def recover_requeues():
    with session() as s:
        queue = s.queue()
        s.publish("", queue, b"1")
        got = consume(s, queue)
        s.wait_until(lambda: len(got) == 1)
        s.channel.basic_recover(requeue=True)
        s.wait_until(lambda: len(got) == 2)
        equal((got[1][1].redelivered, got[1][3]), (True, b"1"), "redelivery")


@check
def unknown_delivery_tag():
    with session() as s:
        channel = s.connection.channel()
        queue = s.queue()
        channel.basic_ack(5)
        with channel_closed(406, "PRECONDITION_FAILED - unknown delivery tag 5"):
            channel.queue_declare(queue, passive=True)


@check
def round_robin():
    with session() as s:
        queue = s.queue()
        consumers = [consume(s, queue, auto_ack=True) for _ in range(3)]
        s.publish("", queue, *(b"%d" % n for n in range(9)))
        s.wait_until(lambda: sum(map(len, consumers)) == 9)
        equal([len(got) for got in consumers], [3, 3, 3], "shares")


@check
def server_named_consumer():
    with session() as s:
        queue = s.queue()
        # pika invents a tag when none is given, so ask one level deeper with an empty one.
        answered = []
        s.channel._impl._rpc(pika.spec.Basic.Consume(queue=queue, consumer_tag=""),
                             lambda frame: answered.append(frame.method.consumer_tag),
                             [pika.spec.Basic.ConsumeOk])
        s.wait_until(lambda: answered)
        contains(answered[0][:9], "amq.ctag-")


@check
def exclusive_consumer():
    with session() as s:
        queue = s.queue()
        tag = s.channel.basic_consume(queue, lambda *_: None, exclusive=True)
        with channel_closed(403, f"ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use"):
            s.connection.channel().basic_consume(queue, lambda *_: None)
        s.channel.basic_cancel(tag)
        s.connection.channel().basic_consume(queue, lambda *_: None)


@check
def consumer_priority():
    with session() as s:
        queue = s.queue()
        low = consume(s, queue, auto_ack=True)
        high = consume(s, queue, auto_ack=True, arguments={"x-priority": 10})
        s.publish("", queue, *(b"%d" % n for n in range(5)))
        s.wait_until(lambda: len(high) + len(low) == 5)
        equal((len(high), len(low)), (5, 0), "shares")


@check
def cancelled_when_the_queue_goes():
    with session() as s:
        queue = s.queue()
        cancelled = []
        s.channel.add_on_cancel_callback(cancelled.append)
        tag = s.channel.basic_consume(queue, lambda *_: None)
        deleter = s.connection.channel()
        deleter.queue_delete(queue)
        s.wait_until(lambda: cancelled)
        equal(cancelled[0].method.consumer_tag, tag, "cancelled tag")
        equal(s.channel.is_open, True, "channel lives on")


@check
def cancel_keeps_unacked_messages():
    with session() as s:
        queue = s.queue()
        s.channel.basic_qos(prefetch_count=1)
        s.publish("", queue, b"1", b"2")
        got = consume(s, queue)
        s.wait_until(lambda: got)
        s.channel.basic_cancel(s.channel.consumer_tags[0])
        s.channel.basic_ack(got[0][1].delivery_tag)
        equal([s.take(queue)[2]], [b"2"], "left")


@check
def consuming_generator():
    with session() as s:
        queue = s.queue()
        s.publish("", queue, *(b"%d" % n for n in range(5)))
        bodies = []
        for method, _, body in s.channel.consume(queue, inactivity_timeout=5):
            bodies.append(body)
            s.channel.basic_ack(method.delivery_tag)
            if len(bodies) == 5:
                break
        s.channel.cancel()
        equal(bodies, [b"%d" % n for n in range(5)], "bodies")


@check
def direct_reply_to():
    with session() as client, session() as server:
        requests = server.queue("requests")

        def serve(channel, method, properties, body):
            channel.basic_publish("", properties.reply_to, body.upper(),
                                  pika.BasicProperties(correlation_id=properties.correlation_id))
            channel.basic_ack(method.delivery_tag)

        server.channel.basic_consume(requests, serve)
        replies = consume(client, "amq.rabbitmq.reply-to", auto_ack=True)
        for number in range(3):
            properties = pika.BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id=str(number))
            # The answer comes to the channel that asks, so the question has to leave from there.
            client.channel.basic_publish("", requests, b"question", properties)
            while len(replies) <= number:
                server.connection.process_data_events(time_limit=0.02)
                client.connection.process_data_events(time_limit=0.02)
        equal([(m[2].correlation_id, m[3]) for m in replies],
              [(str(n), b"QUESTION") for n in range(3)], "replies")


@check
def direct_reply_to_needs_no_ack():
    with session() as s:
        with channel_closed(406, "PRECONDITION_FAILED - reply consumer cannot acknowledge"):
            s.channel.basic_consume("amq.rabbitmq.reply-to", lambda *_: None)


@check
def replies_by_an_exclusive_queue():
    with session() as client, session() as server:
        requests, mine = server.queue("requests"), client.queue(exclusive=True)
        client.publish("", requests, b"ping", properties=pika.BasicProperties(reply_to=mine))
        got = consume(server, requests, auto_ack=True)
        server.wait_until(lambda: got)
        server.publish("", got[0][2].reply_to, b"pong")
        answers = consume(client, mine, auto_ack=True)
        client.wait_until(lambda: answers)
        equal(answers[0][3], b"pong", "reply")


@check
def consume_from_missing_queue():
    with session() as s:
        missing = unique("missing")
        with channel_closed(404, f"NOT_FOUND - no queue '{missing}' in vhost '/'"):
            s.channel.basic_consume(missing, lambda *_: None)
