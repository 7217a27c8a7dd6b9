"""testcontainers' RabbitMqContainer with our image: its defaults, its own user and vhost, commands inside."""

import os

import pika
from testcontainers.rabbitmq import RabbitMqContainer

IMAGE = os.environ["IMAGE"]


def round_trip(parameters):
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.basic_publish("", queue, b"hello")
    body = None
    for _, _, body in channel.consume(queue, auto_ack=True, inactivity_timeout=10):
        break
    connection.close()
    assert body == b"hello", body


def defaults():
    with RabbitMqContainer(IMAGE) as container:
        round_trip(container.get_connection_params())
        assert "Server startup complete" in b"".join(container.get_logs()).decode()


def user_and_vhost():
    with RabbitMqContainer(IMAGE, port=5673, username="alice", password="wonder", vhost="land") as container:
        parameters = container.get_connection_params()
        assert parameters.virtual_host == "land"
        round_trip(parameters)


def commands_inside():
    with RabbitMqContainer(IMAGE) as container:
        for command in (
            "rabbitmqctl add_vhost site",
            "rabbitmqctl set_permissions -p site guest .* .* .*",
            "rabbitmqadmin --vhost=site declare queue name=tasks durable=true",
        ):
            code, output = container.exec(command)
            assert code == 0, (command, output)
        parameters = container.get_connection_params()
        parameters.virtual_host = "site"
        connection = pika.BlockingConnection(parameters)
        connection.channel().queue_declare("tasks", passive=True)
        connection.close()


for check in (defaults, user_and_vhost, commands_inside):
    check()
    print("ok", check.__name__, flush=True)
