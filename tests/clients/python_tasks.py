"""What the workers of test_python_queues.py are asked to do."""

from datetime import timedelta  # noqa: F401 (for the test)

import celery


def add(a, b):
    return a + b


def fail(text):
    raise ValueError(text)


app = celery.Celery("python_tasks")
app.conf.update(result_expires=3600, broker_connection_retry_on_startup=True)


@app.task
def multiply(a, b):
    return a * b


@app.task
def total(parts):
    return sum(parts)


@app.task
def fail_in_celery(text):
    raise ValueError(text)


@app.task(bind=True, max_retries=5)
def third_time(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.1)
    return self.request.retries + 1
