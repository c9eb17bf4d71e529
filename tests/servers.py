"""`python -m tests.servers`: says whether PostgreSQL, Redis and RabbitMQ answer, and how to start them."""

import os
import sys

import kombu
import psycopg

HOW = {
    "POSTGRES": "pg_ctlcluster 15 main start "
    "(or: docker run -p 5432:5432 -e POSTGRES_HOST_AUTH_METHOD=trust postgres:15)",
    "REDIS": "redis-server --daemonize yes (or: docker run -p 6379:6379 redis:7)",
    "RABBITMQ": "rabbitmq-server -detached (or: docker run -p 5672:5672 rabbitmq:3)",
}


def problem_with(name: str, url: str) -> str:
    try:
        if name == "POSTGRES":
            psycopg.connect(url.replace("postgres://", "postgresql://"), connect_timeout=5).close()
        else:
            with kombu.Connection(url, connect_timeout=5) as connection:
                connection.ensure_connection(max_retries=1, timeout=5)
    except Exception as exc:
        return f"{name} does not answer at {url} ({str(exc).splitlines()[0]}). Start it: {HOW[name]}"
    return ""


def main() -> int:
    problems = [problem for name in HOW if (problem := problem_with(name, os.environ[name]))]
    sys.stderr.write("".join(f"{problem}\n" for problem in problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
