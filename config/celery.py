"""The Celery app: one queue for each handler, one for the relay, and the beat schedule."""

import os
from typing import Any

from celery import Celery, signals
from django.conf import settings
from kombu import Exchange

from config import embedded_broker
from config.beat import say_that_it_lives, stop_after_the_tick
from config.worker import Heartbeats

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# By the beginning of the broker's URL, in seconds.
CONNECTIONS: dict[str, dict[str, Any]] = {
    "amqp": {"confirm_publish": True, "read_timeout": 10, "write_timeout": 2},
    # Without a second record of each message, that it may be given again: the lease's expiry does that, and
    # the record cost more than the message.
    "redis": {"ack_emulation": False, "socket_connect_timeout": 2, "socket_timeout": 10},
}
# Who publishes waits for an answer, and not, as who consumes, for whatever may come.
PUBLISHERS: dict[str, dict[str, Any]] = {"amqp": {"read_timeout": 2}, "redis": {"socket_timeout": 2}}


def _of_broker(options: dict[str, dict[str, Any]]) -> dict[str, Any]:
    url = settings.CELERY_BROKER_URL
    return next((found for scheme, found in options.items() if url.startswith(scheme)), {})


class _App(Celery):
    def connection_for_write(
        self, url: str | None = None, *, transport_options: dict[str, Any] | None = None, **more: Any
    ) -> Any:
        options = _of_broker(PUBLISHERS) | (transport_options or {})
        return super().connection_for_write(url, transport_options=options, **more)


embedded_broker.register()
signals.beat_init.connect(stop_after_the_tick)
signals.beat_init.connect(say_that_it_lives)
app = _App("rowpost")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    # The fixup for Django closes the connections around every task, at a quarter of the rate.
    CELERY_DB_REUSE_MAX=100_000,
    task_ignore_result=True,
    task_acks_late=False,
    task_reject_on_worker_lost=False,
    task_create_missing_queues=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # Who publishes says retry=False and sees to failures; this is for beat, which keeps one connection for
    # good, and on RabbitMQ makes a new one in place of a lost one only where a publish is retried.
    task_publish_retry=True,
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0},
    broker_transport_options=_of_broker(CONNECTIONS),
    broker_connection_timeout=2,
    beat_scheduler="django_celery_beat.schedulers:DatabaseScheduler",
    beat_max_loop_interval=1,
    timezone="UTC",
)
# Queues are addressed by their name alone. With exchanges, a broker that was emptied has forgotten the
# bindings, which a publisher that declared them once never makes again: all its messages would be lost.
app.amqp.autoexchange = lambda name: Exchange("", type="direct")  # type: ignore[assignment]
app.conf.beat_schedule = {
    # The guarantee behind every wake-up: no event waits longer than this for its relay.
    "relay": {"task": "outbox.relay", "schedule": 1.0, "options": {"queue": "outbox.relay", "expires": 2.0}},
    "retention": {
        "task": "feeds.retention",
        "schedule": 3600.0,
        "options": {"queue": "feeds.retention", "expires": 3600.0},
    },
    "prune": {"task": "outbox.prune", "schedule": 3600.0, "options": {"queue": "outbox.relay"}},
}
app.autodiscover_tasks()
app.steps["worker"].add(Heartbeats)
