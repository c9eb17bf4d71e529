from django.apps import AppConfig
from django.db.backends.signals import connection_created


class FeedsConfig(AppConfig):
    name = "feeds"

    def ready(self) -> None:
        from feeds.folding import teach_sqlite

        connection_created.connect(teach_sqlite)
