"""Every subcommand of rabbitmqadmin, RabbitMQ's own command-line tool for the management API."""

import contextlib
import json
import os
import subprocess
import tempfile
import time
import urllib.parse

import pika

from checks import AMQP_URL, check, contains, equal, main, unique

SCRIPT = os.path.join(os.environ["INTEROP_WORK"], "rabbitmqadmin")
ADDRESS = urllib.parse.urlparse(os.environ["MANAGEMENT_URL"])
LISTS = (
    "users vhosts connections exchanges bindings permissions channels parameters consumers queues policies "
    "operator_policies vhost_limits nodes"
)


def admin(*arguments, fails=False, stdin=None):
    """What it prints; it must end well, or must not."""
    command = ["python3", SCRIPT, "-H", ADDRESS.hostname, "-P", str(ADDRESS.port), *arguments]
    # Without the home there is no configuration file of somebody's.
    surroundings = {**os.environ, "HOME": os.environ["INTEROP_WORK"]}
    ended = subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=12, env=surroundings)
    equal(ended.returncode != 0, fails, f"{arguments}: {ended.stdout}{ended.stderr}")
    return ended.stdout + ended.stderr


def items(kind, *arguments):
    return json.loads(admin("-f", "raw_json", *arguments, "list", kind))


@contextlib.contextmanager
def vhost():
    """A vhost of its own, so that whole lists can be compared."""
    name = unique("v")
    admin("declare", "vhost", f"name={name}")
    try:
        yield name
    finally:
        admin("delete", "vhost", f"name={name}")


@check
def lists_of_everything():
    for kind in LISTS.split():
        admin("list", kind)
    contains(admin("show", "overview"), "rabbitmq_version")


@check
def formats_and_columns():
    with vhost() as name:
        admin("-V", name, "declare", "queue", "name=q1", "durable=true", 'arguments={"x-max-length": 5}')
        admin("-V", name, "declare", "queue", "name=q2", "durable=false")
        equal(admin("-V", name, "-f", "tsv", "list", "queues", "name", "durable").splitlines()[1:],
              ["q1\tTrue", "q2\tFalse"])
        equal(admin("-V", name, "-f", "bash", "list", "queues").split(), ["q1", "q2"])
        equal(admin("-V", name, "-f", "tsv", "-S", "name", "-R", "list", "queues", "name").split(), ["name", "q2", "q1"])
        contains(admin("-V", name, "-f", "kvp", "list", "queues", "name"), 'name="q1"')
        contains(admin("-V", name, "-f", "long", "-d", "3", "list", "queues"), "arguments.x-max-length: 5")
        contains(admin("-V", name, "-f", "pretty_json", "list", "queues"), '"q2"')
        contains(admin("-V", name, "list", "queues", "name", "messages"), "| q1   |")


@check
def topology():
    with vhost() as name:
        admin("-V", name, "declare", "exchange", "name=x", "type=topic")
        admin("-V", name, "declare", "exchange", "name=inner", "type=fanout", "internal=true")
        admin("-V", name, "declare", "queue", "name=q", "queue_type=quorum", "durable=true")
        admin("-V", name, "declare", "binding", "source=x", "destination=q", "routing_key=a/b c.#")
        admin("-V", name, "declare", "binding", "source=x", "destination=inner", "destination_type=exchange")
        bound = [item for item in items("bindings", "-V", name) if item["source"] == "x"]
        equal(sorted(item["properties_key"] for item in bound), ["a%2Fb+c.%23", "~"])
        admin("-V", name, "delete", "binding", "source=x", "destination=q", "destination_type=queue",
              "properties_key=a%2Fb+c.%23")
        equal([item["destination"] for item in items("bindings", "-V", name) if item["source"] == "x"], ["inner"])
        (queue,) = items("queues", "-V", name)
        equal(queue["arguments"]["x-queue-type"], "quorum")
        contains(admin("-V", name, "declare", "exchange", "name=x", "type=direct", fails=True), "inequivalent arg 'type'")
        for kind, object_name in (("queue", "q"), ("exchange", "x"), ("exchange", "inner")):
            admin("-V", name, "delete", kind, f"name={object_name}")
        contains(admin("-V", name, "delete", "queue", "name=q", fails=True), "Not found")


@check
def accounts():
    with vhost() as name:
        user, hashed = unique("u"), unique("h")
        admin("declare", "user", f"name={user}", "password=secret", "tags=management")
        admin("declare", "user", f"name={hashed}", "tags=management",
              "password_hash=kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
              "hashing_algorithm=rabbit_password_hashing_sha256")
        admin("declare", "permission", f"vhost={name}", f"user={user}", "configure=.*", "write=.*", "read=.*")
        admin("-V", name, "-u", user, "-p", "secret", "declare", "queue", "name=own")
        admin("-u", hashed, "-p", "test12", "show", "overview")
        contains(admin("-u", user, "-p", "wrong", "list", "queues", fails=True), "Access refused")
        admin("delete", "permission", f"vhost={name}", f"user={user}")
        admin("delete", "user", f"name={user}")
        admin("delete", "user", f"name={hashed}")


@check
def policies_and_limits():
    with vhost() as name:
        admin("-V", name, "declare", "policy", "name=p", "pattern=^q", 'definition={"max-length": 5}', "priority=1",
              "apply-to=queues")
        admin("-V", name, "declare", "operator_policy", "name=o", "pattern=^q", 'definition={"expires": 600000}')
        admin("declare", "vhost_limit", f"vhost={name}", "name=max-queues", "value=1")
        admin("-V", name, "declare", "queue", "name=q")
        # RabbitMQ says it some seconds late.
        while "policy" not in (queue := items("queues", "-V", name)[0]):
            time.sleep(0.5)
        equal((queue["policy"], queue["operator_policy"]), ("p", "o"))
        contains(admin("-V", name, "declare", "queue", "name=q2", fails=True), "limit")
        admin("-V", name, "delete", "policy", "name=p")
        admin("-V", name, "delete", "operator_policy", "name=o")
        admin("delete", "vhost_limit", f"vhost={name}", "name=max-queues")
        admin("-V", name, "declare", "queue", "name=q2")
        contains(admin("-V", name, "declare", "parameter", "component=none", "name=x", "value={}", fails=True), "not found")


@check
def messages():
    with vhost() as name, tempfile.TemporaryDirectory() as directory:
        admin("-V", name, "declare", "queue", "name=q")
        contains(admin("-V", name, "publish", "routing_key=q", "payload=hello", "exchange=amq.default"), "Message published")
        admin("-V", name, "publish", "routing_key=q", 'properties={"delivery_mode": 2, "headers": {"k": 1}}', stdin="piped")
        contains(admin("-V", name, "publish", "routing_key=none", "payload=x"), "NOT routed")
        shown = json.loads(admin("-V", name, "-f", "raw_json", "get", "queue=q", "ackmode=ack_requeue_true", "count=5"))
        equal([(item["payload"], item["message_count"]) for item in shown], [("hello", 1), ("piped", 0)])
        equal(shown[1]["properties"], {"delivery_mode": 2, "headers": {"k": 1}})
        file = os.path.join(directory, "payload")
        admin("-V", name, "get", "queue=q", "ackmode=ack_requeue_false", f"payload_file={file}")
        with open(file, encoding="utf-8") as payload:
            equal(payload.read(), "hello")
        admin("-V", name, "purge", "queue", "name=q")
        contains(admin("-V", name, "get", "queue=q"), "No items")


@check
def definitions():
    with vhost() as name, tempfile.TemporaryDirectory() as directory:
        admin("-V", name, "declare", "queue", "name=q", "durable=true")
        whole, part = (os.path.join(directory, file) for file in ("whole.json", "part.json"))
        admin("export", whole)
        admin("-V", name, "export", part)
        admin("-V", name, "delete", "queue", "name=q")
        admin("-V", name, "import", part)
        equal([item["name"] for item in items("queues", "-V", name)], ["q"])
        with open(whole, encoding="utf-8") as file:
            contains([item["name"] for item in json.load(file)["vhosts"]], name)


@check
def connections():
    connection = pika.BlockingConnection(pika.URLParameters(AMQP_URL + "?heartbeat=30"))
    mine = connection._impl._transport._sock.getsockname()[1]
    names = []
    while not names:
        names = [item["name"] for item in items("connections") if item.get("peer_port") == mine]
    admin("close", "connection", f"name={names[0]}")
    try:
        while True:
            connection.process_data_events(time_limit=1)
    except pika.exceptions.ConnectionClosed as error:
        equal(error.reply_code, 320)
    contains(admin("close", "connection", "name=none", fails=True), "Not found")


main()
