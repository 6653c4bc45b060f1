"""Natural ids of the simulated source systems."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.lab.simulation.days import Ints


def identifiers(prefix: str, numbers: Ints, width: int) -> pa.Array:
    """Strings such as ``AC-000001042``: a prefix and a zero-padded number."""
    digits = pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), width, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), digits, "-")
