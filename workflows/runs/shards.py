"""Work in shards on a Ray cluster, or on several processes of this machine, which Ray starts.

A worker that is killed is replaced, and a shard that fails is tried again. The caller keeps each result as it comes, so
that a resumed run asks for the missing shards alone. Only the caller talks to the database.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ...models.errors import InvalidInput, RunError
from ..display.tables import counted

S = TypeVar("S")
R = TypeVar("R")
ATTEMPTS = 3  # of a shard
AHEAD = 2  # shards for each worker that are under way
CHECK_SECONDS = 1.0  # between two looks for a stop request
ROOT = Path(__file__).resolve().parents[2]
NEEDS = "workers needs Ray: pip install 'evenset[cluster]'"


class Executor(NamedTuple):
    """Where shards are worked on."""

    workers: str  # as WorkerSettings has them
    needs_gpu: bool = False  # each worker takes a GPU

    @property
    def is_local(self) -> bool:
        """Whether the workers are processes of this machine that are started for the run."""
        return self.workers.isdigit()


@dataclass(frozen=True)
class Lazy(Sequence[S]):
    """Shards that are made when they are sent."""

    length: int
    make: Callable[[int], S]  # from its index

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, place: Any) -> Any:
        if not 0 <= place < self.length:
            raise IndexError(place)
        return self.make(place)


def results(
    shards: Sequence[S],
    function: Callable[..., R],
    executor: Executor,
    check: Callable[[], None] = lambda: None,
    *common: Any,
) -> Iterator[tuple[int, R]]:
    """Yields index and result of each shard as it is done.

    Args:
        function: of a module, from a shard and what is common to what can be pickled
        check: is called each second; raising ends the work
        common: what all shards need; it is sent once to a machine

    Raises:
        ValueError: Ray is missing, no cluster answers, or it does not fit
        RunError: a shard failed three times; the others are done
    """
    with _cluster(executor) as ray, _tasks_of(ray) as under_way:
        options: dict[str, Any] = dict(max_retries=ATTEMPTS - 1, num_gpus=int(executor.needs_gpu))
        task, shared = ray.remote(**options)(_work), [ray.put(it) for it in common]
        waiting, tried, failed = list(range(len(shards)))[::-1], [0] * len(shards), {}
        room = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
        while waiting or under_way:
            while waiting and len(under_way) < room:
                place = waiting.pop()
                tried[place] += 1
                under_way[task.remote(function, shards[place], *shared)] = place
            done, _ = ray.wait(list(under_way), num_returns=1, timeout=CHECK_SECONDS)
            if not done:
                check()
                continue
            place = under_way.pop(done[0])
            try:
                result = ray.get(done[0])
            except ray.exceptions.RayError as error:
                if tried[place] < ATTEMPTS and isinstance(error, ray.exceptions.RayTaskError):
                    waiting.append(place)
                else:
                    failed[place] = _reason(error)
                continue
            yield place, result
    if failed:
        raise RunError(
            f"{counted(len(failed), 'shard')} of {len(shards):,} failed {ATTEMPTS} times: {next(iter(failed.values()))}"
        )


def _work(function: Callable[..., R], shard: Any, *common: Any) -> R:
    """On a worker: the function's result.

    Raises:
        RunError: the worker's disk is full
    """
    try:
        return function(shard, *common)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise RunError(f"the disk of {socket.gethostname()} is full ({error.filename}): make room there") from error


@contextlib.contextmanager
def _tasks_of(ray: Any) -> Iterator[dict[Any, int]]:
    """Tasks with the index of their shard; those that are left are cancelled, also on a cluster that goes on."""
    tasks: dict[Any, int] = {}
    try:
        yield tasks
    finally:
        for task in tasks:
            ray.cancel(task, force=True)


def _reason(error: Any) -> str:
    """The error of a task in one line."""
    cause = getattr(error, "cause", None) or error
    if type(cause).__name__ == "OutOfDiskError":  # of Ray's own store, which does not say where
        return "the disk of a worker's machine is full: make room there"
    return next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)


@contextlib.contextmanager
def connected(executor: Executor | None) -> Iterator[None]:
    """Keeps the workers for several calls of `results`; None: there are none."""
    with _cluster(executor) if executor else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def _cluster(executor: Executor) -> Iterator[Any]:
    """Ray, connected; processes that were started for this are ended.

    Raises:
        ValueError: Ray is missing, no cluster answers, or it does not fit
    """
    try:
        import ray
    except ImportError as error:
        raise InvalidInput(NEEDS) from error
    was_there = ray.is_initialized()
    with tempfile.TemporaryDirectory(prefix="evenset-workers-") as folder:
        if not was_there:
            _connect(ray, executor, Path(folder))
        try:
            _check(ray, executor)
            yield ray
        finally:
            if not was_there:
                ray.shutdown()


def _connect(ray: Any, executor: Executor, folder: Path) -> None:
    threads = max(1, (os.cpu_count() or 1) // int(executor.workers)) if executor.is_local else 1
    environment = {"OMP_NUM_THREADS": str(threads), "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    options: dict[str, Any] = dict(log_to_driver=False, logging_level="error", configure_logging=False)
    if executor.is_local:
        (folder / "evenset").symlink_to(ROOT, target_is_directory=True)  # a plugin's folder may have another name
        paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        environment["TMPDIR"] = str(folder)  # what a killed worker leaves goes with it
        options.update(num_cpus=int(executor.workers), include_dashboard=False, _node_ip_address="127.0.0.1")
        options.update(address="local")  # a cluster of this machine is left alone
    else:
        options.update(address="auto" if executor.workers == "ray" else executor.workers)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent
    try:
        ray.init(runtime_env={"env_vars": environment}, **options)
    except (ConnectionError, TimeoutError, RuntimeError, ValueError) as error:
        ray.shutdown()  # it may be half connected
        if "Version mismatch" in str(error):
            raise InvalidInput(
                f"workers: {' '.join(str(error).split())}: install the same versions of Python and Ray"
            ) from error
        where = f"{executor.workers} does not answer"
        where = "this machine belongs to no Ray cluster" if executor.workers == "ray" else where
        remedy = "start one by `ray start --head`, or give a number of processes"
        raise InvalidInput(f"workers: {where}: {remedy}") from error


def _check(ray: Any, executor: Executor) -> None:
    """Raises ValueError where the cluster has no GPU though one was asked for, or another Python or Evenset."""
    if executor.needs_gpu and not ray.cluster_resources().get("GPU"):
        raise InvalidInput("workers: the cluster has no GPU, and device is 'cuda': choose 'auto' or 'cpu'")
    if executor.is_local:
        return
    here = _versions()
    try:
        there = ray.get(ray.remote(_versions).remote())
    except ray.exceptions.RayError as error:
        raise InvalidInput(
            f"workers: Evenset cannot be used on the cluster ({_reason(error)}): install the same version there"
        ) from error
    if there[:2] != here[:2]:
        raise InvalidInput(
            f"workers: {there[2]} has Python {there[0]} and Evenset {there[1]}, and this machine {here[0]} and "
            f"{here[1]}: install the same versions"
        )


def _versions() -> tuple[str, str, str]:
    """Versions of Python and Evenset, and the host's name."""
    version = sys.modules[__name__.split(".workflows")[0]].__dict__["__version__"]
    return platform.python_version(), str(version), socket.gethostname()
