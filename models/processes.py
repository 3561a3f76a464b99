"""Processes of one launch that train in step, by torch.distributed: who is there, and an end for all of them."""

from __future__ import annotations

import datetime
import functools
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np

from .errors import RunError

T = TypeVar("T")
MEETING = datetime.timedelta(minutes=10)  # until all processes have called; then the longest step of one of them
ENDING_SECONDS = 2.0
DAYS = datetime.timedelta(days=30)  # a process may wait while the first one reads images
_in_step = [False]  # in the first process: the others train along


class Ended(RunError):
    """The first process ended a training before it was done."""


class Member(NamedTuple):
    """A process of the launch."""

    rank: int
    pid: int
    host: str


def is_distributed() -> bool:
    """Whether a launcher started several processes, and this one is among them."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_follower() -> bool:
    """Whether another process of this launch owns the run."""
    return is_distributed() and int(os.environ.get("RANK", "0")) > 0


def trains_on_cpus() -> bool:
    """Whether the processes of this launch have no GPU."""
    import torch

    return is_distributed() and not torch.cuda.is_available()


@functools.cache
def group() -> Any:
    """The processes as a group that passes objects by gloo, whatever device trains.

    Raises:
        RunError: some do not ask for it
    """
    import torch.distributed as dist
    from accelerate import PartialState

    try:
        PartialState(cpu=trains_on_cpus(), timeout=MEETING)
        meeting: Any = dist.new_group(backend="gloo", timeout=MEETING)
        dist.barrier(meeting)
    except RuntimeError as error:
        raise RunError(
            "the other processes of this launch did not call the same function of evenset: call it in all of them"
        ) from error
    return dist.new_group(backend="gloo", timeout=DAYS)


@functools.cache
def members() -> list[Member]:
    """All processes of the launch; each of them has to ask at the same time, the first time."""
    import torch.distributed as dist

    found: list[Any] = [None] * dist.get_world_size(group())
    dist.all_gather_object(found, Member(dist.get_rank(), os.getpid(), socket.gethostname()), group=group())
    return found


def broadcast(value: Any = None) -> Any:
    """The first process's value, in all of them."""
    import torch.distributed as dist

    values = [value]
    dist.broadcast_object_list(values, src=0, group=group())
    return values[0]


def shared(process: Any, value: T) -> T:
    """The first process's value, in all that train.

    Args:
        process: Accelerate's
    """
    return value if process.num_processes == 1 else broadcast(value)


def lost() -> Member | None:
    """A process of this machine that has ended; None where all are there."""
    import psutil

    for member in members():
        if member.host == socket.gethostname() and member.pid != os.getpid():
            try:
                if psutil.Process(member.pid).status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                    return member
            except psutil.NoSuchProcess:
                return member
    return None


def _wait_for_lost() -> Member | None:
    """`lost`, within ENDING_SECONDS: the connections of a killed process close before it is gone."""
    end = time.monotonic() + ENDING_SECONDS
    while (member := lost()) is None and time.monotonic() < end:
        time.sleep(0.05)
    return member


@contextmanager
def in_step() -> Iterator[None]:
    """In the first process: the others train along, until the training ends in all of them.

    Raises:
        RunError: one of them has ended
    """
    _in_step[0] = True
    try:
        yield
    except (RuntimeError, KeyboardInterrupt) as error:  # torch's, or the launcher's signal
        member = _wait_for_lost() if _in_step[0] else None
        if member is None:
            raise
        raise RunError(
            f"process {member.rank} of {len(members())} (pid {member.pid} on {member.host}) has ended: start again, "
            "with any number of processes, and resume"
        ) from error
    _in_step[0] = False


def are_in_step() -> bool:
    """Whether the others train along, and wait for this process: no message would reach them."""
    return _in_step[0]


def check_together(process: Any, check: Callable[[], None]) -> None:
    """Calls `check` in the first process; an exception that it raises ends the training in all processes.

    Args:
        process: Accelerate's

    Raises:
        Ended: in the others
    """
    if process.num_processes == 1:
        check()
        return
    error: BaseException | None = None
    if process.is_main_process:
        try:
            check()
        except BaseException as raised:
            error = raised
    goes_on = _tell(error is None)
    if error is not None:
        raise error
    if not goes_on:
        raise Ended("the first process ended the training")


@contextmanager
def ending_together(process: Any) -> Iterator[None]:
    """Around the `yield` of a training: where its reader leaves, the training ends in all processes."""
    try:
        yield
    except GeneratorExit:
        if process.num_processes > 1 and process.is_main_process:
            _tell(False)
        raise


def _tell(goes_on: bool) -> bool:
    """Whether the training goes on, as the first process says."""
    answer = bool(broadcast(goes_on))
    if not answer:
        _in_step[0] = False
    return answer


def own_share(process: Any, batch: np.ndarray) -> np.ndarray:
    """This process's part of a batch's indices."""
    return np.asarray(batch[process.process_index :: process.num_processes])


def share_of_mean(process: Any, batch: np.ndarray, rows: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Factor of the mean over own rows, so that the processes' average is the mean over the batch.

    Args:
        weights: of every sample [N]; None: equal
    """
    own, all_ = (len(rows), len(batch)) if weights is None else (weights[rows].sum(), weights[batch].sum())
    return share_of_sum(process, float(own), float(all_))


def share_of_sum(process: Any, own: float, total: float) -> float:
    """Factor of a mean over own weights, so that the processes' average is the mean over all.

    Args:
        own, total: sum of this process's weights, and of all
    """
    return 1.0 if process.num_processes == 1 else own * process.num_processes / total
