"""What the tests of the embedded broker run in other processes: a client, and a Celery app of its own.

The app has nothing of Rowpost but its broker. BROKER_FILE names the broker's file; every task that ran
leaves a line in BROKER_FILE.ran.
"""

import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

# `config` makes Rowpost's app when it is imported; a bare package in its place lets the broker stand alone.
if "config" not in sys.modules:
    bare = ModuleType("config")
    bare.__path__ = [str(Path(__file__).parents[2] / "config")]
    sys.modules["config"] = bare

import kombu
from celery import Celery

from config import embedded_broker

embedded_broker.register()
FILE = os.environ.get("BROKER_FILE", "/nowhere")
app = Celery("tiny", broker=f"embedded://{FILE}", set_as_current=False)
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=os.environ.get("REMOTE_CONTROL") == "1",
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
)


@app.task(name="leave_a_line", shared=False)
def leave_a_line(number, seconds=0.0):
    time.sleep(seconds)
    with open(f"{FILE}.ran", "a") as ran:
        ran.write(f"{number}\n")


class Client:
    """A connection with one channel; what it consumes is kept in `got`."""

    def __init__(self, path):
        self.connection = kombu.Connection(f"embedded://{path}")
        self.channel: Any = self.connection.channel()
        self.got = []

    def send(self, *bodies, queue="work", **options):
        producer = kombu.Producer(self.channel, auto_declare=False)
        for body in bodies:
            producer.publish(body, routing_key=queue, **options)

    def get(self, queue="work", no_ack=False):
        return kombu.Queue(queue, channel=self.channel, no_declare=True).get(no_ack=no_ack)

    def consume(self, *queues, prefetch=0, no_ack=False):
        self.channel.basic_qos(0, prefetch, False)
        kombu.Consumer(
            self.channel,
            [kombu.Queue(queue, no_declare=True) for queue in queues or ["work"]],
            on_message=self.got.append,
            no_ack=no_ack,
        ).consume()

    def drain(self, timeout=0.1):
        """Take messages until none comes for so long; what was got since the beginning."""
        while True:
            try:
                self.connection.drain_events(timeout=timeout)
            except TimeoutError:
                return [message.payload for message in self.got]

    def waiting(self, queue="work"):
        return self.channel._size(queue)

    def close(self):
        self.connection.release()
