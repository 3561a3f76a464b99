"""Number of NVIDIA GPUs, without loading torch."""

from __future__ import annotations

import os
from pathlib import Path

FOLDERS = Path("/proc/driver/nvidia/gpus")  # Linux: a folder for each


def gpu_count() -> int:
    """GPUs that a process may use; 0 where the system does not list them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([name for name in chosen.split(",") if name.strip() not in ("", "-1")])
    return len(list(FOLDERS.iterdir())) if FOLDERS.is_dir() else 0
