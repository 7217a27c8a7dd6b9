"""A work queue: tasks wait in one queue, and idle workers take them one at a time.

Each worker holds at most one task that it has not acknowledged (prefetch 1), so a slow task does
not keep quick ones waiting behind it. A task is acknowledged when it is done: had its worker died
before that, the broker would give the task to another one.
"""

import os
import threading
import time

import pika

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")
QUEUE = f"example.tasks.{os.getpid()}"
TASKS = [0.3, 0.05, 0.05, 0.05, 0.05, 0.05]


def send_tasks(channel):
    for seconds in TASKS:
        # Delivery mode 2 and a durable queue: the tasks also survive a restart of the broker.
        channel.basic_publish("", QUEUE, str(seconds), pika.BasicProperties(delivery_mode=2))


def work(name, done, lock):
    with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=1)
        # A timeout makes the loop come round without a message, to see whether all tasks are done.
        for method, _properties, body in channel.consume(QUEUE, inactivity_timeout=0.1):
            if method:
                time.sleep(float(body))
                channel.basic_ack(method.delivery_tag)
                with lock:
                    done.append(name)
                    print(f"{name} has done {body.decode()} s of work")
            if len(done) == len(TASKS):
                break
        channel.cancel()


def main():
    with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE, durable=True)
        send_tasks(channel)

        done, lock = [], threading.Lock()
        workers = [threading.Thread(target=work, args=(name, done, lock)) for name in ("worker 1", "worker 2")]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        channel.queue_delete(QUEUE)


if __name__ == "__main__":
    main()
