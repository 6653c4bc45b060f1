"""What was drawn for one part, and why it had to be."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.errors import ConfigError
from pipelines.usecases.imputation import USECASE
from pipelines.usecases.imputation.dataset import read_wide
from pipelines.usecases.imputation.scoring import read_completed
from tests.usecases.imputation.conftest import AS_OF, PARAMS, Factory


def test_a_part_tells_its_drawn_cells_and_their_reasons(factory: Factory) -> None:
    wide = read_wide(factory.lake, AS_OF, batch=True)
    limited = wide.limited
    row, column = int(limited.row[0]), int(limited.column[0])
    part, sensor = wide.parts["part_id"].iloc[row], wide.values.columns[column]
    record = USECASE.explain.run(USECASE.run(AS_OF, factory.settings), [part])
    gaps = {name for name in wide.values.columns if wide.values[name].isna().iloc[row]}
    assert {cell["sensor"] for cell in record["drawn"]} == gaps
    assert record["measured"] == 18 - len(gaps)
    (cell,) = [cell for cell in record["drawn"] if cell["sensor"] == sensor]
    assert cell["why"] == f"lies below the limit of the instrument ({limited.limit[0]:g})"
    tables = read_completed(factory.lake, AS_OF)
    np.testing.assert_allclose(cell["drawn"], [table.loc[part, sensor] for table in tables], atol=1e-6)
    assert len(cell["drawn"]) == PARAMS.model.m
    text = USECASE.explain.text(record)
    assert f"Part {part} on {AS_OF}: {record['measured']} cells measured, {len(gaps)} drawn" in text
    assert (
        f"  {sensor}, lies below the limit of the instrument ({limited.limit[0]:g}): {cell['mean']:.5g}"
        in text
    )


def test_a_part_of_another_day_is_named(factory: Factory) -> None:
    with pytest.raises(ConfigError, match=r"part must have been completed on 2025-12-29, got 'P-nobody'"):
        USECASE.explain.run(USECASE.run(AS_OF, factory.settings), ["P-nobody"])
