"""Stratified split of a dataset into parts, in whole groups (after Sechidis et al., 2011, "On the stratification of
multi-label data": the rarest class first, each group to the part that lacks most)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NO_PART = -1
PASSES = 5  # over groups of several samples, each moved to where it fits better


@dataclass
class Group:
    """Samples that stay together."""

    rows: list[int]
    counts: list[tuple[int, int]]  # class, and number of its samples that are not placed yet


@dataclass
class Placement:
    """The parts so far, and what is still to place."""

    parts: np.ndarray  # of each sample, NO_PART where it is not placed yet [N]
    room: np.ndarray  # samples of each class that each part still takes [K, S]
    present: np.ndarray  # samples of each class in each part [K, S]

    def place(self, group: Group, part: int) -> None:
        self.parts[[row for row in group.rows if self.parts[row] == NO_PART]] = part
        for class_id, count in group.counts:
            self.room[class_id, part] -= count
            self.present[class_id, part] += count

    def choose(self, group: Group, class_id: int, groups_left: int) -> int:
        """The part that lacks most of the group's classes, as long as there are groups for each part without any."""
        lacking = np.flatnonzero(self.present[class_id] == 0)
        is_scarce = 0 < len(lacking) and groups_left <= len(lacking)
        candidates = lacking if is_scarce else np.arange(self.room.shape[1])
        needs = sum(count * self.room[own, candidates] for own, count in group.counts)
        return int(candidates[int(np.argmax(needs))])

    def move_where_it_fits(self, group: Group) -> bool:
        """Moves a group if that lowers the squared deviation from the targets, and takes no class from a part."""
        part = int(self.parts[group.rows[0]])
        if any(self.present[class_id, part] == count for class_id, count in group.counts):
            return False
        gains = sum(count * (self.room[own] - self.room[own, part] - count) for own, count in group.counts)
        best = int(np.argmax(gains))
        if best == part or gains[best] <= 0:
            return False
        for class_id, count in group.counts:
            self.room[class_id, [part, best]] += [count, -count]
            self.present[class_id, [part, best]] += [-count, count]
        self.parts[group.rows] = best
        return True


def partition(
    class_ids: np.ndarray, groups: np.ndarray, fractions: Sequence[float], seed: int, kept: np.ndarray | None = None
) -> np.ndarray:
    """Part of each sample, in whole groups [N].

    Every class is in every part where it has as many groups as parts. With fewer, earlier parts come first.

    Args:
        class_ids: class of each sample, 0 .. K-1 [N]
        groups: index of each sample's group [N]
        fractions: of the parts, by priority [S]
        kept: part of samples that stay where they are, NO_PART for the others [N]; None: all are new
    """
    kept = np.full(len(class_ids), NO_PART) if kept is None else kept
    counts = np.bincount(class_ids)
    present = np.zeros((len(counts), len(fractions)), dtype=np.int64)
    np.add.at(present, (class_ids[kept >= 0], kept[kept >= 0]), 1)
    placement = Placement(kept.copy(), target_counts(counts, np.array(fractions)) - present, present)
    free = []
    for group in _groups(class_ids, groups, kept):
        own = kept[group.rows]
        if (own >= 0).any():
            placement.place(group, int(np.bincount(own[own >= 0]).argmax()))
        else:
            free.append(group)
    _place_rarest_first(free, placement, np.random.default_rng([seed, len(class_ids)]))
    large = [group for group in free if len(group.rows) > 1]
    for _ in range(PASSES):
        if not sum(placement.move_where_it_fits(group) for group in large):
            break
    return placement.parts


def _place_rarest_first(free: list[Group], placement: Placement, rng: np.random.Generator) -> None:
    """Places groups class by class, the class of the fewest groups first, and large groups before small ones."""
    of_class: list[list[int]] = [[] for _ in placement.room]
    for number in rng.permutation(len(free)).tolist():
        for class_id, _ in free[number].counts:
            of_class[class_id].append(number)
    left = [len(numbers) for numbers in of_class]  # unplaced groups of each class
    placed: set[int] = set()
    for class_id in sorted(range(len(left)), key=left.__getitem__):
        for number in sorted(of_class[class_id], key=lambda number: -len(free[number].rows)):  # stable
            if number not in placed:
                group = free[number]
                placement.place(group, placement.choose(group, class_id, left[class_id]))
                placed.add(number)
                for own, _ in group.counts:
                    left[own] -= 1


def _groups(class_ids: np.ndarray, groups: np.ndarray, kept: np.ndarray) -> list[Group]:
    """The groups, with the classes of their samples that are not placed yet."""
    members: dict[int, list[int]] = {}
    for row, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(row)
    labels, is_kept, result = class_ids.tolist(), (kept >= 0).tolist(), []
    for rows in members.values():
        counts: dict[int, int] = {}
        for row in rows:
            if not is_kept[row]:
                counts[labels[row]] = counts.get(labels[row], 0) + 1
        if counts:
            result.append(Group(rows, list(counts.items())))
    return result


def target_counts(counts: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Samples of each class for each part: whole numbers that sum to `counts` [K, S].

    What rounding leaves goes where all classes so far lack most. A class of at least S samples has one in each part.

    Args:
        counts: samples of each class [K]
        fractions: of the parts, of sum 1 [S]
    """
    targets, deficit = np.zeros((len(counts), len(fractions)), dtype=np.int64), np.zeros(len(fractions))
    for class_id, count in enumerate(counts.tolist()):
        wanted = count * fractions
        whole = np.floor(wanted + 1e-9).astype(np.int64)
        deficit += wanted - whole
        most = np.argsort(-deficit.round(9), kind="stable")[: count - int(whole.sum())]
        whole[most] += 1
        deficit[most] -= 1
        while count >= len(fractions) and (whole == 0).any():
            empty, largest = int(np.argmin(whole)), int(np.argmax(whole))
            whole[empty] += 1
            whole[largest] -= 1
        targets[class_id] = whole
    return targets
