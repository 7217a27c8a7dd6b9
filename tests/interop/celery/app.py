"""The Celery application of this check: its tasks and settings. Its queues carry the run's own name."""

import os

from celery import Celery
from kombu import Exchange, Queue

RUN = os.environ["INTEROP_RUN"]
WORK = os.environ["INTEROP_WORK"]

app = Celery("interop", broker=os.environ["AMQP_URL"], backend="rpc://")
app.conf.update(
    # All default names are replaced, so that runs on a shared broker cannot meet.
    task_queues=[
        Queue(f"{RUN}.tasks", Exchange(f"{RUN}.tasks", "direct"), f"{RUN}.tasks"),
        Queue(f"{RUN}.urgent", Exchange(f"{RUN}.topic", "topic"), "urgent.#", max_priority=9),
    ],
    task_default_queue=f"{RUN}.tasks",
    task_default_exchange=f"{RUN}.tasks",
    task_default_routing_key=f"{RUN}.tasks",
    event_exchange=f"{RUN}.events",
    control_exchange=f"{RUN}.control",
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_heartbeat=2,
    broker_transport_options={"confirm_publish": True},
    result_expires=60,
)


@app.task
def add(x, y):
    return x + y


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def fail(text):
    raise ValueError(text)


@app.task(bind=True, max_retries=3)
def succeed_on_third_try(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.2)
    return {"retries": self.request.retries, "redelivered": self.request.delivery_info["redelivered"]}


@app.task(bind=True)
def echo(self, value):
    return {"value": value, "routing_key": self.request.delivery_info["routing_key"],
            "priority": self.request.properties.get("priority") if self.request.properties else None}


@app.task(bind=True)
def die_once(self, mark):
    """Takes its worker process down at the first attempt: late acks then bring the task back."""
    path = os.path.join(WORK, mark)
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), 9)
    os.remove(path)
    return {"redelivered": self.request.delivery_info["redelivered"]}
