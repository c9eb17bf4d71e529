"""Runs the benchmarks and prints a table; `--write` puts it into docs/performance.md.

Needs PostgreSQL and Redis, and a machine that does nothing else. Two worker processes throughout.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from tests.acceptance.stores import ROOT
from tests.bench import pages
from tests.bench.cpu import processor_seconds
from tests.processes import Stack
from tests.third_party import RunningThirdParty

POSTGRES = os.environ.get("POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("REDIS", "redis://127.0.0.1:6379/0")
ONE_ROW_FEEDS = 15
PAGE = ROOT / "docs" / "performance.md"
PEER = [
    *(sys.executable, "-m", "celery", "-A", "tests.bench.peer", "worker", "-P", "prefork", "-c", "2"),
    *("-Q", "peer", "--loglevel", "ERROR", "--without-gossip", "--without-mingle"),
]


@dataclass(frozen=True, slots=True)
class Line:
    what: str
    figure: str
    goal: str


def rows_file(folder: Path, count: int) -> Path:
    path = folder / f"rows-{count}.csv"
    with path.open("w") as file:
        file.write("sku,name,price,category,stock\n")
        file.writelines(f"{i:08d},Oak chair number {i},{i % 900}.50,chairs,{i % 80}\n" for i in range(count))
    return path


def arrivals(shop: RunningThirdParty, count: int, *, within: float) -> float:
    """Requests a second at the receiver, from the first to the last of `count`."""
    first = 0.0
    ends = time.monotonic() + within
    while True:
        seen = shop.stats()["count"]
        now = time.monotonic()
        if seen and not first:
            first, already = now, seen
        if seen >= count:
            return float((count - already) / (now - first))
        if now > ends:
            raise SystemExit(f"Only {seen} of {count} rows had arrived after {within:g} s.")
        time.sleep(0.02)


def peer_rate(shop: RunningThirdParty, path: str, count: int) -> float:
    """The plain Celery task per row, with two prefork processes."""
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        env = os.environ | {"BROKER_URL": stack.env["BROKER_URL"]}
        publish = (
            "import sys; from tests.bench.peer import post\n"
            "url, count = sys.argv[1], int(sys.argv[2])\n"
            "for i in range(count): post.delay(url, {'sku': f'{i:08d}', 'name': f'Oak chair number {i}',"
            " 'price': '9.50', 'category': 'chairs', 'stock': '7'})"
        )
        subprocess.run(
            [sys.executable, "-c", publish, shop.url(path), str(count)], cwd=ROOT, env=env, check=True
        )
        worker = subprocess.Popen(
            PEER,
            cwd=ROOT,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return arrivals(shop, count, within=300)
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


def our_rate(shop: RunningThirdParty, path: str, count: int) -> tuple[float, dict[str, float]]:
    """Rows a second from the upload's commit to the feed's completion, everything kept; and microseconds of
    processor time a row, by part."""
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        stack.start("worker", "worker2", "relay", "beat")
        stack.add_destination("shop", shop.url(path))
        stack.wait_for_end(stack.send(rows_file(stack.folder, 200), to="shop"), within=60)  # warm
        file = rows_file(stack.folder, count)
        parts = {
            "workers": {stack.pid("worker"), stack.pid("worker2")},
            "relay": {stack.pid("relay")},
            "beat": {stack.pid("beat")},
        }
        database = stack.database.url.rsplit("/", 1)[1]
        before = processor_seconds(parts, database)
        began = time.monotonic()
        feed = stack.wait_for_end(stack.send(file, to="shop"), within=600)
        seconds = time.monotonic() - began
        after = processor_seconds(parts, database)
        assert feed.succeeded == count, feed
        return count / seconds, {part: (after[part] - before[part]) * 1e6 / count for part in after}


def side_by_side(path: str, counts: tuple[int, int], goal: float, latency: str) -> list[Line]:
    with RunningThirdParty() as shop:
        plain = peer_rate(shop, path, counts[0])
    with RunningThirdParty() as shop:
        ours, cost = our_rate(shop, path, counts[1])
    spent = ", ".join(f"{part} {micros:.0f} µs" for part, micros in cost.items())
    return [
        Line(f"plain Celery task per row, {latency}", f"{plain:,.0f} rows/s", ""),
        Line(f"Rowpost, {latency}", f"{ours:,.0f} rows/s", ""),
        Line("ratio", f"**{ours / plain:.1f} times**", f"{goal:g} times"),
        Line("processor time a row", spent, ""),
    ]


def import_line(count: int) -> list[Line]:
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder), IMPORT_WINDOW="1000000000") as stack:
        stack.add_destination("shop", "http://127.0.0.1:9/")
        feed = stack.send(rows_file(stack.folder, count), to="shop")
        rate = stack.call("tests.bench.inside.import_rate", str(feed))
    return [Line("import, rows with deliveries, payloads and events", f"{rate:,.0f} rows/s", "20,000")]


def empty_line(count: int) -> list[Line]:
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        rate = stack.call("tests.bench.inside.empty_handler_rate", count)
    return [Line("relay, claim, empty handler, settle; one process", f"{rate:,.0f} handlings/s", "15,000")]


def one_row_lines(count: int) -> list[Line]:
    """From before the upload of a feed of one row to its request at the receiver: on an idle system, and
    beside a large feed to the same destination."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Path(folder)) as stack,
        RunningThirdParty() as shop,
    ):
        stack.start("worker", "worker2", "relay", "beat")
        stack.add_destination("shop", shop.url("/"))
        for name in ("one", "large"):
            shop.behave(name, ms=0)
            stack.call("feeds.commands.add_mapping", name=name, document={"path": f"/{name}"})
        seconds_to_arrive(stack, shop)  # warm
        idle = [seconds_to_arrive(stack, shop) for _ in range(ONE_ROW_FEEDS)]
        large = stack.send(rows_file(stack.folder, count), to="shop", mapping="large")
        beside = [seconds_to_arrive(stack, shop) for _ in range(ONE_ROW_FEEDS)]
        assert stack.feed(large).pending, "The large feed ended first."
    return [
        Line("one-row feed, idle: median", f"{median(idle):.2f} s", "0.5 s"),
        Line(f"one-row feed beside {count:,} rows: 95th percentile", f"{_95th(beside):.2f} s", "1.5 s"),
    ]


def seconds_to_arrive(stack: Stack, shop: RunningThirdParty) -> float:
    file = rows_file(stack.folder, 1)

    def arrived() -> int:
        found: int = shop.stats()["per_path"].get("/one", 0)
        return found

    time.sleep(random.random())  # so that beat's ticks come at any time
    before, began = arrived(), time.monotonic()
    stack.send(file, to="shop", mapping="one")
    while arrived() == before:
        time.sleep(0.005)
    return time.monotonic() - began


def _95th(values: list[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1]


def parts_lines(count: int) -> list[Line]:
    """Where a row's processor time goes. Celery's is the difference between the processes of a whole Rowpost
    and one process that does the same work without a broker, messages and threads."""
    with RunningThirdParty() as shop:
        _, whole = our_rate(shop, "/ok", count)
    with (
        RunningThirdParty() as shop,
        tempfile.TemporaryDirectory() as folder,
        Stack(Path(folder)) as stack,
    ):
        stack.add_destination("shop", shop.url("/ok"))
        feed = stack.send(rows_file(stack.folder, count), to="shop")
        parts: dict[str, float] = stack.call("tests.bench.parts.by_part", str(feed))
    broker = sum(micros for part, micros in whole.items() if part != "PostgreSQL") - sum(parts.values())
    parts |= {"Celery, the broker's client, threads": broker, "PostgreSQL's backends": whole["PostgreSQL"]}
    return [Line(f"processor time a row: {part}", f"{micros:.0f} µs", "") for part, micros in parts.items()]


def peak_megabytes(pid: int) -> float:
    """The most memory that the process has had resident so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def memory_line(count: int) -> list[Line]:
    """By how much each process's peak grows from a feed of 10,000 rows to one of `count`."""
    names = ("worker", "worker2", "relay", "beat")
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Path(folder)) as stack,
        RunningThirdParty(keep=0) as shop,
    ):
        stack.start(*names)
        stack.add_destination("shop", shop.url("/ok"))
        peaks = []
        for rows in (10_000, count):
            feed = stack.wait_for_end(stack.send(rows_file(stack.folder, rows), to="shop"), within=3600)
            assert feed.succeeded == rows, feed
            peaks.append({name: peak_megabytes(stack.pid(name)) for name in names})
    figures = ", ".join(f"{n} {peaks[1][n]:.0f} MB (+{peaks[1][n] - peaks[0][n]:.1f})" for n in names)
    return [Line(f"peak memory with {count:,} rows (and growth since 10,000)", figures, "+ 20 MB")]


def table(lines: list[Line]) -> str:
    rows = "\n".join(f"| {line.what} | {line.figure} | {line.goal} |" for line in lines)
    return f"| what | measured | goal |\n|---|---|---|\n{rows}\n"


PARTS: dict[str, Callable[[int], list[Line]]] = {
    "instant": lambda rows: side_by_side("/ok", (rows // 4, rows), 3, "instant receiver"),
    "slow": lambda rows: side_by_side("/slow?ms=50", (1_000, rows // 2), 30, "receiver of 50 ms"),
    "import": lambda rows: import_line(rows * 2),
    "empty": empty_line,
    "one-row": lambda rows: one_row_lines(rows * 5 // 2),
    "parts": parts_lines,
    "memory": lambda rows: memory_line(rows * 20),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…")
    parser.add_argument("--only", choices=[*PARTS, "pages"])
    parser.add_argument("--rows", type=int, default=50_000, help="rows of the instant run")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    os.environ |= {"DATABASE_URL": POSTGRES, "BROKER_URL": REDIS}
    if options.only == "pages":
        return _tell(pages.table(options.rows * 20), "pages", write=options.write)
    lines: list[Line] = []
    for name, run in PARTS.items():
        # A million rows take their time: only when asked for.
        if options.only == name or (options.only is None and name != "memory"):
            lines += run(options.rows)
            sys.stdout.write(f"{name}: done\n")
    return _tell(table(lines), "bench", write=options.write)


def _tell(found: str, mark: str, *, write: bool) -> int:
    """Prints a table, and puts it between the marks of that name on the page."""
    sys.stdout.write(f"\n{found}")
    if write:
        head, _, rest = PAGE.read_text().partition(f"<!-- {mark} -->")
        tail = rest.partition(f"<!-- /{mark} -->")[2]
        PAGE.write_text(f"{head}<!-- {mark} -->\n{found}<!-- /{mark} -->{tail}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
