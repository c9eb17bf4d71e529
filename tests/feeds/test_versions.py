"""Versions of mappings: each stored once, the newest of each offered."""

import threading

import pytest
from django.db import connection

from feeds import commands, queries
from feeds.models import Mapping

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
def test_people_who_store_a_mapping_at_once_store_a_version_each():
    together = threading.Barrier(4)

    def store() -> None:
        together.wait()
        try:
            for _ in range(5):
                commands.add_mapping(name="products", document={})
        finally:
            connection.close()

    threads = [threading.Thread(target=store) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(Mapping.objects.values_list("version", flat=True)) == list(range(1, 21))


def test_only_the_newest_version_of_each_mapping_is_read(django_assert_num_queries):
    for name in ("stock", "products", "stock", "stock"):
        commands.add_mapping(name=name, document={})
    with django_assert_num_queries(1):
        assert [str(mapping) for mapping in queries.newest_mappings()] == [
            "products, version 1",
            "stock, version 3",
        ]


def test_many_versions_of_one_mapping_do_not_hide_another():
    Mapping.objects.bulk_create(Mapping(name="a", version=n, document={}) for n in range(1, 2501))
    Mapping.objects.create(name="b", document={})
    assert [mapping.name for mapping in queries.newest_mappings()] == ["a", "b"]
