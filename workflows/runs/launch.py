"""One launch of several processes: the first owns run, database and files; the others train along.

`torchrun` and `accelerate launch` start them, and all run the same script. In the first process a function of the SDK
works as ever, and where it trains a network it calls `lead`. In the others the function waits in `follow`, trains
along, and ends as the first one's did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ...models import processes
from ...models.errors import EvensetError

TRAIN, RETURN, RAISE = "train", "return", "raise"  # what the first process has the others do
OF_FIRST = "in the first process of this launch"  # note of an error that it had
_depth = [0]  # functions of the SDK that run inside each other


@contextmanager
def own() -> Iterator[list[Any]]:
    """Around a function of the SDK in the first process: tells the others its result, which goes into the list."""
    if not processes.is_distributed():
        yield []
        return
    if not _depth[0]:
        processes.members()
    _depth[0] += 1
    result: list[Any] = []
    try:
        yield result
    except BaseException as error:
        _depth[0] -= 1
        if not _depth[0] and not processes.are_in_step():  # else they wait for the training, and the launcher ends them
            processes.broadcast((RAISE, _portable(error)))
        raise
    _depth[0] -= 1
    if not _depth[0]:
        processes.broadcast((RETURN, result[0] if result else None))


@contextmanager
def lead(train_along: Callable[..., None], *arguments: Any) -> Iterator[None]:
    """Has the other processes call `train_along(*arguments)`, while this one trains in step with them.

    Args:
        train_along: a function of a module
        arguments: what can be pickled

    Raises:
        RunError: one of the processes has ended
    """
    if not processes.is_distributed():
        yield
        return
    processes.broadcast((TRAIN, (train_along, arguments)))
    with processes.in_step():
        yield


def follow() -> Any:
    """In another process than the first: trains along, and returns the first one's result, or raises its error."""
    processes.members()
    while True:
        order, what = processes.broadcast()
        if order == RETURN:
            return what
        if order == RAISE:
            what.add_note(OF_FIRST)
            raise what
        function, arguments = what
        try:
            function(*arguments)
        except processes.Ended:  # the reason follows
            continue


def _portable(error: BaseException) -> BaseException:
    """An error with its sentence alone, as another process can read it."""
    if isinstance(error, EvensetError) or type(error).__module__ == "builtins":
        with suppress(TypeError):  # some take more than a sentence
            return type(error)(str(error))
    return RuntimeError(f"{type(error).__name__}: {error}")
