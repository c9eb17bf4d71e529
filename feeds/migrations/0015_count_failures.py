"""Counts the failed rows of the feeds that there are by what they have in common."""

from django.db import migrations, transaction

from feeds.grouping import Failure, Fold

CHUNK = 2000


def count_failures(apps, schema_editor):
    Feed, Row, Group = (apps.get_model("feeds", name) for name in ("Feed", "Row", "FailureGroup"))
    feeds = Feed.objects.filter(failed__gt=0, rows_deleted=False, deleted_up_to=0)
    for feed_id in list(feeds.values_list("id", flat=True)):
        # A feed a transaction, under its lock: workers go on with the others meanwhile.
        with transaction.atomic():
            feed = Feed.objects.select_for_update(no_key=True).get(id=feed_id)
            Group.objects.filter(feed=feed).delete()
            failed = Row.objects.filter(feed_id=feed_id, outcome="failed").order_by("number")
            fold = Fold(make=Group)
            for row in failed.values_list(*Failure._fields).iterator(chunk_size=CHUNK):
                fold.add(Failure(*row))
            for group in fold.groups.values():
                group.feed_id = feed_id
            Group.objects.bulk_create(fold.groups.values())


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ("feeds", "0014_groups_of_failures"),
    ]

    operations = [migrations.RunPython(count_failures, migrations.RunPython.noop)]
