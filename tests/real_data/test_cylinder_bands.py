"""Cylinder Bands from the file to completed data sets: coverage of hidden cells, and nothing measured is changed."""

# ruff: noqa: DTZ001 - times in the lake are UTC without a zone

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest

from pipelines.io.lake import Lake
from pipelines.settings import Settings
from pipelines.sources.ingest import ingest
from pipelines.steps import TRAINING, Options, Step, run_step
from pipelines.usecases.imputation.dataset import read_wide
from pipelines.usecases.imputation.scoring import iter_completed

AS_OF = date(1994, 10, 11)
#: A closed data set of few jobs for many sensors: all of it is completed, judged at random, with a ridge.
OVERRIDES = {
    "window.train_days": 1700, "window.batch_days": 1700, "window.holdout": "random", "model.ridge": 0.05,
}  # fmt: skip


@pytest.mark.real_data
def test_cylinder_bands_from_end_to_end(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(var=tmp_path, overrides={"imputation": OVERRIDES})
    ingest(
        "imputation", data_dir / "cylinder_bands", settings=settings, ingested_at=datetime(2026, 1, 1),
        source="cylinder_bands", quality_checks=False,
    )  # fmt: skip
    records = {
        str(step): run_step("imputation", step, AS_OF, settings=settings, options=options)
        for step, options in (*TRAINING, (Step.SCORE, Options()))
    }
    trained = records["train"]
    with capsys.disabled():
        print(  # noqa: T201 - the figure is asked for
            f"\nCylinder Bands: 90 % intervals hold {trained['coverage_90']:.1%} of {trained['cells_judged']:,} hidden "
            f"cells; error {trained['error_sd']:.2f} standard deviations, means {trained['error_sd_of_means']:.2f}"
        )
    assert records["gate"]["outcome"] == "promoted", records["gate"]["words"]
    assert 0.85 < trained["coverage_90"] < 0.95
    assert trained["error_sd"] < 0.9 * trained["error_sd_of_means"]

    wide = read_wide(Lake.of(settings), AS_OF, batch=True)
    assert len(wide.parts) == 540
    assert int(wide.values.isna().to_numpy().sum()) == 999
    measured = wide.values.set_axis(wide.parts["part_id"], axis=0)
    draws = []
    for table in iter_completed(Lake.of(settings), AS_OF):
        ours = table.reindex(index=measured.index, columns=measured.columns)
        assert not ours.isna().to_numpy().any()
        assert not (measured.notna() & (ours != measured)).to_numpy().any()
        draws.append(ours["ink.viscosity"][measured["ink.viscosity"].isna()].to_numpy())
    assert len(draws) == 5
    assert np.std(draws, axis=0).min() > 0
