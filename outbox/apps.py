from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class OutboxConfig(AppConfig):
    name = "outbox"

    def ready(self) -> None:
        from outbox import registry

        registry.load()
        # The moment when tables are there and nothing has been published by this release.
        post_migrate.connect(_subscribe, sender=self)


def _subscribe(**_: Any) -> None:
    from outbox.subscriptions import subscribe_all

    subscribe_all()
