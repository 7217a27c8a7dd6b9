"""A super stream: partitions behind one exchange, shared by a group of consumers that remember how far they were."""

import os

import pika

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")
ORDERS = f"example.orders.{os.getpid()}"
PARTITIONS = 3


def declare(channel):
    """An exchange that hashes keys and the streams behind it, numbered; `PUT /api/stream/super-streams` does the same."""
    channel.exchange_declare(ORDERS, "x-modulus-hash", durable=True, arguments={"x-super-stream": True})
    for number in range(PARTITIONS):
        stream = f"{ORDERS}-{number}"
        channel.queue_declare(stream, durable=True, arguments={"x-queue-type": "stream"})
        channel.queue_bind(stream, ORDERS, str(number), arguments={"x-stream-partition-order": number})


class Member:
    """A member of the group: it consumes from every partition, and gets those whose turn is its own."""

    def __init__(self, name):
        self.name, self.seen = name, []
        self.connection = pika.BlockingConnection(pika.URLParameters(URL))
        self.channel = self.connection.channel()
        self.channel.basic_qos(prefetch_count=10)
        for number in range(PARTITIONS):
            group = {
                "x-stream-offset-name": "billing",
                "x-single-active-consumer": True,
                "x-stream-offset": "stored",
            }
            self.channel.basic_consume(f"{ORDERS}-{number}", self.on_order, arguments=group)

    def on_order(self, channel, method, _properties, body):
        self.seen.append(body.decode())
        channel.basic_ack(method.delivery_tag)

    def work(self):
        """Takes what is there for it now."""
        self.connection.process_data_events(time_limit=0.2)


def settle(members, count):
    """Lets the members work until they have seen so many orders together."""
    while sum(len(member.seen) for member in members) < count:
        for member in members:
            member.work()


def main():
    with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        declare(channel)

        def publish(numbers):
            for number in numbers:
                customer = f"customer{number % 12}"
                channel.basic_publish(ORDERS, customer, f"{customer}:{number}")

        members = [Member("Anna"), Member("Boris")]
        publish(range(60))
        settle(members, 60)
        print("together they saw", sum(len(member.seen) for member in members), "orders, both some:",
              all(member.seen for member in members))
        customers = [{order.split(":")[0] for order in member.seen} for member in members]
        print("customers that both saw:", len(customers[0] & customers[1]))

        # One leaves; the other takes its partitions over, from where they were read to.
        members[0].connection.close()
        publish(range(60, 90))
        settle(members[1:], len(members[1].seen) + 30)
        numbers = sorted(int(order.split(":")[1]) for member in members for order in member.seen)
        print("every order once:", numbers == list(range(90)))
        members[1].connection.close()

        for number in range(PARTITIONS):
            channel.queue_delete(f"{ORDERS}-{number}")
        channel.exchange_delete(ORDERS)


if __name__ == "__main__":
    main()
