"""The management interface's pages in a browser: every page, what can be done on it, both colours, a narrow screen."""

import base64
import json
import os
import urllib.parse
import urllib.request

import pika

from browser import Browser
from checks import AMQP_URL, check, contains, equal, main, unique

URL = os.environ["MANAGEMENT_URL"]
VHOST = unique("pages")
# In the vhost: more queues than a page of the list shows, and one that a client consumes from.
QUEUES, PAGE = 60, 50
PAGES = {
    "": "Overview", "connections": "Connections", "channels": "Channels", "exchanges": "Exchanges",
    "queues": "Queues and streams", "policies": "Policies and limits", "vhosts": "Virtual hosts", "users": "Users",
    "definitions": "Definitions", "log": "Log",
}


def part(name):
    return urllib.parse.quote(name, safe="")


def api(method, path, body=None):
    """What the HTTP API says; it must be content."""
    token = base64.b64encode(b"guest:guest").decode()
    request = urllib.request.Request(f"{URL}/api/{path}", method=method, headers={"authorization": f"Basic {token}"},
                                     data=None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=8) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def publish(queue, payload, exchange="amq.default"):
    message = {"properties": {}, "routing_key": queue, "payload": payload, "payload_encoding": "string"}
    equal(api("POST", f"exchanges/{part(VHOST)}/{exchange}/publish", message), {"routed": True})


def ready(queue):
    return api("GET", f"queues/{part(VHOST)}/{part(queue)}?columns=messages_ready")["messages_ready"]


def prepare():
    """The vhost, its queues, and a client that publishes and consumes."""
    api("PUT", f"vhosts/{part(VHOST)}", {})
    for number in range(QUEUES):
        api("PUT", f"queues/{part(VHOST)}/{number:02}.list", {"durable": True})
    parameters = pika.URLParameters(AMQP_URL)
    parameters.virtual_host = VHOST
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.queue_declare("busy")
    channel.basic_consume("busy", lambda *_: None)
    for _ in range(20):
        channel.basic_publish("", "busy", b"a hare")
    return connection


def cleanup():
    BROWSER.close()
    if CLIENT.is_open:
        CLIENT.close()
    api("DELETE", f"vhosts/{part(VHOST)}")


def go(path, title):
    """Goes to a page as a link does, and waits for it and for what it shows."""
    BROWSER.run(f"location.hash = {json.dumps('#/' + path)}")
    BROWSER.until(f"document.title.startsWith({json.dumps(title)}) && T.text().length > 20 && !T.text().includes('one moment')")


def queue_page(name):
    go(f"queue/{part(VHOST)}/{part(name)}", name)
    BROWSER.until("T.text().includes('Contents')")


def send(title, **values):
    """Fills in a form that is folded away, and sends it."""
    BROWSER.until(f"T.fold({json.dumps(title)}).querySelector('form')")
    BROWSER.run(f"T.send({json.dumps(title)}, {json.dumps(values)})")


def press(button, row=None):
    within = f"T.row({json.dumps(row)})" if row else "T.main()"
    BROWSER.until(f"T.button({json.dumps(button)}, {within})")
    # Not awaited: it may ask with a dialog, which is answered while we wait for the effect.
    BROWSER.run(f"setTimeout(() => T.button({json.dumps(button)}, {within}).click(), 0)")


def until_text(*words):
    for word in words:
        BROWSER.until(f"T.text().includes({json.dumps(word)})")


def until_gone(word):
    BROWSER.until(f"!T.text().includes({json.dumps(word)})")


@check
def a_wrong_password_is_refused_and_the_right_one_lets_in():
    for password, then in (("wrong", "document.querySelector('.login .note.bad')"), ("guest", "document.querySelector('nav .here')")):
        BROWSER.until("document.querySelector('.login form')")
        BROWSER.run("""{ const form = document.querySelector('.login form');
            form.elements.name.value = 'guest'; form.elements.password.value = '%s'; form.requestSubmit(); }""" % password)
        BROWSER.until(then)


@check
def every_page_opens():
    links = BROWSER.run("[...document.querySelectorAll('nav a')].map((one) => one.textContent)")
    equal(links, list(PAGES.values()), "links")
    for path, title in PAGES.items():
        go(path, title)
    connection = next(one["name"] for one in api("GET", "connections") if one["vhost"] == VHOST)
    go(f"connection/{part(connection)}", connection)
    go(f"channel/{part(connection + ' (1)')}", connection)
    go(f"exchange/{part(VHOST)}/amq.topic", "amq.topic")
    go(f"exchange/{part(VHOST)}/amq.default", "(default)")
    go("user/guest", "guest")
    queue_page("busy")


@check
def the_list_of_queues_filters_sorts_and_pages():
    go(f"queues?name={part('.list')}", "Queues")
    BROWSER.until(f"document.querySelectorAll('tbody tr').length === {PAGE}")
    press("›")
    BROWSER.until(f"document.querySelectorAll('tbody tr').length === {QUEUES - PAGE} && location.hash.includes('page=2')")
    press("‹")
    press("Name ↑" if BROWSER.run("Boolean(T.button('Name ↑'))") else "Name")
    BROWSER.until("location.hash.includes('sort=name')")
    BROWSER.run("""{ const search = document.querySelector('input[type=search]');
        search.value = '17.LIST'; search.dispatchEvent(new Event('input')); }""")
    BROWSER.until("document.querySelectorAll('tbody tr').length === 1 && T.text().includes('17.list')")


@check
def a_queue_is_declared_filled_looked_at_emptied_and_deleted():
    go("queues", "Queues")
    send("Declare a queue", vhost=VHOST, name="by.hand", type="quorum", length="100", arguments='{"x-overflow": "reject-publish"}')
    BROWSER.until("document.querySelector('#toast').innerText.includes('by.hand')")
    declared = api("GET", f"queues/{part(VHOST)}/by.hand")
    equal(declared["arguments"], {"x-queue-type": "quorum", "x-max-length": 100, "x-overflow": "reject-publish"})

    queue_page("by.hand")
    send("Publish a message", payload='{"hare": "young"}', headers='{"fast": true}', content_type="application/json")
    BROWSER.until("document.querySelector('#toast').innerText.includes('Published.')")
    equal(ready("by.hand"), 1, "ready")
    BROWSER.until("T.fold('Look at messages').querySelector('.notes details')")
    BROWSER.run("T.fold('Look at messages').querySelectorAll('.notes details').forEach((one) => { one.open = true; })")
    until_text('"hare": "young"', '"fast": true', "application/json")
    equal(ready("by.hand"), 1, "ready after looking")

    press("Purge")
    BROWSER.until("[...document.querySelectorAll('dt')].find((one) => one.textContent === 'Ready').nextSibling.textContent === '0'")
    equal(ready("by.hand"), 0, "ready after purging")
    press("Delete")
    BROWSER.until("location.hash === '#/queues'")
    equal([one for one in api("GET", f"queues/{part(VHOST)}") if one["name"] == "by.hand"], [])


@check
def charts_show_what_a_queue_did():
    queue_page("busy")
    BROWSER.until("document.querySelectorAll('.chart svg').length === 2 && document.querySelectorAll('.chart polyline').length >= 3")
    BROWSER.until("[...document.querySelectorAll('.chart polyline')].some((one) => one.getAttribute('points').split(' ').length > 1)")
    until_text("unacknowledged", "Consumers (1)")


@check
def the_page_says_why_nothing_moves():
    publish("00.list", "left lying")
    queue_page("00.list")
    until_text("Why it does not move", "consume")


@check
def dead_letters_go_back_where_they_came_from():
    dead = {"x-message-ttl": 0, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
    api("PUT", f"queues/{part(VHOST)}/dead", {})
    api("PUT", f"queues/{part(VHOST)}/short", {"arguments": dead})
    for number in range(3):
        publish("short", str(number))
    api("DELETE", f"queues/{part(VHOST)}/short")
    api("PUT", f"queues/{part(VHOST)}/short", {})
    equal((ready("dead"), ready("short")), (3, 0), "before")
    queue_page("dead")
    BROWSER.until("T.fold('Move messages').querySelector('form')")
    press("Redrive all dead letters")
    BROWSER.until("document.querySelector('#toast').innerText.includes('3 moved')")
    equal((ready("dead"), ready("short")), (0, 3), "after")


@check
def users_get_permissions_and_lose_them():
    name = unique("user")
    go("users", "Users")
    send("Add a user", name=name, password="secret", tags="management")
    BROWSER.until(f"location.hash.endsWith({json.dumps(part(name))})")
    until_text("it cannot enter any virtual host")
    send("Set permissions", vhost=VHOST, configure="^own", write=".*", read="")
    until_text("^own", "(nothing)")
    equal(api("GET", f"permissions/{part(VHOST)}/{part(name)}")["configure"], "^own")
    press("Revoke", row=VHOST)
    until_text("it cannot enter any virtual host")
    press("Delete")
    BROWSER.until("location.hash === '#/users'")
    equal([one for one in api("GET", "users") if one["name"] == name], [])


@check
def policies_are_set_and_removed():
    go("policies", "Policies")
    name = unique("policy")
    send("Set a policy", vhost=VHOST, kind="policies", name=name, pattern="^x", definition='{"max-length": 7}')
    until_text(name, "max-length: 7")
    send("Set a policy", vhost=VHOST, kind="policies", name="bad", pattern="(", definition='{"max-length": 7}')
    BROWSER.until("document.querySelector('#toast .bad')")
    press("Delete", row=name)
    until_gone(name)
    equal(api("GET", f"policies/{part(VHOST)}"), [])


@check
def the_log_shows_a_line_as_it_is_written():
    go("log", "Log")
    BROWSER.until("document.querySelector('.tools .state').textContent === 'live'")
    name = unique("logged")
    until_gone(name)
    api("PUT", f"policies/{part(VHOST)}/{part(name)}", {"pattern": "^x", "definition": {"max-length": 1}})
    until_text(name)
    api("DELETE", f"policies/{part(VHOST)}/{part(name)}")


@check
def light_and_dark_follow_the_system_and_the_button():
    shade = "getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).slice(0, 3).reduce((sum, one) => sum + Number(one), 0)"
    go("", "Overview")
    for scheme, wanted in (("dark", f"{shade} < 200"), ("light", f"{shade} > 600")):
        BROWSER.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        BROWSER.until(wanted)
    BROWSER.run("document.querySelector('button[aria-label=\"light or dark\"]').click()")
    BROWSER.until(f"{shade} < 200")
    BROWSER.open(URL + "/")
    BROWSER.until(f"document.querySelector('nav') && {shade} < 200")
    BROWSER.run("document.querySelector('button[aria-label=\"light or dark\"]').click()")
    BROWSER.until(f"{shade} > 600")


@check
def a_telephone_never_has_to_scroll_sideways():
    BROWSER.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
    queue_page("busy")
    wide = []
    connection = next(one["name"] for one in api("GET", "connections") if one["vhost"] == VHOST)
    details = {f"queue/{part(VHOST)}/busy": "busy", f"connection/{part(connection)}": connection, "user/guest": "guest",
               f"exchange/{part(VHOST)}/amq.topic": "amq.topic"}
    for path, title in {**PAGES, **details}.items():
        go(path, title)
        BROWSER.run("document.querySelectorAll('details.card').forEach((one) => { one.open = true; })")
        BROWSER.until("!T.text().includes('one moment')")
        width = BROWSER.run("document.documentElement.scrollWidth")
        if width > 390:
            wide.append(f"{path}: {width}")
    BROWSER.call("Emulation.clearDeviceMetricsOverride")
    equal(wide, [], "too wide")


@check
def nothing_failed_and_nothing_was_asked_of_anybody_else():
    go("", "Overview")
    equal(BROWSER.errors, [], "errors of scripts")
    own = urllib.parse.urlparse(URL).netloc
    strange = {one for one in BROWSER.asked if not one.startswith(("data:", "blob:", "about:")) and urllib.parse.urlparse(one).netloc != own}
    equal(strange, set(), "requests to elsewhere")
    contains(" ".join(BROWSER.asked), f"{own}/ui/app.js")


CLIENT = prepare()
BROWSER = Browser()
BROWSER.open(URL + "/")
main(clean=cleanup)
