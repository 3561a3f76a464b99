"""Whether the servers of weights can be asked."""

from __future__ import annotations

import functools
import os
import socket
import threading
import time
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

CONNECT_SECONDS = 1.0  # a server that takes longer counts as out of reach
REMEMBER_SECONDS = 60  # an answer stays that long


def hub_out_of_reach() -> str:
    """Why the Hugging Face hub cannot be asked; "" where it can."""
    from huggingface_hub import constants

    if is_offline():
        return "HF_HUB_OFFLINE is set"
    return out_of_reach(constants.ENDPOINT)


def is_offline() -> bool:
    """Whether the user told the hub's library to stay offline."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def out_of_reach(address: str) -> str:
    """Why a server cannot be asked; "" where it, or the proxy to it, takes a connection within a second."""
    return _answer(address, int(time.monotonic() / REMEMBER_SECONDS))


@functools.lru_cache(maxsize=8)
def _answer(address: str, _: int) -> str:
    parts = urlsplit(address)
    proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    target = urlsplit(proxy if not proxy or "://" in proxy else f"http://{proxy}") if proxy else parts
    answered: list[bool] = []

    def connect() -> None:  # looking up a name may take longer than any limit of the socket
        port = target.port or (443 if target.scheme == "https" else 80)
        try:
            socket.create_connection((target.hostname or "", port), timeout=CONNECT_SECONDS).close()
            answered.append(True)
        except OSError:
            pass

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    return "" if answered else f"{parts.hostname} does not answer"
