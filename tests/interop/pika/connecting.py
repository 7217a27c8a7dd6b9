"""Opening, refusing, idling, and closing connections and channels."""

import threading

import pika
from pika.exceptions import ConnectionClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError

from checks import check, contains, equal, unique
from session import channel_closed, parameters, raises, session


@check
def connect_and_close():
    connection = pika.BlockingConnection(parameters())
    server = connection._impl.server_properties
    for name in ("product", "version", "platform", "capabilities"):
        contains(list(server), name)
    for supported in (
        connection.basic_nack_supported,
        connection.consumer_cancel_notify_supported,
        connection.exchange_exchange_bindings_supported,
        connection.publisher_confirms_supported,
        server["capabilities"]["direct_reply_to"],
        server["capabilities"]["authentication_failure_close"],
    ):
        equal(supported, True, "capability")
    connection.close()
    equal(connection.is_closed, True, "closed")


@check
def wrong_password_refused():
    wrong = parameters(credentials=pika.PlainCredentials("guest", "wrong"))
    with raises(
        ProbableAuthenticationError,
        "(403) 'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. "
        "For details see the broker logfile.'",
    ):
        pika.BlockingConnection(wrong)


@check
def unknown_user_refused():
    unknown = parameters(credentials=pika.PlainCredentials(unique("user"), "guest"))
    with raises(ProbableAuthenticationError, "(403) 'ACCESS_REFUSED - Login was refused"):
        pika.BlockingConnection(unknown)


@check
def unknown_vhost_refused():
    vhost = unique("vhost")
    with raises(ProbableAccessDeniedError, f"(530) 'NOT_ALLOWED - vhost {vhost} not found'"):
        pika.BlockingConnection(parameters(virtual_host=vhost))


@check
def negotiated_limits_are_honoured():
    with session(channel_max=3, frame_max=4096, heartbeat=30) as s:
        equal(s.connection._impl.params.channel_max, 3, "channel_max")
        equal(s.connection._impl.params.frame_max, 4096, "frame_max")
        queue = s.queue(exclusive=True)
        s.publish("", queue, b"x" * 100_000)
        equal(s.take(queue)[2], b"x" * 100_000, "body in frames of 4096")


@check
def connection_errors_name_their_cause():
    # Publishing with 'immediate' is the connection error that a well-behaved client can provoke.
    with session() as s:
        impl = s.channel._impl
        impl._send_method(pika.spec.Basic.Publish(exchange="", routing_key="x", immediate=True),
                          (pika.BasicProperties(), b""))
        with raises(ConnectionClosedByBroker, "(540) 'NOT_IMPLEMENTED - immediate=true'"):
            s.wait_until(lambda: s.connection.is_closed)


@check
def channel_error_leaves_other_channels():
    with session() as s:
        other = s.connection.channel()
        missing = unique("missing")
        with channel_closed(404, f"NOT_FOUND - no queue '{missing}' in vhost '/'"):
            other.queue_declare(missing, passive=True)
        equal(other.is_closed, True, "failed channel closed")
        queue = s.queue(exclusive=True)
        s.publish("", queue, b"still here")
        equal(s.take(queue)[2], b"still here", "other channel")
        equal(s.connection.channel().is_open, True, "new channel")


@check
def channel_numbers_are_reused():
    with session() as s:
        for _ in range(3):
            channel = s.connection.channel(7)
            missing = unique("missing")
            with channel_closed(404, f"NOT_FOUND - no exchange '{missing}' in vhost '/'"):
                channel.exchange_declare(missing, passive=True)
        s.connection.channel(7).close()


@check
def many_channels():
    with session() as s:
        channels = [s.connection.channel() for _ in range(100)]
        queue = s.queue(exclusive=True)
        for number, channel in enumerate(channels):
            channel.basic_publish("", queue, b"%d" % number)
            channel.close()
        equal(s.depth(queue), 100, "messages from 100 channels")


@check
def flow_active_is_confirmed():
    with session() as s:
        equal(s.channel.flow(True), True, "flow-ok")


@check
def heartbeats_keep_an_idle_connection():
    with session(heartbeat=1) as s:
        queue = s.queue(exclusive=True)
        s.connection.sleep(5)
        s.publish("", queue, b"awake")
        equal(s.take(queue)[2], b"awake", "after 5 s of silence")


@check
def silent_client_is_dropped():
    # Nothing is read or written for more than three heartbeat intervals: the broker must hang up.
    connection = pika.BlockingConnection(parameters(heartbeat=1))
    connection._impl._heartbeat_checker.stop()
    connection._impl._heartbeat_checker = None
    with raises(pika.exceptions.AMQPConnectionError):
        while True:
            connection.process_data_events(time_limit=1)


@check
def exclusive_queue_can_be_redeclared_after_reconnecting():
    with session() as first:
        queue = first.queue(exclusive=True)
        first.connection.close()
        second = pika.BlockingConnection(parameters())
        equal(second.channel().queue_declare(queue, exclusive=True).method.queue, queue, "queue")
        second.close()


@check
def update_secret():
    with session() as s:
        s.connection.update_secret("guest", "rotation")
        equal(s.connection.channel().is_open, True, "channel after update-secret")


@check
def publish_from_another_thread():
    with session() as s:
        queue = s.queue(exclusive=True)
        done = threading.Event()

        def publish():
            s.publish("", queue, b"from a thread")
            done.set()

        thread = threading.Thread(target=s.connection.add_callback_threadsafe, args=(publish,))
        thread.start()
        s.wait_until(done.is_set)
        thread.join()
        equal(s.take(queue)[2], b"from a thread", "body")
