"""Celery tasks of the outbox itself; each handler's task is made by its registration."""

import uuid

from celery import shared_task

RELAY_QUEUE = "outbox.relay"
PRUNE_BUDGET = 0.3  # seconds that a relay may have to wait for it


@shared_task(name="outbox.relay", ignore_result=True)
def relay() -> None:
    from outbox.relay import run_passes

    run_passes()


@shared_task(name="outbox.prune", ignore_result=True)
def prune(after: str | None = None) -> None:
    """Prunes for a moment and sends itself on with what is left: it shares the queue of the relay."""
    from outbox.pruning import FIRST
    from outbox.pruning import prune as prune_closed

    pruned = prune_closed(budget=PRUNE_BUDGET, after=uuid.UUID(after) if after else FIRST)
    if pruned.after is not None:
        prune.apply_async(args=(str(pruned.after),), queue=RELAY_QUEUE, ignore_result=True)
