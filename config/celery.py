"""The Celery app: one queue for each handler, one for the relay, and the beat schedule."""

import os

from celery import Celery
from kombu import Exchange

from config import embedded_broker
from config.worker import Heart

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

embedded_broker.register()
app = Celery("rowpost")
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
    # On Redis without a second record of each message, that it may be given again: the lease's expiry does
    # that, and the record cost more than the message.
    broker_transport_options=(
        {"confirm_publish": True, "read_timeout": 10, "write_timeout": 2}
        if app.conf.broker_url.startswith("amqp")
        else {"ack_emulation": False, "socket_connect_timeout": 2, "socket_timeout": 10}
        if app.conf.broker_url.startswith("redis")
        else {}
    ),
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
app.steps["worker"].add(Heart)
