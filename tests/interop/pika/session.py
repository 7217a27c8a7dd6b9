"""A pika connection for one check, with helpers that fail with what was seen."""

import contextlib

import pika
from pika.exceptions import ChannelClosedByBroker

from checks import AMQP_URL, contains, equal, unique


def parameters(**overrides):
    """The broker's address with single connection settings replaced."""
    wanted = pika.URLParameters(AMQP_URL)
    for name, value in overrides.items():
        setattr(wanted, name, value)
    return wanted


@contextlib.contextmanager
def session(**overrides):
    """Yields a Session and afterwards removes the queues and exchanges that it named."""
    opened = Session(**overrides)
    try:
        yield opened
    finally:
        opened.clean()


class Session:
    def __init__(self, **overrides):
        self.connection = pika.BlockingConnection(parameters(**overrides))
        self.channel = self.connection.channel()
        self._publisher = None
        self._queues, self._exchanges = [], []

    def queue(self, label="queue", **arguments):
        name = unique(label)
        self.channel.queue_declare(name, **arguments)
        self._queues.append(name)
        return name

    def exchange(self, kind, label="exchange", **arguments):
        name = unique(label)
        self.channel.exchange_declare(name, kind, **arguments)
        self._exchanges.append(name)
        return name

    def bound_queue(self, exchange, key="", arguments=None):
        name = self.queue()
        self.channel.queue_bind(name, exchange, key, arguments)
        return name

    def publish(self, exchange, key, *bodies, properties=None):
        """Publishes and waits for the confirms, so that queues have the messages afterwards.

        This goes over a channel of its own: 'channel' stays in the mode that the check chose.
        """
        if self._publisher is None or self._publisher.is_closed:
            self._publisher = self.connection.channel()
            self._publisher.confirm_delivery()
        for body in bodies:
            self._publisher.basic_publish(exchange, key, body, properties)

    def depth(self, queue):
        """The number of ready messages."""
        return self.channel.queue_declare(queue, passive=True).method.message_count

    def take(self, queue):
        """One message that must be there: its get-ok, properties and body."""
        got = self.channel.basic_get(queue, auto_ack=True)
        if got[0] is None:
            raise AssertionError(f"{queue} is empty")
        return got

    def bodies(self, queue):
        """Takes everything out of the queue."""
        return [self.take(queue)[2] for _ in range(self.depth(queue))]

    def wait_until(self, done):
        """Handles what arrives until done() holds; the check's own time limit bounds it."""
        while not done():
            self.connection.process_data_events(time_limit=1)

    def clean(self):
        if self.connection.is_open:
            self.connection.close()
        if self._queues or self._exchanges:
            with pika.BlockingConnection(parameters()) as connection:
                channel = connection.channel()
                for name in self._queues:
                    channel.queue_delete(name)
                for name in self._exchanges:
                    channel.exchange_delete(name)


@contextlib.contextmanager
def channel_closed(code, text):
    """The block must make the broker close the channel with this code and exactly this text."""
    try:
        yield
    except ChannelClosedByBroker as error:
        equal((error.reply_code, error.reply_text), (code, text), "channel close")
    else:
        raise AssertionError(f"the channel was not closed with {code} {text}")


@contextlib.contextmanager
def raises(kind, part=""):
    """The block must raise this exception, with this part in its text."""
    try:
        yield
    except kind as error:
        contains(repr(error), part)
    else:
        raise AssertionError(f"{kind} was not raised")
