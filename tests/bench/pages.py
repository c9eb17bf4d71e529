"""How long each page takes with a million deliveries in the database.

Each is asked for by Django's test client, in one process: routing, session, queries, template. What a
browser and a network add is not in it.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.processes import Stack

TIMES = 30
GOAL = 100.0  # milliseconds, at the 95th percentile
ROLES = {"uploader": "olga", "admin": "anna"}
FOR_ADMINS = (403, 404)  # a destination is, to others, as if it were not there


def pages(feeds: dict[str, str], last: int, stage: str) -> Iterator[tuple[str, str]]:
    """Name and path of every page; `last` is the last row of the largest feed, `stage` where the
    delivering one stands."""
    big = feeds["completed"]
    yield from (
        ("list of feeds", "/feeds/"),
        ("list of feeds, a name searched for", "/feeds/?q=stock-17"),
        ("list of feeds, a status", "/feeds/?status=paused"),
        ("upload", "/feeds/new/"),
    )
    for status, feed_id in feeds.items():
        yield f"feed, {status}", f"/feeds/{feed_id}/"
    delivering = feeds["delivering"]
    yield "feed, its moving part", f"/feeds/{delivering}/live/?stage={stage}"
    yield "feed, why rows failed", f"/feeds/{delivering}/reasons/"
    for name, query in (
        ("first", ""),
        ("last", f"?page=after:{last - 60}"),
        ("failed", "?show=failed"),
        ("failed, last", f"?show=failed&page=after:{last - 300}"),
        ("invalid (there are none)", "?show=invalid"),
        ("waiting (there are none)", "?show=pending"),
        ("text that is there", "?q=price"),
        ("text that is not there", "?q=nowhere"),
    ):
        yield f"rows, {name}", f"/feeds/{big}/rows/{query}"
    yield from (
        ("row, arrived", f"/feeds/{big}/rows/1/"),
        ("row, failed", f"/feeds/{big}/rows/{last - last % 5}/"),
        ("destinations", "/destinations/"),
        ("destination", "/destinations/1/"),
        ("destination, add", "/destinations/new/"),
        ("destination, change", "/destinations/1/change/"),
        ("mappings", "/mappings/"),
        ("mapping, new", "/mappings/new/"),
        ("mapping, change", "/mappings/of/Products/"),
        ("overview", "/overview/"),
        ("administration", "/admin/"),
        ("administration, feeds", "/admin/feeds/feed/"),
        ("administration, deliveries", "/admin/deliveries/delivery/"),
        (
            "administration, deliveries, a status",
            "/admin/deliveries/delivery/?status=created",
        ),
        ("administration, handlings", "/admin/outbox/handling/"),
        ("administration, handlings, far inside", "/admin/outbox/handling/?p=after:100000"),
        (
            "administration, handlings, parked (none)",
            "/admin/outbox/handling/?state=parked",
        ),
        ("password", "/accounts/password_change/"),
    )


def measure(feeds: dict[str, str], last: int) -> list[tuple[str, dict[str, list[float]]]]:
    """Milliseconds of each page by role; none where the page is not for that role."""
    from django.contrib.auth.models import User
    from django.test import Client

    from feeds.models import Feed

    stage = Feed.objects.get(id=feeds["delivering"]).stage
    clients = {}
    for role, name in ROLES.items():
        clients[role] = Client(headers={"host": "localhost"})
        clients[role].force_login(User.objects.get(username=name))
    return [
        (name, {role: _times(client, path) for role, client in clients.items()})
        for name, path in pages(feeds, last, stage)
    ]


def _times(client: Any, path: str) -> list[float]:
    status = client.get(path).status_code
    if status in FOR_ADMINS or (status == 302 and path.startswith("/admin/")):
        return []
    assert status == 200, f"{path}: {status}"
    times = []
    for _ in range(TIMES):
        began = time.perf_counter()
        client.get(path)
        times.append((time.perf_counter() - began) * 1000)
    return times


def table(deliveries: int) -> str:
    """Fills a database of its own, asks for every page, and returns the table."""
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        stack.env["DJANGO_SETTINGS_MODULE"] = "config.settings"
        done = stack.manage("collectstatic", "--noinput", "--verbosity", "0")
        assert done.code == 0, done.err
        began = time.monotonic()
        feeds = stack.call("tests.bench.filling.fill", deliveries)
        filled = time.monotonic() - began
        found = stack.call("tests.bench.pages.measure", feeds, deliveries // 2)
    lines = [f"| {name} | {' | '.join(_figure(times[role]) for role in ROLES)} |" for name, times in found]
    load = os.getloadavg()[0]
    return (
        f"{deliveries:,} deliveries (filled in {filled:.0f} s), {TIMES} requests a page, load {load:.1f}; "
        f"median / 95th percentile in ms, the goal is {GOAL:.0f} for the latter.\n\n"
        "| page | uploader | admin |\n|---|--:|--:|\n" + "\n".join(lines) + "\n"
    )


def _figure(times: list[float]) -> str:
    if not times:
        return ""
    high = statistics.quantiles(times, n=20)[-1]
    shown = f"**{high:.0f}**" if high > GOAL else f"{high:.0f}"
    return f"{statistics.median(times):.0f} / {shown}"
