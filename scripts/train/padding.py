"""Cut a micro batch to the width of its own rows, since TRL pads all rollouts of a step to the longest of them.

With completions of 700 tokens on average and a limit of 4,096, four of five tokens in a step would be padding. Only
masked columns are cut, so loss and gradient do not change, apart from rounding.
"""

from __future__ import annotations

from torch import Tensor


def used(mask: Tensor) -> slice:
    """The columns of a mask (B, T) from the first to the last that any row uses; one column if no row uses any."""
    columns = mask.any(0).nonzero().flatten()
    return slice(int(columns[0]), int(columns[-1]) + 1) if len(columns) else slice(0, 1)
