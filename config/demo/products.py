"""The demo's shop: takes products, one a request, and says clearly what is wrong with one."""

from typing import Any

import orjson

CATEGORIES = frozenset({"chairs", "tables", "lamps", "shelves", "beds", "textiles", "kitchen", "garden"})
# The first try of every 15th row fails, so that a retry is seen.
BUSY_ROW = 15


def product_answer(body: bytes, *, row: str, attempt: str) -> tuple[int, bytes]:
    """Status and JSON body for one product."""
    if attempt == "1" and row.isdecimal() and int(row) % BUSY_ROW == 0:
        return 503, orjson.dumps({"error": "The shop is busy; please try again."})
    try:
        product = orjson.loads(body)
    except ValueError:
        return 400, orjson.dumps({"error": "The body is not JSON."})
    if not isinstance(product, dict):
        return 422, orjson.dumps({"error": "A product is a JSON object."})
    for field, problem in (
        ("sku", _problem_with_text(product.get("sku"))),
        ("name", _problem_with_text(product.get("name"))),
        ("price", _problem_with_price(product.get("price"))),
        ("category", _problem_with_category(product.get("category"))),
    ):
        if problem:
            return 422, orjson.dumps({"error": f"{field} {problem}.", "field": field})
    return 201, orjson.dumps({"id": f"prod_{product['sku']}", "status": "created"})


def _problem_with_text(value: Any) -> str:
    return "" if isinstance(value, (str, int)) and str(value).strip() else "must not be empty"


def _problem_with_price(value: Any) -> str:
    if value is None or value == "":
        return "must not be empty"
    try:
        price = float(value)
    except (TypeError, ValueError):
        return f"must be a number, not {value!r}"
    return "" if price >= 0 else f"must not be negative, as {value} is"


def _problem_with_category(value: Any) -> str:
    if isinstance(value, str) and value.strip().lower() in CATEGORIES:
        return ""
    return f"must be one of {', '.join(sorted(CATEGORIES))}; there is no {value!r}"
