"""A micro batch as wide as its own rows need. TRL pads all rollouts of a step to the longest of them.

With answers of 700 tokens on average and a limit of 4,096, four of five tokens that a step reads would be padding. What
is left out is masked, so loss and gradient stay what they are, up to rounding.
"""

from __future__ import annotations

from torch import Tensor


def used(mask: Tensor) -> slice:
    """The columns of a mask (rows, columns) from the first that a row uses to the last; one where none is used."""
    columns = mask.any(0).nonzero().flatten()
    return slice(int(columns[0]), int(columns[-1]) + 1) if len(columns) else slice(0, 1)
