"""What every Celery worker process does beside running tasks: heartbeats, and giving back on a warm stop."""

import gc
from typing import Any

from celery import bootsteps, signals
from kombu import Exchange, Queue

from config.heart import Heart


@signals.celeryd_init.connect
def consume_every_handlers_queue(conf: Any = None, **_: Any) -> None:
    """Without -Q a worker takes from the relay's queue and from each handler's."""
    import django

    django.setup()
    from feeds.tasks import RETENTION_QUEUE
    from outbox.registry import HANDLERS
    from outbox.tasks import RELAY_QUEUE

    conf.task_queues = [
        Queue(name, Exchange(""), name) for name in (RELAY_QUEUE, RETENTION_QUEUE, *sorted(HANDLERS))
    ]


@signals.worker_ready.connect
def leave_what_stays_out_of_garbage_collection(**_: Any) -> None:
    """A batch makes tens of thousands of objects; by default each few hundred had Python look for cycles
    among them, and now and then among all that was ever imported: a tenth of a row's processor time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@signals.worker_shutting_down.connect
def give_back_what_is_not_started(**_: Any) -> None:
    from outbox.process import stopping

    stopping.set()


class Heartbeats(bootsteps.StartStopStep):
    """Writes this worker's heartbeat, so that the relay knows how much it may hand over."""

    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def __init__(self, worker: Any, **_: Any) -> None:
        self._heart: Heart | None = None

    def start(self, worker: Any) -> None:
        from outbox.subscriptions import subscribe_all

        # A signal does not end the event loop's wait for messages. On RabbitMQ, which brings no timers, an
        # idle worker began to stop up to 10 s after it was told.
        worker.timer.call_repeatedly(1.0, lambda: None)
        self._heart = Heart(lambda: _describe(worker), first=subscribe_all)
        self._heart.start()

    def stop(self, worker: Any) -> None:
        if self._heart is not None:
            self._heart.stop()

    def terminate(self, parent: Any) -> None:
        self.stop(parent)


def _describe(worker: Any) -> dict[str, Any]:
    from outbox.tasks import RELAY_QUEUE

    queues = sorted(worker.app.amqp.queues.consume_from)
    pool = worker.pool_cls.__module__
    at_once = 1 if "solo" in pool else worker.concurrency
    return {
        "kind": "relay" if queues == [RELAY_QUEUE] else "worker",
        "queues": queues,
        "concurrency": at_once,
        "processes": at_once if "prefork" in pool else 1,
    }
