"""The peer: one plain Celery task for each row, which posts it with `requests` and keeps nothing.

`requests.Session` with keep-alive, one a process; prefork, `ignore_result`. Its messages are
published before the clock starts.
"""

import os
from functools import cache

import requests
from celery import Celery

app = Celery("peer", broker=os.environ["BROKER_URL"])
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=4, task_default_queue="peer")


@cache
def session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


@app.task(name="peer.post", ignore_result=True)
def post(url: str, row: dict[str, str]) -> None:
    session().post(url, json=row, timeout=10).raise_for_status()
