"""A Rowpost with something of everything in it: people, destinations in each health, feeds in each state."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.stores import ROOT
from tests.processes import Stack
from tests.third_party import RunningThirdParty

SAMPLES = ROOT / "config" / "demo" / "samples"
PASSWORD = "correct horse battery"
MAPPING = {
    "method": "PUT",
    "path": "/{sku}",
    "fields": {
        "name": "title",
        "price": {"to": "price.amount", "type": "number"},
        "category": {"to": "category"},
        "stock": {"to": "stock", "type": "integer"},
    },
}
NO_BRAND = {"status": 422, "body": '{"error": "The brand is not known."}'}
NO_IMAGE = {"status": 400, "body": '{"error": "An offer needs an image."}'}
CLIENT = {
    "token_url": "https://login.example/oauth2/token",
    "client_id": "rowpost",
    "client_secret": "s3cret",
    "scope": "stock.write",
}
REBUILDING = '{"error": "The catalogue is being rebuilt."}'

REFUSED_ROW, INVALID_ROW, RETRIED_ROW = 17, 134, 15  # of products.csv, sent to the demo


@dataclass(frozen=True, slots=True)
class World:
    """The ids of its feeds."""

    delivering: str
    completed: str
    waiting: str
    held: str
    paused: str
    ready: str
    rejected: str
    missing: str
    trial: str
    cancelled: str


def add_people(stack: Stack) -> None:
    """anna, an admin, and olga, who uploads."""
    stack.call("tests.browser.inside.add_person", "anna", PASSWORD, admin=True, group="Shop team")
    stack.call("tests.browser.inside.add_person", "olga", PASSWORD, group="Shop team")


def build(stack: Stack, third_party: RunningThirdParty) -> World:
    """About ten seconds of work."""
    _add_destinations(stack, third_party)
    stack.call("tests.browser.inside.add_mapping", "Products", {"fields": {"name": "title"}})
    stack.call("tests.browser.inside.add_mapping", "Products", MAPPING)
    world = _upload(stack)
    for name, status in (("paused", "delivering"), ("cancelled", "delivering")):
        _wait_for(stack, getattr(world, name), status)
    for name in ("ready", "missing", "trial"):
        _wait_for(stack, getattr(world, name), "ready")
    stack.call("tests.browser.inside.press", "try_first", world.trial, by="olga")
    _wait_for_arrivals(stack, world.paused, 20)
    _wait_for_arrivals(stack, world.cancelled, 10)
    stack.call("tests.browser.inside.press", "pause", world.paused, by="olga")
    stack.call("tests.browser.inside.press", "cancel", world.cancelled, by="anna")
    _wait_for_arrivals(stack, world.trial, 8)
    _wait_for(stack, world.completed, "completed")
    _wait_for(stack, world.rejected, "rejected")
    _wait_for_arrivals(stack, world.delivering, 60)
    stack.wait(lambda: _is_troubled(stack, "erp"), within=60, until="what is refused to be paused")
    stack.wait(lambda: _is_troubled(stack, "outlet"), within=60, until="what fails to be held")
    return world


def park_mails(stack: Stack) -> None:
    """From now on admins are asked to look at parked work."""
    stack.call("tests.browser.inside.park_mails")


def _add_destinations(stack: Stack, third_party: RunningThirdParty) -> None:
    third_party.behave("outlet", status=503, body=REBUILDING)
    # Throughout: what a worker gave back goes behind all others, so that the first rows may be the last.
    refusals = {str(row): NO_BRAND for row in range(7, 5000, 61)}
    refusals |= {str(row): NO_IMAGE for row in range(12, 5000, 230)}
    third_party.behave("marketplace", rows=refusals)
    for name, path, more in (
        ("shop", "/demo/products", {"retry_first": 1.0, "group": "Shop team"}),
        ("marketplace", "/marketplace/offers", {"rate": 25.0, "headers": {"Authorization": "Bearer t0p"}}),
        ("erp", "/unauthorized", {"concurrency": 2}),
        ("outlet", "/outlet/stock", {"rate": 20.0}),
        ("warehouse", "/ok", {"auth": "oauth2", "credentials": CLIENT}),
    ):
        stack.call("tests.browser.inside.add_destination", name, third_party.url(path), **more)


def _upload(stack: Stack) -> World:
    files = stack.folder / "feeds"
    shutil.copytree(SAMPLES, files, dirs_exist_ok=True)
    ready = files / "stock-monday.csv"
    odd = "009001;Tisch Röhn\n009002;Lampe;19.90;lamps;5;surplus\n"
    ready.write_bytes((files / "excel-semicolon.csv").read_bytes() + odd.encode("cp1252"))
    photos = files / "holiday-photos.csv"
    photos.write_bytes(bytes(range(256)) * 40)

    def upload(path: Path, to: str, name: str = "", **more: object) -> str:
        done = stack.call("tests.browser.inside.upload", str(path), to=to, by="olga", name=name, **more)
        return str(done)

    named_otherwise = files / "new-supplier.csv"
    named_otherwise.write_text("sku,product,cost,category,stock\n009100,Oak stool,49.00,chairs,12\n")
    thousands = files / "thousands.csv"
    return World(
        cancelled=upload(thousands, "marketplace", "prices-draft.csv"),
        rejected=upload(photos, "shop"),
        completed=upload(files / "products.csv", "shop"),
        paused=upload(thousands, "marketplace", "catalogue-autumn.csv"),
        waiting=upload(files / "excel-semicolon.csv", "erp", "returns.csv"),
        ready=upload(ready, "shop", mapping="Products", send=False),
        missing=upload(named_otherwise, "shop", mapping="Products", send=False),
        trial=upload(files / "thousands.csv", "shop", "prices-summer.csv", send=False),
        held=upload(files / "excel-semicolon.csv", "outlet", "outlet-stock.csv"),
        delivering=upload(thousands, "marketplace", "prices-spring.csv"),
    )


def _wait_for(stack: Stack, feed_id: str, status: str) -> None:
    stack.wait(lambda: stack.feed(feed_id).status == status, within=60, until=f"a feed to be {status}")


def _wait_for_arrivals(stack: Stack, feed_id: str, rows: int) -> None:
    stack.wait(lambda: stack.feed(feed_id).succeeded >= rows, within=60, until=f"{rows} rows to arrive")


def _is_troubled(stack: Stack, destination: str) -> bool:
    paused, opened = stack.sql(
        "SELECT paused_for, breaker_opened FROM deliveries_destination WHERE name = %s", destination
    )[0]
    return bool(paused or opened)
