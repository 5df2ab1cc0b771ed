"""Lets callers ask at once for the first time: of an instance that nobody has asked, or about a size that is new.

```
instance 0 ─ 8 callers at a barrier, pictures of all sizes ─┐
instance 1 ─ 8 callers at a barrier, pictures of one size ──┼─ answers are kept ─▶ baseline ─▶ compared
instance 2 ─ ...                                            ┘
```

The baseline would warm an instance up, and a race in a first call would be over before anybody looked.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from yoloom.verify.cases import Case, NewSizes, Options, combine

CALLERS = 8
CALL_S = 2.0  # a guess: seconds of a first call, which may load and compile
MOST_INSTANCES = 8
INSTANCES_IN_ROUNDS = 4
SHARE = 0.1
"""Of the seconds of a check, for the first calls; and as much again for new sizes."""


def first_orders(cases: Sequence[Case], callers: int, instance: int, seed: int) -> list[list[int]]:
    """Plan the first requests to one instance: for each caller, the numbers of the cases that it asks for in turn.

    Instances take turns: all callers ask about different pictures, or all about pictures of one size.
    """
    rng = random.Random(f"{seed}/first/{instance}")  # noqa: S311  must repeat, and guards nothing
    numbers = [case.number for case in cases]
    if instance % 2:
        by_size: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for case in cases:
            by_size[case.picture.pixels.shape].append(case.number)
        groups = [group for group in by_size.values() if len(group) > 1] or [numbers]
        numbers = groups[instance // 2 % len(groups)]
    numbers = rng.sample(numbers, len(numbers))
    turned = [[numbers[(caller + turn) % len(numbers)] for turn in (0, 1)] for caller in range(callers)]
    return [list(dict.fromkeys(order)) for order in turned]


def new_size_cases(sizes: NewSizes, option_sets: Sequence[Options], callers: int, same: bool) -> list[Case]:
    """Return cases of two pictures in sizes that were not there before, for callers at once, with different options.

    same: whether both have one size, and not two.
    """
    crops = sizes.crop(2) if same else [*sizes.crop(1), *sizes.crop(1)]
    by_picture = combine(crops, option_sets[: -(-callers // 2)])
    half = len(by_picture) // 2
    mixed = [case for pair in zip(by_picture[:half], by_picture[half:], strict=True) for case in pair]
    return [Case(number, case.picture, case.options) for number, case in enumerate(mixed)]
