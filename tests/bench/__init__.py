"""`make bench`: Rowpost beside a plain Celery task per row, in one run on one machine."""
