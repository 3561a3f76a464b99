"""Pretrained models in the cache of the Hugging Face hub, listed without torch."""

from __future__ import annotations

from ...regular_files import is_file, read_json

INDEX = "model_index.json"  # of a diffusers pipeline
PIPELINES = (  # classes that can be tuned: those of families.py
    "StableDiffusionPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusion3Pipeline",
    "FluxPipeline",
    "SanaPipeline",
)


def cached() -> list[str]:
    """Hub ids on this machine that can be tuned."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = scan_cache_dir().repos
    except (CacheNotFound, OSError):
        return []
    names = []
    for repository in repositories:
        indices = [revision.snapshot_path / INDEX for revision in repository.revisions]
        if any(is_file(path) and read_json(path).get("_class_name") in PIPELINES for path in indices):
            names.append(repository.repo_id)
    return sorted(names)
