"""Python tools that use the management API: pyrabbit2, AmqpStorm, Flower, the parser of prometheus_client; and
what monitoring agents read of it."""

import asyncio
import base64
import contextlib
import json
import os
import time
import urllib.parse
import urllib.request

import pika
from amqpstorm.management import ApiError, ManagementApi
from flower.utils.broker import Broker
from prometheus_client.parser import text_string_to_metric_families
from pyrabbit2.api import Client
from pyrabbit2.http import HTTPError

from checks import AMQP_HOST, AMQP_PORT, AMQP_URL, check, contains, equal, main, unique

URL = os.environ["MANAGEMENT_URL"].rstrip("/")
# RabbitMQ has its metrics elsewhere.
PROMETHEUS_URL = os.environ.get("PROMETHEUS_URL", URL).rstrip("/")
HOST = urllib.parse.urlparse(URL).netloc
AUTHORIZATION = "Basic " + base64.b64encode(b"guest:guest").decode()


def ask(path, method="GET", body=None, base=f"{URL}/api/"):
    """The status, headers and JSON of an answer, whatever the status."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data=data, method=method, headers={"authorization": AUTHORIZATION})
    try:
        answer = urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as error:
        answer = error
    text = answer.read()
    return answer.status, answer.headers, json.loads(text) if text else None


def eventually(what, happened, seconds=10):
    """Waits for what RabbitMQ counts some seconds late."""
    until = time.monotonic() + seconds
    while not happened():
        if until < time.monotonic():
            raise AssertionError(f"never came: {what}")
        time.sleep(0.05)


@contextlib.contextmanager
def queue(label, **fields):
    name = unique(label)
    path = f"queues/%2F/{name}"
    equal(ask(path, "PUT", {"durable": True, **fields})[0], 201, "declare")
    try:
        yield name
    finally:
        ask(path, "DELETE")


@contextlib.contextmanager
def amqp():
    connection = pika.BlockingConnection(pika.URLParameters(AMQP_URL))
    try:
        yield connection.channel()
    finally:
        connection.close()


@check
def pyrabbit_accounts():
    client = Client(HOST, "guest", "guest")
    vhost, user = unique("v"), unique("u")
    equal(client.is_alive(), True)
    equal(client.get_whoami()["name"], "guest")
    client.create_vhost(vhost)
    contains(client.get_vhost_names(), vhost)
    client.create_user(user, "secret", tags="monitoring")
    client.set_vhost_permissions(vhost, user, "^a", "^b", ".*")
    row = client.get_permission(vhost, user)
    equal((row["configure"], row["read"], row["write"]), ("^a", "^b", ".*"))
    equal(len(client.get_user_permissions(user)), 1)
    equal(Client(HOST, user, "secret").get_whoami()["name"], user)
    client.delete_permission(vhost, user)
    client.delete_user(user)
    client.delete_vhost(vhost)
    equal(vhost in client.get_vhost_names(), False)
    equal("rabbitmq_version" in client.get_overview(), True)
    equal(client.get_nodes()[0]["running"], True)


@check
def pyrabbit_queues_and_messages():
    client = Client(HOST, "guest", "guest")
    name, exchange = unique("q"), unique("x")
    client.create_exchange("/", exchange, "topic", durable=False)
    client.create_queue("/", name, durable=False)
    try:
        client.create_binding("/", exchange, name, rt_key="a.*")
        equal(len(client.get_queue_bindings("/", name)), 2)
        equal(client.publish("/", exchange, "a.b", "hello"), True)
        equal(client.publish("/", exchange, "b", "nowhere"), False)
        eventually("the depth", lambda: client.get_queue("/", name).get("messages") == 1)
        equal(client.get_queue_depth("/", name), 1)
        (message,) = client.get_messages("/", name, count=5, requeue=False)
        equal((message["payload"], message["routing_key"]), ("hello", "a.b"))
        client.purge_queue("/", name)
        client.delete_binding("/", exchange, name, "a.*")
        contains([item["name"] for item in client.get_exchanges("/")], exchange)
    finally:
        client.delete_queue("/", name)
        client.delete_exchange("/", exchange)
    try:
        client.get_queue("/", name)
        raise AssertionError("the queue is still there")
    except HTTPError as error:
        equal(error.status, 404)


@check
def pyrabbit_policies_and_definitions():
    client = Client(HOST, "guest", "guest")
    name = unique("p")
    client.create_policy("/", name, pattern=f"^{name}$", definition={"max-length": 7}, priority=3)
    try:
        policy = client.get_policy("/", name)
        equal((policy["definition"], policy["priority"]), ({"max-length": 7}, 3))
        contains([policy["name"] for policy in client.get_definitions()["policies"]], name)
    finally:
        client.delete_policy("/", name)
    equal(isinstance(client.get_extensions(), list), True)


@check
def amqpstorm_objects():
    api = ManagementApi(URL, "guest", "guest")
    vhost, user, name, exchange = unique("v"), unique("u"), unique("q"), unique("x")
    api.virtual_host.create(vhost)
    try:
        api.user.create(user, "secret", tags="management")
        api.user.set_permission(user, vhost)
        equal(api.user.get_permission(user, vhost)["read"], ".*")
        api.exchange.declare(exchange, "fanout", virtual_host=vhost)
        api.queue.declare(name, virtual_host=vhost, arguments={"x-max-length": 5})
        api.queue.bind(name, exchange, routing_key="k", virtual_host=vhost, arguments=None)
        equal(len(api.queue.bindings(name, virtual_host=vhost)), 2)
        api.basic.publish("body", "k", exchange=exchange, virtual_host=vhost, properties={"message_id": "1"})
        (message,) = api.basic.get(name, virtual_host=vhost, requeue=False)
        equal((message.body, message.properties["message_id"]), ("body", "1"))
        equal(api.basic.get(name, virtual_host=vhost), [])
        equal(api.queue.get(name, virtual_host=vhost)["arguments"], {"x-max-length": 5})
        api.queue.purge(name, virtual_host=vhost)
        api.queue.unbind(name, exchange, routing_key="k", virtual_host=vhost)
        equal(len(api.exchange.bindings(exchange, virtual_host=vhost)), 0)
        listed = api.queue.list(virtual_host=vhost, name=name[:-2], show_all=True)
        equal([item["name"] for item in listed], [name])
        equal(api.aliveness_test(vhost)["status"], "ok")
        api.queue.delete(name, virtual_host=vhost)
        api.exchange.delete(exchange, virtual_host=vhost)
        api.user.delete([user])
    finally:
        api.virtual_host.delete(vhost)
    try:
        api.virtual_host.get(vhost)
        raise AssertionError("the vhost is still there")
    except ApiError as error:
        equal(error.error_code, 404)


@check
def amqpstorm_connections():
    api = ManagementApi(URL, "guest", "guest")
    node = api.nodes()[0]["name"]
    equal(api.node(node)["name"], node)
    equal("cluster_name" in api.overview(), True)
    equal(api.whoami()["name"], "guest")
    equal(api.healthchecks.get()["status"], "ok")
    equal(api.healthchecks.get(node)["status"], "ok")
    properties = pika.URLParameters(AMQP_URL)
    mark = unique("connection")
    properties.client_properties = {"connection_name": mark}
    connection = pika.BlockingConnection(properties)
    connection.channel()

    def mine():
        return [item for item in api.connection.list() if item.get("user_provided_name") == mark]

    eventually("the connection", mine)
    name = mine()[0]["name"]
    equal(api.connection.get(name)["user"], "guest")
    eventually("the channel", lambda: [c for c in api.channel.list() if c["name"].startswith(name)])
    api.connection.close(name, reason="enough")
    try:
        while True:
            connection.process_data_events(time_limit=1)
    except pika.exceptions.ConnectionClosed as error:
        equal(error.reply_code, 320)
        contains(error.reply_text, "enough")


@check
def flower_broker_tab():
    with queue("flower") as name, amqp() as channel:
        channel.basic_publish("", name, b"task")

        async def listed():
            broker = Broker(f"amqp://guest:guest@{AMQP_HOST}:{AMQP_PORT}//", http_api=f"{URL}/api/")
            return await broker.queues([name])

        def counted():
            rows = asyncio.run(listed())
            return rows and rows[0].get("messages") == 1

        eventually("the message", counted)
        (row,) = asyncio.run(listed())
        equal([row[key] for key in ("name", "messages_ready", "messages_unacknowledged", "consumers")], [name, 1, 0, 0])


FAMILIES = [
    "queue_coarse_metrics", "queue_metrics", "queue_consumer_count", "queue_exchange_metrics", "vhost_status",
    "exchange_names", "exchange_bindings", "connection_coarse_metrics", "connection_metrics",
    "connection_churn_metrics", "channel_metrics", "channel_queue_metrics", "channel_exchange_metrics",
    "node_metrics", "node_coarse_metrics", "node_persister_metrics", "auth_attempt_metrics", "ra_metrics",
]


def scrape(path):
    with urllib.request.urlopen(PROMETHEUS_URL + path, timeout=10) as answer:
        return {family.name: family for family in text_string_to_metric_families(answer.read().decode())}


@check
def prometheus_reads_every_page():
    with queue("metrics") as name, amqp() as channel:
        channel.basic_publish("", name, b"body")
        every = "&".join(f"family={family}" for family in FAMILIES)
        for path in ("/metrics", "/metrics/per-object", f"/metrics/detailed?{every}", "/metrics/detailed"):
            contains(scrape(path), "rabbitmq_identity_info")
        equal("rabbitmq_queue_messages_ready" in scrape("/metrics"), True)
        detailed = scrape("/metrics/detailed?family=queue_coarse_metrics&vhost=%2F")
        samples = detailed["rabbitmq_detailed_queue_messages_ready"].samples
        (mine,) = [sample for sample in samples if sample.labels["queue"] == name]
        equal((mine.value, mine.labels["vhost"]), (1.0, "/"))


@check
def autoscalers_find_queues_by_name_and_by_pattern():
    with queue("keda") as name, amqp() as channel:
        for _ in range(3):
            channel.basic_publish("", name, b"body")
        eventually("three messages", lambda: ask(f"queues/%2F/{name}")[2].get("messages") == 3)
        one = ask(f"queues/%2F/{name}")[2]
        equal((one["messages_ready"], one["messages_unacknowledged"]), (3, 0))
        equal(isinstance(one["message_stats"]["publish_details"]["rate"], (int, float)), True)
        pattern = urllib.parse.quote(f"^{name.replace('.', '[.]')}$")
        query = f"queues/%2F?page=1&use_regex=true&pagination=false&name={pattern}&page_size=100"
        paged = ask(query)[2]
        equal([item["name"] for item in paged["items"]], [name])
        equal((paged["page_count"], paged["filtered_count"]), (1, 1))


@check
def agents_find_what_they_index():
    overview = ask("overview")[2]
    for key in ("rabbitmq_version", "cluster_name", "message_stats", "queue_totals", "object_totals"):
        equal(overview.get(key) is not None, True, key)
    for key in ("channels", "connections", "consumers", "exchanges", "queues"):
        equal(isinstance(overview["object_totals"][key], int), True, key)
    (node,) = ask("nodes")[2]
    numbers = "fd_used fd_total sockets_used proc_used proc_total mem_used mem_limit disk_free_limit run_queue uptime"
    for key in numbers.split():
        equal(isinstance(node[key], int), True, key)
    for key in ("running", "mem_alarm", "disk_free_alarm"):
        equal(isinstance(node[key], bool), True, key)
    equal(node["partitions"], [])
    equal(ask("aliveness-test/%2F")[2], {"status": "ok"})
    equal(ask("health/checks/alarms")[0], 200)
    parameters = {item["name"]: item["value"] for item in ask("definitions")[2]["global_parameters"]}
    contains(parameters["internal_cluster_id"], "rabbitmq-cluster-id-")


@check
def infrastructure_tools_find_a_binding_where_they_are_told():
    with queue("bound") as name:
        path = f"bindings/%2F/e/amq.topic/q/{name}"
        for body in ({"routing_key": "a/b+#"}, {"routing_key": "a/b+#", "arguments": {"x": 1}}, {}):
            status, headers, _ = ask(path, "POST", body)
            equal(status, 201)
            # As Terraform does: the last segment, decoded once, is the key to look for.
            key = urllib.parse.unquote(headers["location"].rsplit("/", 1)[1])
            keys = [item["properties_key"] for item in ask(path)[2]]
            contains(keys, key)
            item = f"{path}/{urllib.parse.quote(key, safe='')}"
            equal(ask(item)[2]["routing_key"], body.get("routing_key", ""))
            equal(ask(item, "DELETE")[0], 204)
            equal(ask(item)[0], 404)


main()
