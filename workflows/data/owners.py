"""Owners of locks: a process of a host, known by more than its id, which is used again."""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from pathlib import Path
from typing import NamedTuple

from ...models.regular_files import regular

CLOCK_SECONDS = 600  # tolerated shift of a process's birth, which moves with the clock; ids are reused later than this
BOOT = Path("/proc/sys/kernel/random/boot_id")
PROCESS_IDS = "/proc/self/ns/pid"  # a container numbers its processes by itself


class Owner(NamedTuple):
    """A process that can hold locks."""

    host: str
    machine: str  # two machines or containers can have the same host name
    pid: int
    born: float  # seconds since 1970; 0 where it is gone

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def this_process() -> Owner:
    return Owner(socket.gethostname(), machine(), os.getpid(), birth(os.getpid()))


def machine() -> str:
    """Identifies the set of process ids to which this process belongs: a boot of a machine, or a container."""
    try:
        return f"{regular(BOOT).read_text().strip()} {os.readlink(PROCESS_IDS)}"
    except OSError:  # not Linux
        return f"{uuid.getnode():x}"


def birth(pid: int) -> float:
    """Time at which a process started, in seconds since 1970; 0 where it is gone."""
    import psutil

    with contextlib.suppress(psutil.Error):
        return float(psutil.Process(pid).create_time())
    return 0.0


def is_alive(pid: int, born: float) -> bool:
    """Whether a process of this machine lives."""
    import psutil

    try:
        process = psutil.Process(pid)
        return bool(abs(process.create_time() - born) < CLOCK_SECONDS and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def is_dead(owner: Owner) -> bool:
    """Whether an owner has certainly ended; one on another machine counts as alive."""
    return owner.machine == machine() and not is_alive(owner.pid, owner.born)
