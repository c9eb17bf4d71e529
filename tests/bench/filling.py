"""A database as a year leaves it: a million deliveries with all that was kept of them, written by SQL."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.db.models import AutoField, Field, Model
from django.utils import timezone

from deliveries.commands import add_destination
from deliveries.ids import delivery_id
from deliveries.models import Attempt, Delivery, Destination, Payload, Tally
from feeds import commands
from feeds.grouping import recount
from feeds.models import Feed, FeedStatus, Row
from outbox import heartbeats
from outbox.models import Error, Handling, Lane, OutboxEvent, Subscription, uuid7

COLUMNS = ["sku", "name", "price", "category", "stock"]
MAPPING = {"fields": {"name": "title", "price": {"type": "number"}}, "path": "/{sku}"}
OLD_FEEDS = 2_000
WINDOW = 10_000  # rows that wait for their first attempt
SENT_AT = "now() - interval '1 day' + n * interval '0.05 s'"


def fill(deliveries: int) -> dict[str, str]:
    """Returns the ids of feeds by what they are: half, a quarter and an eighth of all deliveries."""
    olga = User.objects.create_user("olga", "olga@example.com", "x")
    User.objects.create_superuser("anna", "anna@example.com", "x")
    team = Group.objects.create(name="Shop team")
    olga.groups.add(team)
    shop = add_destination(name="shop", url="https://shop.example/products", rate=10.0, group=team)
    commands.add_mapping(name="Products", document=MAPPING)
    for table in (OutboxEvent, Handling, Row, Delivery, Payload, Attempt):
        _run(f'ALTER TABLE "{table._meta.db_table}" SET UNLOGGED')  # twice as fast, and read alike
    _old_feeds(olga, shop)
    feeds = {
        "completed": _full(olga, shop, deliveries // 2, open_rows=0),
        "delivering": _full(olga, shop, deliveries // 4, open_rows=WINDOW),
        "paused": _full(olga, shop, deliveries // 8, open_rows=WINDOW),
        "cancelled": _full(olga, shop, deliveries // 8, open_rows=0),
        "ready": _feed("ready.csv", olga, shop, rows=1_000),
    }
    for name, feed in feeds.items():
        Feed.objects.filter(id=feed.id).update(status=name)
    _wait_and_park()
    _busy_destinations()
    _run("VACUUM ANALYZE")
    heartbeats.beat("bench", kind="worker", queues=["deliveries.execute_delivery"], concurrency=8)
    return {name: str(feed.id) for name, feed in feeds.items()}


def _busy_destinations() -> None:
    """A hundred of them, to each of which something was sent in every minute of the last hours."""
    for number in range(100):
        add_destination(name=f"partner-{number}", url="https://partner.example", headers={"X-Key": "secret"})
    minutes = (
        "generate_series(date_trunc('minute', now()) - interval '3 h', now(), interval '1 min') AS minute"
    )
    destinations = "(SELECT id FROM deliveries_destination) AS destination"
    _insert(
        Tally, f"{minutes}, {destinations}, generate_series(0, 7) AS share", minute="minute",
        destination_id="destination.id", share="share", succeeded="50", failed="2",
    )  # fmt: skip


def _run(statement: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def _insert(model: type[Model], source: str, **expressions: str) -> None:
    """INSERT … SELECT of expressions over `source`; fields that are not named have their defaults."""
    columns, values, params = [], [], []
    for field in model._meta.concrete_fields:
        if field.attname in expressions:
            values.append(expressions[field.attname].replace("%", "%%"))
        elif isinstance(field, AutoField):
            continue
        else:
            values.append("%s")
            params.append(_default(field))
        columns.append(f'"{field.column}"')
    target = f'"{model._meta.db_table}" ({", ".join(columns)})'
    _run(f"INSERT INTO {target} SELECT {', '.join(values)} FROM {source}", *params)


def _default(field: "Field[Any, Any]") -> Any:
    return field.get_db_prep_save(field.get_default(), connection)


def _feed(name: str, owner: User, destination: Destination, *, rows: int = 0) -> Feed:
    """A feed with a small file, as it was checked."""
    lines = [",".join(COLUMNS)] + [f"{n:06},Oak chair {n},19.90,chairs,{n % 80}" for n in range(rows)]
    with transaction.atomic():
        feed = commands.create_feed(
            content=["\n".join(lines).encode()], name=name, destination=destination, owner_id=owner.pk
        )
    now = timezone.now()
    Feed.objects.filter(id=feed.id).update(
        columns=COLUMNS, width=5, kept=[0, 1, 2, 3, 4], dialect={"delimiter": ",", "encoding": "utf-8"},
        total=rows, pending=rows, invalid_by_code={}, mapping=MAPPING, mapping_name="Products, version 1",
        checked_at=now, released_at=now - timedelta(days=1),
    )  # fmt: skip
    feed.refresh_from_db()
    return feed


def _old_feeds(owner: User, destination: Destination) -> None:
    """Feeds of earlier months, whose rows were deleted in time."""
    over = {"status": FeedStatus.COMPLETED, "rows_deleted": True, "import_done": True}
    Feed.objects.bulk_create(
        Feed(
            id=uuid7(), name=f"stock-{n}.csv", owner=owner, destination=destination, columns=COLUMNS,
            lane_id=destination.lane_id, total=500, succeeded=500, tried=500, **over,
        )
        for n in range(OLD_FEEDS)
    )  # fmt: skip


def _full(owner: User, destination: Destination, rows: int, *, open_rows: int) -> Feed:
    """A feed whose rows are all imported. Each fifth of those that were tried failed; the last
    `open_rows` wait for their first attempt."""
    feed = _feed(f"products-{rows}.csv", owner, destination)
    open_rows = min(open_rows, rows // 10)
    prefix = delivery_id(feed.id, 0).hex[:24]
    ids = f"('{prefix}' || lpad(to_hex(n), 8, '0'))::uuid"
    tried, feed_id = rows - open_rows, f"'{feed.id}'::uuid"
    source = f"generate_series(1, {rows}) AS n"
    failed = f"(n % 5 = 0 AND n <= {tried})"
    _insert(
        Row, source, feed_id=feed_id, number="n", line="n + 1", tried=f"n <= {tried}",
        cells="""'["' || lpad(n::text, 6, '0') || '","Oak chair ' || n || '","19.90","chairs","7"]'""",
        outcome=f"CASE WHEN {failed} THEN 'failed' WHEN n <= {tried} THEN 'succeeded' ELSE '' END",
        outcome_seq="1", attempts=f"CASE WHEN n <= {tried} THEN 1 ELSE 0 END",
        http_status=f"CASE WHEN {failed} THEN 422 WHEN n <= {tried} THEN 201 END",
        code=f"CASE WHEN {failed} THEN 'http_422' ELSE '' END",
        error=f"CASE WHEN {failed} THEN 'The third party answered 422 Unprocessable Entity: ' ||"
        " (ARRAY['SKU', 'price', 'category', 'image'])[n / 5 % 4 + 1] || ' \"' || n || '\" is unknown.'"
        " ELSE '' END",
    )  # fmt: skip
    status = f"CASE WHEN {failed} THEN 'failed' WHEN n <= {tried} THEN 'succeeded' ELSE 'scheduled' END"
    _insert(
        Delivery, source, id=ids, group_id=feed_id, number="n", destination_id=str(destination.id),
        lane_id=str(feed.lane_id), status=status, seq="1", attempt="1",
    )  # fmt: skip
    _insert(
        Payload, source, delivery_id=ids, revision="1", method="'POST'", content_type="'application/json'",
        path="'/' || n", body="""'{"title":"Oak chair ' || n || '","price":19.90}'""",
    )  # fmt: skip
    _insert(
        Attempt, f"{source} WHERE n <= {tried}", delivery_id=ids, number="1", scheduled_at=SENT_AT,
        finished_at=SENT_AT, outcome=f"CASE WHEN {failed} THEN 'failed' ELSE 'succeeded' END", counted="true",
        sends="1", http_status=f"CASE WHEN {failed} THEN 422 ELSE 201 END", seconds="0.05", revision="1",
        code="'http_201'", message="'The third party answered 201 Created.'",
    )  # fmt: skip
    _tell(feed, source, ids, tried, rows)
    failures = tried // 5
    Feed.objects.filter(id=feed.id).update(
        import_done=True, created=rows, tried=tried, total=rows, pending=open_rows, failed=failures,
        succeeded=rows - open_rows - failures, ended_at=timezone.now(), round=1,
    )  # fmt: skip
    Lane.objects.filter(id=feed.lane_id).update(ready=open_rows)
    recount(feed.id)
    return feed


def _tell(feed: Feed, source: str, ids: str, tried: int, rows: int) -> None:
    """The events of a feed's deliveries, and what their handlers made of them."""
    for type_, upto, more in (
        ("DeliveryCreated", rows, "'{}'::jsonb"),
        ("DeliveryScheduled", rows, "'{}'::jsonb"),
        ("DeliverySucceeded", tried, "jsonb_build_object('number', n, 'http_status', 201, 'seq', 1)"),
    ):
        first = _room_for(upto)
        _insert(
            OutboxEvent, f"{source} WHERE n <= {upto}", id=f"{first} + n", uuid="gen_random_uuid()",
            type=f"'{type_}'", correlation_id=ids, conversation_id=f"'{feed.id}'::uuid", payload=more,
            occurrence="1", lane_id=str(feed.lane_id), occurred_at=SENT_AT,
        )  # fmt: skip
        for subscription in Subscription.objects.filter(event_type=type_):
            ready = f"(n > {tried} AND {subscription.handler == 'deliveries.execute_delivery'})"
            _insert(
                Handling, f"{source} WHERE n <= {upto}", event_id=f"{first} + n",
                subscription_id=str(subscription.id), lane_id=str(feed.lane_id),
                state=f"CASE WHEN {ready} THEN 'ready' ELSE 'done' END",
                pos=f"CASE WHEN {ready} THEN {first} + n END",
                finished_at=f"CASE WHEN NOT {ready} THEN now() END",
            )  # fmt: skip


def _room_for(events: int) -> int:
    """Takes so many ids of events; returns the one before the first."""
    sequence = "pg_get_serial_sequence('outbox_outboxevent', 'id')"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT nextval({sequence})")
        first = int(cursor.fetchone()[0])
        cursor.execute(f"SELECT setval({sequence}, %s)", [first + events])
    return first


def _wait_and_park() -> None:
    """20,000 rows wait for another attempt, and a bug has parked a thousand events."""
    execute = Subscription.objects.get(handler="deliveries.execute_delivery", event_type="DeliveryScheduled")
    chosen = "WHERE id IN (SELECT id FROM outbox_handling WHERE subscription_id = %s LIMIT %s)"
    later = "UPDATE outbox_handling SET state = 'waiting', due_at = now() + interval '1 h'"
    _run(f"{later} {chosen}", execute.id, 20_000)
    error = Error.objects.create(handler="feeds.track_progress", exception="KeyError", place="feeds/x.py:1")
    track = Subscription.objects.filter(handler="feeds.track_progress", event_type="DeliverySucceeded").get()
    parked = "UPDATE outbox_handling SET state = 'parked', error_id = %s"
    _run(f"{parked} {chosen}", error.id, track.id, 1_000)
