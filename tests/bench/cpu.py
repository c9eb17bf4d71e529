"""Processor time by part, from /proc: what a row costs, and whom."""

from pathlib import Path

TICKS = 100.0


def processor_seconds(parts: dict[str, set[int]], database: str) -> dict[str, float]:
    """Seconds used so far by each part (a name and its process ids), and by the server's backends."""
    used = dict.fromkeys(parts, 0.0) | {"PostgreSQL": 0.0}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text().replace("\0", " ")
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        seconds = (int(fields[11]) + int(fields[12])) / TICKS
        if command.startswith("postgres:") and f" {database} " in command:
            used["PostgreSQL"] += seconds
        for part, pids in parts.items():
            if int(folder.name) in pids:
                used[part] += seconds
    return used
