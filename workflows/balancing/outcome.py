"""What a balance adds, and its results."""

from __future__ import annotations

from dataclasses import dataclass

from ..data import saved_views, synthetic
from ..data.labels import REJECTED, SYNTHETIC, Labels
from ..data.synthetic import SyntheticImage
from ..runs.run import Run
from .benefit import Benefit
from .config import BalanceConfig
from .generator import Generator
from .plan import Plan
from .results import BalanceResults, class_rows, fell_short, is_rejected, measured_fields, rejections
from .sample_grids import class_grid, rejected_grid
from .soundness import not_added, should_add, soundness_of

ARM = "synthetic images"  # of the measurement


@dataclass
class Balance:
    """One balance: its inputs, and its plan and generator, which its steps refine."""

    run: Run
    labels: Labels
    label_field: str
    config: BalanceConfig
    plan: Plan
    generator: Generator | None
    undecided: dict[str, int]  # mistakes by class
    told_apart: float | None = None  # accuracy of a network that tells its images from real ones


def _is_added(balance: Balance, images: list[SyntheticImage], benefit: Benefit | None) -> bool:
    soundness = soundness_of(images, balance.config, balance.told_apart)
    return should_add(benefit.verdicts[ARM] if benefit else None, balance.config.balance.add, soundness)


def add_images(balance: Balance, images: list[SyntheticImage], benefit: Benefit | None) -> dict[str, str]:
    """Adds the accepted images if the verdict allows it, and rejected ones if they are kept; returns saved views."""
    run, label_field = balance.run, balance.label_field
    accepted = [image for image in images if image.accepted] if _is_added(balance, images, benefit) else []
    rejected = [image for image in images if is_rejected(image) and balance.config.balance.keep_rejected]
    if not accepted and not rejected:
        return {}
    synthetic.add(run, label_field, accepted + rejected)
    of_run, views = synthetic.of_run(run.dataset, run.key), {}
    for name, chosen, rejects in ((SYNTHETIC, accepted, False), (REJECTED, rejected, True)):
        if chosen:
            view = of_run.match_tags(REJECTED, bool=rejects)
            views[name] = saved_views.save(run, f"{label_field}: {name}", view)
    return views


def results_of(
    balance: Balance,
    skipped: dict[str, str],
    images: list[SyntheticImage],
    benefit: Benefit | None,
    views: dict[str, str],
) -> BalanceResults:
    run, plan, names, generator = balance.run, balance.plan, balance.labels.names, balance.generator
    accepted = [image for image in images if image.accepted]
    added = bool(accepted) and _is_added(balance, images, benefit)
    notes = plan.notes + fell_short(plan, images, balance.config.balance.max_draws_per_image)
    notes += [generator.warning] if generator and generator.warning else []
    if accepted and not added:
        soundness = soundness_of(images, balance.config, balance.told_apart)
        verdict = benefit.verdicts[ARM] if benefit else None
        notes += not_added(verdict, balance.config.balance.add, soundness, run.images_folder)
    return BalanceResults(
        run_key=run.key,
        names=names,
        added=len(accepted) if added else 0,
        rows=class_rows(plan, images, added),
        refused=rejections(images),
        **measured_fields(benefit, ARM, names),
        told_apart=balance.told_apart,
        generator=generator.source if generator else None,
        picture=class_grid(run.folder / "synthetic.png", names, accepted) if accepted else None,
        notes=notes,
        views=views,
        skipped=skipped,
        synthetic=balance.labels.synthetic_left_out,
        refused_picture=rejected_grid(run),
        undecided=balance.undecided,
        noun=plan.noun,
    )
