"""Exchange types, bindings, and where messages go."""

from pika import BasicProperties

from checks import check, equal, unique
from session import channel_closed, session


@check
def default_exchange():
    with session() as s:
        queue = s.queue(exclusive=True)
        s.publish("", queue, b"hello")
        method, _, body = s.take(queue)
        equal((method.exchange, method.routing_key, body), ("", queue, b"hello"), "get-ok")


@check
def direct_exchange():
    with session() as s:
        exchange = s.exchange("direct")
        one, two = s.bound_queue(exchange, "one"), s.bound_queue(exchange, "two")
        both = s.bound_queue(exchange, "one")
        s.channel.queue_bind(both, exchange, "two")
        for key in ("one", "two", "three", ""):
            s.publish(exchange, key, key.encode())
        equal([s.bodies(q) for q in (one, two, both)], [[b"one"], [b"two"], [b"one", b"two"]], "queues")


@check
def fanout_exchange():
    with session() as s:
        exchange = s.exchange("fanout", durable=True)
        bound = [s.bound_queue(exchange, key) for key in ("", "a", "b")]
        s.channel.queue_bind(bound[0], exchange, "again")
        s.publish(exchange, "whatever", b"all")
        equal([s.bodies(q) for q in bound], [[b"all"]] * 3, "queues")


@check
def topic_exchange():
    with session() as s:
        exchange = s.exchange("topic")
        patterns = ["#", "*", "a.#", "a.*.c", "*.b.#", "#.c", "a.b.c", "#.#"]
        bound = {pattern: s.bound_queue(exchange, pattern) for pattern in patterns}
        keys = ["", "a", "a.b", "a.b.c", "a.x.c", "x.b", "b", "a..c"]
        for key in keys:
            s.publish(exchange, key, key.encode())
        wanted = {
            "#": keys,
            "*": ["a", "b"],
            "a.#": ["a", "a.b", "a.b.c", "a.x.c", "a..c"],
            "a.*.c": ["a.b.c", "a.x.c", "a..c"],
            "*.b.#": ["a.b", "a.b.c", "x.b"],
            "#.c": ["a.b.c", "a.x.c", "a..c"],
            "a.b.c": ["a.b.c"],
            "#.#": keys,
        }
        got = {pattern: [b.decode() for b in s.bodies(bound[pattern])] for pattern in patterns}
        equal(got, wanted, "routed keys")


@check
def headers_exchange():
    with session() as s:
        exchange = s.exchange("headers")
        pair = {"kind": "report", "size": 3}
        everything = s.bound_queue(exchange, "", {**pair, "x-match": "all"})
        anything = s.bound_queue(exchange, "", {**pair, "x-match": "any"})
        implied = s.bound_queue(exchange, "ignored", pair)
        for body, headers in (
            (b"both", {"kind": "report", "size": 3, "more": True}),
            (b"kind", {"kind": "report", "size": 4}),
            (b"size", {"size": 3}),
            (b"text", {"size": "3"}),
            (b"none", {}),
        ):
            s.publish(exchange, "key", body, properties=BasicProperties(headers=headers))
        equal(s.bodies(everything), [b"both"], "all")
        equal(s.bodies(anything), [b"both", b"kind", b"size"], "any")
        equal(s.bodies(implied), [b"both"], "no x-match")


@check
def headers_exchange_with_x():
    with session() as s:
        exchange = s.exchange("headers")
        match = {"x-kind": "report", "colour": "red"}
        plain = s.bound_queue(exchange, "", {**match, "x-match": "all"})
        strict = s.bound_queue(exchange, "", {**match, "x-match": "all-with-x"})
        loose = s.bound_queue(exchange, "", {**match, "x-match": "any-with-x"})
        s.publish(exchange, "", b"red", properties=BasicProperties(headers={"colour": "red"}))
        s.publish(exchange, "", b"x", properties=BasicProperties(headers={"x-kind": "report"}))
        equal(s.bodies(plain), [b"red"], "all")
        equal(s.bodies(strict), [], "all-with-x")
        equal(s.bodies(loose), [b"red", b"x"], "any-with-x")


@check
def headers_exchange_refuses_bad_match():
    with session() as s:
        exchange, queue = s.exchange("headers"), s.queue()
        with channel_closed(
            406,
            "PRECONDITION_FAILED - Invalid x-match field value <<\"bogus\">>; "
            "expected all, any, all-with-x, or any-with-x",
        ):
            s.channel.queue_bind(queue, exchange, "", {"x-match": "bogus"})


@check
def exchange_to_exchange():
    with session() as s:
        source, destination = s.exchange("topic", "source"), s.exchange("fanout", "destination")
        queue = s.bound_queue(destination)
        s.channel.exchange_bind(destination, source, "news.*")
        s.publish(source, "news.today", b"routed")
        s.publish(source, "olds.today", b"not routed")
        method, _, body = s.take(queue)
        equal((method.exchange, method.routing_key, body), (source, "news.today", b"routed"), "get-ok")
        s.channel.exchange_unbind(destination, source, "news.*")
        s.publish(source, "news.today", b"unbound")
        equal(s.depth(queue), 0, "after unbind")


@check
def exchange_cycle_delivers_once():
    with session() as s:
        a, b = s.exchange("fanout", "a"), s.exchange("fanout", "b")
        s.channel.exchange_bind(b, a)
        s.channel.exchange_bind(a, b)
        queue = s.bound_queue(a)
        s.channel.queue_bind(queue, b)
        s.publish(a, "", b"once")
        equal(s.bodies(queue), [b"once"], "copies")


@check
def queue_unbind():
    with session() as s:
        exchange = s.exchange("direct")
        queue = s.bound_queue(exchange, "key")
        s.channel.queue_bind(queue, exchange, "kept")
        s.channel.queue_unbind(queue, exchange, "key")
        s.publish(exchange, "key", b"gone")
        s.publish(exchange, "kept", b"kept")
        equal(s.bodies(queue), [b"kept"], "after unbind")


@check
def alternate_exchange():
    with session() as s:
        alternate = s.exchange("fanout", "alternate")
        exchange = s.exchange("direct", arguments={"alternate-exchange": alternate})
        known, rest = s.bound_queue(exchange, "known"), s.bound_queue(alternate)
        s.publish(exchange, "known", b"1")
        s.publish(exchange, "unknown", b"2")
        equal((s.bodies(known), s.bodies(rest)), ([b"1"], [b"2"]), "queues")


@check
def carbon_copies():
    with session() as s:
        first, copy, blind = s.queue(), s.queue(), s.queue()
        headers = {"CC": [copy], "BCC": [blind]}
        s.publish("", first, b"memo", properties=BasicProperties(headers=headers))
        for queue in (first, copy, blind):
            _, properties, body = s.take(queue)
            equal((properties.headers, body), ({"CC": [copy]}, b"memo"), "copy")


@check
def predeclared_exchanges():
    with session() as s:
        for name in ("amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match"):
            s.channel.exchange_declare(name, passive=True)
        s.channel.exchange_declare("amq.topic", "topic", durable=True)
        queue = s.queue(exclusive=True)
        s.channel.queue_bind(queue, "amq.topic", f"{queue}.*")
        s.publish("amq.topic", f"{queue}.x", b"found")
        equal(s.bodies(queue), [b"found"], "through amq.topic")


@check
def exchange_errors():
    with session() as s:
        exchange, missing = s.exchange("direct"), unique("missing")
        s.bound_queue(exchange, "k")
        there = f"exchange '{exchange}' in vhost '/'"
        gone = f"NOT_FOUND - no exchange '{missing}' in vhost '/'"
        refused = "ACCESS_REFUSED - "
        for code, text, action in (
            (404, gone, lambda c: c.exchange_declare(missing, passive=True)),
            (404, gone, lambda c: c.exchange_bind(exchange, missing, "k")),
            (406, f"PRECONDITION_FAILED - inequivalent arg 'type' for {there}: "
                  "received 'fanout' but current is 'direct'",
             lambda c: c.exchange_declare(exchange, "fanout")),
            (406, f"PRECONDITION_FAILED - inequivalent arg 'durable' for {there}: "
                  "received 'true' but current is 'false'",
             lambda c: c.exchange_declare(exchange, "direct", durable=True)),
            (406, f"PRECONDITION_FAILED - {there} in use",
             lambda c: c.exchange_delete(exchange, if_unused=True)),
            (403, f"{refused}exchange name 'amq.{missing}' contains reserved prefix 'amq.*'",
             lambda c: c.exchange_declare(f"amq.{missing}", "direct")),
            (403, f"{refused}deletion of system exchange 'amq.direct' in vhost '/' not allowed",
             lambda c: c.exchange_delete("amq.direct")),
            (403, f"{refused}operation not permitted on the default exchange",
             lambda c: c.exchange_bind(exchange, "", "k")),
        ):
            with channel_closed(code, text):
                action(s.connection.channel())
        s.channel.exchange_delete(missing)


@check
def internal_exchange():
    with session() as s:
        internal = s.exchange("fanout", "internal", internal=True)
        outer = s.exchange("fanout", "outer")
        s.channel.exchange_bind(internal, outer)
        queue = s.bound_queue(internal)
        s.publish(outer, "", b"through")
        equal(s.bodies(queue), [b"through"], "by binding")
        refusal = f"ACCESS_REFUSED - cannot publish to internal exchange '{internal}' in vhost '/'"
        with channel_closed(403, refusal):
            s.publish(internal, "", b"refused")


@check
def auto_delete_exchange():
    with session() as s:
        exchange = s.exchange("fanout", auto_delete=True)
        queue = s.bound_queue(exchange)
        s.channel.queue_unbind(queue, exchange, "")
        with channel_closed(404, f"NOT_FOUND - no exchange '{exchange}' in vhost '/'"):
            s.channel.exchange_declare(exchange, passive=True)
