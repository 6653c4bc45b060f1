"""Generate a delivery: parts, sensors and measurements of a factory, and the truth about them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.lab.simulation.days import DAY_US, Ints, to_date, to_day
from pipelines.lab.simulation.dirt import CONFLICT, Defect, Planted, plant, put
from pipelines.lab.simulation.folder import PARAMETERS, replacing
from pipelines.lab.simulation.identifiers import identifiers
from pipelines.lab.simulation.imputation.factory import (
    Drift,
    Sensors,
    draw_sensors,
    readings,
    scores,
    sensors_table,
)
from pipelines.lab.simulation.imputation.missing import Reason, down_times, limits, lost_rates, reasons
from pipelines.lab.simulation.imputation.truth import REASONS, VALUES
from pipelines.lab.simulation.start import (
    Progress,
    random_stream,
    require_at_least,
    require_dirty_share,
    silent,
)
from pipelines.lab.simulation.write import TableFile, delivered_schema
from pipelines.usecases.imputation.layouts import LAYOUTS, MEASUREMENTS, PARTS, SENSORS

DEFAULT_END = date(2026, 1, 5)
#: Days of production before the end.
DAYS = 182

#: Parts per block. Blocks bound memory; part of the definition of the data, so not a parameter.
BLOCK_PARTS = 20_000
_MINUTE_US = 60_000_000
#: Minutes between two stations, and from the line's start until the part is known.
_STATION_MINUTES, _KNOWN_MINUTES = 12, 5
#: Share of measurements whose value is corrected half a minute later.
_CORRECTED = 0.002

DEFECTS = (
    Defect("status_not_allowed", "status", "ok?", lambda: pc.field("value").is_valid()),
    Defect("unknown_sensor", "sensor_id", "nowhere.nothing"),
    Defect("value_of_a_failure", "status", "failed", lambda: pc.field("value").is_valid()),
    Defect(CONFLICT, "value", 1e9, lambda: pc.field("value").is_valid()),
)


@dataclass(frozen=True)
class GenerateReport:
    """What was generated.

    Attributes
    ----------
    rows
        Rows per delivered table, planted ones included.
    truth_rows
        Cells of the truth.
    missing
        Cells by the reason why they are missing.
    planted
        Bad rows per table and defect, as in ``truth/planted_dirt.json``.
    """

    parts: int
    lines: int
    stations: int
    sensors: int
    seed: int
    start: date
    end: date
    rows: dict[str, int]
    truth_rows: int
    missing: dict[str, int]
    planted: Planted


def generate(
    parts: int = 20_000,
    lines: int = 3,
    stations: int = 6,
    seed: int = 0,
    to: Path = Path("data/imputation"),
    *,
    end: date = DEFAULT_END,
    dirty_share: float = 0.0005,
    progress: Progress | None = None,
) -> GenerateReport:
    """Simulate a factory and write what its measuring systems deliver.

    Parameters
    ----------
    parts
        Parts made in the 26 weeks before ``end``.
    lines
        Production lines.
    stations
        Stations of a line, of six sensors each.
    seed
        The same arguments give the same files.
    to
        Folder to write; an earlier delivery there is replaced, anything else is refused.
    end
        Moment of extraction, 00:00 UTC of this day: rows known later are not delivered.
    dirty_share
        Bad rows per clean row; 0 for none.
    progress
        Called with what is being done and the share done, 0 to 1.

    Raises
    ------
    ConfigError
        An argument is out of range, or ``to`` holds something else.
    """
    require_at_least(("parts", parts, 20), ("lines", lines, 1), ("stations", stations, 1), ("seed", seed, 0))
    require_dirty_share(dirty_share)
    arguments = {
        "parts": parts, "lines": lines, "stations": stations, "seed": seed, "end": str(end),
        "dirty_share": dirty_share,
    }  # fmt: skip
    tell = progress or silent
    with replacing(to) as aside:
        (aside / PARAMETERS).write_text(json.dumps(arguments, indent=2) + "\n")
        delivery = _Delivery(
            seed, aside, to_day(end - timedelta(days=DAYS)), to_day(end), parts, lines, stations
        )
        report = delivery.write(dirty_share, tell)
        tell("done", 1.0)
    return report


@dataclass
class _Delivery:
    """The open files of a delivery while its blocks are written."""

    seed: int
    to: Path
    start: int
    end: int
    parts: int
    lines: int
    stations: int
    missing: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(Reason), dtype=np.int64))
    planted: Planted = field(default_factory=dict)

    def write(self, dirty_share: float, tell: Progress) -> GenerateReport:
        rng = self._stream(0)
        sensors = draw_sensors(rng, self.lines, self.stations)
        down = down_times(rng, self.lines, self.stations, self.start, self.end)
        lost, drift = lost_rates(rng, sensors), Drift.start(rng, self.lines)
        # Half a day before the end the last part is made: its measurements are known in time, mostly.
        span = (self.end - self.start) * DAY_US - DAY_US // 2
        moments = self.start * DAY_US + np.sort(rng.integers(0, span, self.parts)) // 1_000_000 * 1_000_000
        lines = rng.integers(0, self.lines, self.parts)
        schemas = {
            layout.table.name: delivered_schema(layout.table, dirty=dirty_share > 0) for layout in LAYOUTS
        }
        folder = self.to / MEASUREMENTS.table.name
        folder.mkdir()
        measured, sample = 0, None
        with ExitStack() as stack:
            made = stack.enter_context(TableFile(self.to / "parts.parquet", schemas["parts"]))
            described = stack.enter_context(TableFile(self.to / "sensors.parquet", schemas["sensors"]))
            truth = stack.enter_context(TableFile(self.to / "truth" / "values.parquet", VALUES.arrow_schema))
            described.append(sensors_table(sensors, self.start * DAY_US))
            for number, first in enumerate(range(0, self.parts, BLOCK_PARTS)):
                block = slice(first, min(first + BLOCK_PARTS, self.parts))
                line, moment = lines[block], moments[block]
                ids = identifiers("P", np.arange(block.start, block.stop), 8)
                made.append(_parts_table(ids, line, moment))
                rows, told = self._block(number, sensors, ids, line, moment, down, lost, drift)
                truth.append(told)
                with TableFile(folder / f"{number:04d}.parquet", schemas["measurements"]) as file:
                    file.append(rows)
                    measured += file.rows
                sample = rows if sample is None else sample
                tell(f"part {block.stop:,} of {self.parts:,}", 0.02 + 0.96 * block.stop / self.parts)
        if dirty_share and sample is not None:
            measured += self._resent(sample, measured * dirty_share, folder, schemas["measurements"])
        (self.to / "truth" / "planted_dirt.json").write_text(json.dumps(self.planted, indent=2) + "\n")
        return GenerateReport(
            parts=self.parts,
            lines=self.lines,
            stations=self.stations,
            sensors=len(sensors),
            seed=self.seed,
            start=to_date(self.start),
            end=to_date(self.end),
            rows={
                PARTS.table.name: made.rows,
                SENSORS.table.name: described.rows,
                MEASUREMENTS.table.name: measured,
            },
            truth_rows=truth.rows,
            missing={name: int(count) for name, count in zip(REASONS, self.missing, strict=True)},
            planted=self.planted,
        )

    def _stream(self, stream: int) -> np.random.Generator:
        return random_stream(self.seed, stream)

    def _block(
        self,
        number: int,
        sensors: Sensors,
        ids: pa.Array,
        line: Ints,
        moment: Ints,
        down: tuple[Ints, Ints, Ints, Ints],
        lost: NDArray[np.float64],
        drift: Drift,
    ) -> tuple[pa.Table, pa.Table]:
        """Measurements and truth of a block of parts."""
        rng = self._stream(number + 1)
        z = scores(rng, sensors, line, drift.step(rng, line))
        values, labels = readings(sensors, line, z)
        why = reasons(rng, sensors, line, moment, z, values, down, lost)
        self.missing += np.bincount(why.ravel(), minlength=len(Reason))
        part, sensor = (index.ravel() for index in np.indices(z.shape))
        sensor_ids = pa.array(sensors.ids)
        truth = pa.table(
            {
                "part_id": ids.take(pa.array(part)),
                "sensor_id": sensor_ids.take(pa.array(sensor)),
                "value": pa.array(values.ravel(), pa.float64(), from_pandas=True),
                "label": pa.array(labels.ravel(), pa.string()),
                "missing_because": pa.array(REASONS).take(pa.array(why.ravel().astype(np.int64))),
            },
            schema=VALUES.arrow_schema,
        )
        told = np.isin(why, (Reason.NONE, Reason.LIMIT, Reason.OWN_VALUE))
        row, column = np.nonzero(told)
        shown = np.where(
            why == Reason.LIMIT, limits(sensors), np.where(why == Reason.OWN_VALUE, np.nan, values)
        )
        status = np.select(
            [why == Reason.LIMIT, why == Reason.OWN_VALUE], ["below_limit", "failed"], "measured"
        )
        measured = moment[row] + (sensors.station[column] + 1) * _STATION_MINUTES * _MINUTE_US
        # An hour's transfer, mostly; one in fifty comes days later.
        delay = rng.integers(1, 60, len(row)) * _MINUTE_US
        delay += np.where(rng.random(len(row)) < 0.02, rng.integers(1, 5, len(row)) * DAY_US, 0)
        rows = pa.table(
            {
                "part_id": ids.take(pa.array(row)),
                "sensor_id": sensor_ids.take(pa.array(column)),
                "measured_at": _times(measured),
                "value": pa.array(shown[row, column], pa.float64(), from_pandas=True),
                "label": pa.array(labels[row, column], pa.string()),
                "status": pa.array(status[row, column], pa.string()),
                "known_at": _times(measured + delay),
            }
        )
        rows = pa.concat_tables([self._wrong_at_first(rng, rows), rows])
        rows = rows.filter(pc.less(rows["known_at"], _times(np.array([self.end * DAY_US]))[0]))
        return rows.sort_by(
            [("known_at", "ascending"), ("part_id", "ascending"), ("sensor_id", "ascending")]
        ), truth

    def _wrong_at_first(self, rng: np.random.Generator, rows: pa.Table) -> pa.Table:
        """Earlier versions of some measurements: a tenth too high, corrected by the row itself."""
        chosen = np.flatnonzero(
            (rng.random(len(rows)) < _CORRECTED) & pc.equal(rows["status"], "measured").to_numpy()
        )
        wrong = rows.take(pa.array(chosen)).filter(pc.field("value").is_valid())
        value = pc.multiply(wrong["value"], 1.1)
        known = pc.subtract(wrong["known_at"].cast(pa.int64()), 30_000_000).cast(pa.timestamp("us"))
        wrong = put(wrong, wrong.schema.field("value"), value)
        return put(wrong, wrong.schema.field("known_at"), known)

    def _resent(self, clean: pa.Table, wanted: float, folder: Path, schema: pa.Schema) -> int:
        """Write the bad rows, in a file that is read after the blocks: the first of two rows is the good one."""
        count = max(len(DEFECTS), round(wanted))
        bad = []
        for defect, rows in plant(self._stream(10**6), DEFECTS, clean, rows=count, unused_key=_unused_key):
            self.planted.setdefault(MEASUREMENTS.table.name, {})[defect] = len(rows)
            bad.append(rows)
        with TableFile(folder / "resent.parquet", schema) as file:
            for rows in bad:
                file.append(rows)
            return file.rows


def _unused_key(rows: pa.Table, position: int) -> pa.Table:
    """Move the known time by seconds that no clean row has: times of the source are whole minutes apart."""
    known = pc.add(rows["known_at"].cast(pa.int64()), 1_001 + position).cast(pa.timestamp("us"))
    return put(rows, rows.schema.field("known_at"), known)


def _parts_table(ids: pa.Array, line: Ints, moment: Ints) -> pa.Table:
    names = pa.array([f"line {chr(65 + number)}" for number in range(26)])
    return pa.table(
        {
            "part_id": ids,
            "line": names.take(pa.array(line % 26)),
            "unit_id": pa.nulls(len(ids), pa.string()),
            "produced_at": _times(moment),
            "known_at": _times(moment + _KNOWN_MINUTES * _MINUTE_US),
        }
    )


def _times(microseconds: NDArray[np.int64]) -> pa.Array:
    return pa.array(microseconds, pa.int64()).cast(pa.timestamp("us"))
