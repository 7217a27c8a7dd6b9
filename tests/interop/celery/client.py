"""Celery against the broker: a worker started by its command line, and tasks sent from here."""

import os
import signal
import subprocess
import sys
import threading
import time

from checks import AMQP_URL, CHECK_SECONDS, check, contains, equal, main, unique

os.environ["INTEROP_RUN"] = unique("run")

from celery import chain, chord, group  # noqa: E402
from kombu import Connection, Exchange, Queue  # noqa: E402

import app as tasks  # noqa: E402

app = tasks.app
RUN = tasks.RUN
worker = None


class Worker:
    """The worker process; its output is kept to wait for lines and to show after a failure."""

    def __init__(self):
        self.lines, self._grown = [], threading.Condition()
        self.process = subprocess.Popen(
            [os.path.join(os.path.dirname(sys.executable), "celery"), "-A", "app", "worker", "--concurrency=2",
             "--loglevel=INFO", f"--hostname={RUN}@here", "--task-events", "--without-mingle"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "C_FORCE_ROOT": "1"})
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self._grown:
                self.lines.append(line.rstrip())
                self._grown.notify_all()

    def wait_for(self, part):
        with self._grown:
            if not self._grown.wait_for(lambda: any(part in line for line in self.lines), CHECK_SECONDS - 1):
                raise AssertionError(f"the worker never said {part!r}:\n" + "\n".join(self.lines[-30:]))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(CHECK_SECONDS - 1)


@check
def worker_starts():
    global worker
    worker = Worker()
    worker.wait_for("ready.")
    contains("\n".join(worker.lines), f"{RUN}.urgent")


@check
def task_with_result():
    equal(tasks.add.delay(2, y=3).get(timeout=10), 5, "sum")


@check
def many_tasks():
    results = [tasks.add.delay(n, n) for n in range(100)]
    equal([r.get(timeout=10) for r in results], [2 * n for n in range(100)], "sums")


@check
def failing_task():
    try:
        tasks.fail.delay("as intended").get(timeout=10)
    except ValueError as error:
        equal(str(error), "as intended", "message")
    else:
        raise AssertionError("the failure did not come back")


@check
def retries_with_countdown():
    equal(tasks.succeed_on_third_try.delay().get(timeout=10), {"retries": 2, "redelivered": False}, "result")


@check
def countdown_holds_the_task_back():
    # The worker takes such tasks at once. Towards RabbitMQ before 4.0 it also raises its prefetch limit (a shared
    # one) for as long as it holds them, so that others overtake them; from 4.0 on kombu asks for limits of single
    # consumers, which a running consumer does not hear of (BAS-40).
    started = time.monotonic()
    held = [tasks.add.apply_async((n, 1), countdown=1.5) for n in range(4)]
    equal(tasks.add.delay(1, 1).get(timeout=10), 2, "a task sent later")
    with tasks.app.connection_for_read() as connection:
        version = connection.default_channel.connection.server_properties["version"]
    if int(version.split(".")[0]) < 4:
        equal(all(not r.ready() for r in held), True, "still held")
    equal([r.get(timeout=10) for r in held], [1, 2, 3, 4], "held tasks")
    equal(time.monotonic() - started >= 1.5, True, "not before its time")


@check
def expired_task_is_revoked():
    # Held by the worker beyond its end. Sent with an end in the past it would carry a message expiration of 0,
    # and reach the worker only if that had room at that very moment.
    result = tasks.add.apply_async((1, 1), countdown=1.3, expires=1)
    try:
        result.get(timeout=10)
    except Exception as error:
        equal(type(error).__name__, "TaskRevokedError", "error")
    else:
        raise AssertionError("an expired task ran")


@check
def chain_of_tasks():
    equal(chain(tasks.add.s(1, 2), tasks.add.s(10), tasks.add.s(100))().get(timeout=10), 113, "sum")


@check
def group_of_tasks():
    equal(group(tasks.add.s(n, n) for n in range(10))().get(timeout=10), [2 * n for n in range(10)], "sums")


@check
def routed_by_topic_with_priority():
    result = tasks.echo.apply_async(("x",), exchange=f"{RUN}.topic", routing_key="urgent.now", priority=7)
    equal(result.get(timeout=10), {"value": "x", "routing_key": "urgent.now", "priority": 7}, "result")


@check
def large_arguments():
    text = "žluť" * 250_000
    equal(tasks.echo.delay(text).get(timeout=10)["value"] == text, True, "same text")


@check
def killed_process_redelivers():
    mark = unique("mark")
    equal(tasks.die_once.delay(mark).get(timeout=12), {"redelivered": True}, "result")


@check
def remote_control():
    # Broadcast over a fanout exchange; the answers come to a queue that expires.
    equal(app.control.inspect(timeout=5, limit=1).ping(), {f"{RUN}@here": {"ok": "pong"}}, "ping")
    reply = app.control.inspect(timeout=5, limit=1).stats()[f"{RUN}@here"]
    equal(reply["prefetch_count"], 2, "prefetch: concurrency times multiplier")
    equal(app.control.pool_grow(1, reply=True, limit=1, timeout=5)[0][f"{RUN}@here"],
          {"ok": "pool will grow"}, "pool growth")
    app.control.pool_shrink(1, reply=True, limit=1, timeout=5)


@check
def events_are_broadcast():
    # Every receiver has its own queue, bound with '#' to the topic exchange that the worker publishes to.
    seen = []

    def on_event(event):
        if not seen:
            tasks.add.delay(1, 2)
        seen.append(event["type"])
        receiver.should_stop = event["type"] == "task-succeeded"

    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": on_event})
        receiver.capture(timeout=10)
    contains(seen, "task-received")
    contains(seen, "task-succeeded")


@check
def cancelled_and_added_consumers():
    extra = f"{RUN}.extra"
    control = {"destination": [f"{RUN}@here"], "reply": True, "limit": 1, "timeout": 5}
    app.control.add_consumer(extra, exchange=extra, routing_key=extra, **control)
    equal(tasks.echo.apply_async(("x",), queue=Queue(extra, Exchange(extra), extra)).get(timeout=10)["value"],
          "x", "result")
    app.control.cancel_consumer(extra, **control)


@check
def worker_stops_cleanly():
    equal(worker.stop(), 0, "exit code")
    with Connection(AMQP_URL) as connection:
        channel = connection.default_channel
        for name in ("tasks", "urgent", "extra"):
            declared = channel.queue_declare(f"{RUN}.{name}", passive=True)
            equal((declared.message_count, declared.consumer_count), (0, 0), f"left in {name}")


def clean():
    if worker:
        if worker.process.poll() is None:
            worker.process.kill()
        # Shown by 'run' only when something failed.
        print("\n".join(f"worker: {line}" for line in worker.lines[-40:]))
    app.close()
    with Connection(AMQP_URL) as connection:
        channel = connection.default_channel
        for name in ("tasks", "urgent", "extra", "topic", "events", "control.pidbox"):
            channel.queue_delete(f"{RUN}.{name}")
            channel.exchange_delete(f"{RUN}.{name}")
        channel.exchange_delete(f"reply.{RUN}.control.pidbox")


if __name__ == "__main__":
    main(clean)
