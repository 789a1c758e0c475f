"""RQ and Celery of Debian 12, with workers in processes of their own."""

import os
import pathlib
import subprocess
import sys
import time

import pytest
import rq
from celery import chain, group
from rq.registry import FailedJobRegistry, FinishedJobRegistry

from clients import python_tasks as tasks
from support.server import wait_until

HERE = pathlib.Path(__file__).resolve().parent
# Little memory, and results move to disk while the workers run.
LARDER_CONFIG = ["maxmemory 24mb"]


@pytest.fixture
def queue(larder):
    connection = larder.client(socket_timeout=None)
    connection.flushall()
    yield rq.Queue("work", connection=connection)
    connection.close()


def work(queue, *options):
    """A worker until the queue is empty, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "rq.cli", "worker", "--burst", "--url",
         "redis://127.0.0.1:%d" % queue.connection.connection_pool
         .connection_kwargs["port"], *options, queue.name],
        env=dict(os.environ, PYTHONPATH=str(HERE.parent), LC_ALL="C.UTF-8",
                 LANG="C.UTF-8"),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def demote_all(queue):
    queue.connection.execute_command("TIER", "FLUSH", "ALL")


def test_rq_runs_jobs(queue):
    jobs = [queue.enqueue(tasks.add, n, n) for n in range(10)]
    assert len(queue) == 10 and queue.job_ids == [job.id for job in jobs]
    demote_all(queue)
    work(queue)
    demote_all(queue)
    assert [job.result for job in jobs] == [2 * n for n in range(10)]
    assert all(job.get_status() == "finished" for job in jobs)
    assert len(FinishedJobRegistry(queue=queue)) == 10 and queue.is_empty()


def test_rq_failures_are_kept_and_requeued(queue):
    job = queue.enqueue(tasks.fail, "broken")
    work(queue)
    registry = FailedJobRegistry(queue=queue)
    assert registry.get_job_ids() == [job.id]
    job.refresh()
    assert "ValueError: broken" in job.exc_info
    demote_all(queue)
    registry.requeue(job.id)
    assert queue.job_ids == [job.id]
    work(queue)
    assert registry.get_job_ids() == [job.id]


def test_rq_dependencies_and_retries(queue):
    first = queue.enqueue(tasks.add, 1, 2)
    second = queue.enqueue(tasks.add, 3, 4, depends_on=first)
    again = queue.enqueue(tasks.fail, "x", retry=rq.Retry(max=2))
    assert second.get_status() == "deferred" and len(queue) == 2
    demote_all(queue)
    work(queue)
    assert second.result == 7
    again.refresh()
    assert again.retries_left == 0 and again.get_status() == "failed"


def test_rq_scheduled_jobs(queue):
    job = queue.enqueue_in(tasks.timedelta(seconds=1), tasks.add, 2, 2)
    assert queue.scheduled_job_registry.get_job_ids() == [job.id]
    demote_all(queue)
    # With its scheduler, which takes a lock; it looks once a second.
    wait_until(lambda: [work(queue, "--with-scheduler"), job.result][1], 30)
    assert job.result == 4


@pytest.fixture
def celery(larder):
    """A worker in a process of its own, and the application to call it."""
    larder.client().flushall()
    url = "redis://127.0.0.1:%d/1" % larder.port
    tasks.app.conf.update(broker_url=url, result_backend=url)
    log = open(larder.directory / "celery.log", "ab")
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "clients.python_tasks",
         "--broker", url, "--result-backend", url, "worker", "--pool",
         "threads", "--concurrency", "4", "--without-mingle",
         "--loglevel", "WARNING"],
        env=dict(os.environ, PYTHONPATH=str(HERE.parent)),
        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    log.close()
    yield tasks.app
    process.terminate()
    process.wait(60)
    tasks.app.close()


# Results say goodbye to a server that is gone by then.
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::DeprecationWarning")
def test_celery(celery, larder):
    plain = [tasks.multiply.delay(n, 3) for n in range(20)]
    assert [one.get(timeout=60) for one in plain] == [3 * n for n in range(20)]
    larder.client().execute_command("TIER", "FLUSH", "ALL")
    assert plain[7].get(timeout=10) == 21
    together = group(tasks.multiply.s(n, n) for n in range(10))()
    assert together.get(timeout=60) == [n * n for n in range(10)]
    one_by_one = chain(tasks.multiply.s(2, 3), tasks.multiply.s(7))()
    assert one_by_one.get(timeout=60) == 42
    # A chord: its counter and parts lie in keys with expiry.
    chord = (group(tasks.multiply.s(n, 2) for n in range(8))
             | tasks.total.s())()
    assert chord.get(timeout=60) == 56
    with pytest.raises(ValueError, match="broken"):
        tasks.fail_in_celery.delay("broken").get(timeout=60)
    assert tasks.third_time.delay().get(timeout=60) == 3
    later = tasks.multiply.apply_async((4, 5), countdown=0.5)
    begin = time.monotonic()
    assert later.get(timeout=60) == 20 and time.monotonic() - begin > 0.3
    revoked = tasks.multiply.apply_async((1, 1), countdown=3600)
    revoked.revoke()
    assert celery.control.ping(timeout=5)
