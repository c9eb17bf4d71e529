"""The rules of WCAG 2 that a machine can check, checked by axe."""

from functools import cache
from importlib.resources import files
from typing import Any

from playwright.sync_api import Page

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")


@cache
def _axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text()


def violations(page: Page, *, only: tuple[str, ...] = ()) -> list[str]:
    """A line for each element that breaks a rule; `only` names the rules to look at, else all of RULES."""
    if not page.evaluate("typeof window.axe === 'object'"):
        page.evaluate(_axe())
    which = {"type": "rule", "values": only} if only else {"type": "tag", "values": RULES}
    found: list[dict[str, Any]] = page.evaluate(
        "async (options) => (await axe.run(document, options)).violations",
        {"runOnly": which, "resultTypes": ["violations"]},
    )
    return [_line(violation, node) for violation in found for node in violation["nodes"]]


def _line(violation: dict[str, Any], node: dict[str, Any]) -> str:
    said = " ".join(node["failureSummary"].split())
    return f"{violation['id']}: {' '.join(map(str, node['target']))}: {said}"
