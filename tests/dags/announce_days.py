"""Announce days that wait together, and see what Airflow makes of them; the last line printed is JSON.

Called by ``test_one_run_per_day.py`` with the folder of its DAGs, the URI of their asset, and the days.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from inline_airflow import InlineAirflow


def main(dags: str, uri: str, *days: str) -> None:
    airflow = InlineAirflow(Path(dags))
    logging.disable(logging.CRITICAL)
    airflow.settle()
    for day in days:
        airflow.asset_event(uri, day)  # nothing looks at the queue meanwhile
    airflow.settle()
    airflow.asset_event(uri, days[0])  # once more, when its run is over
    airflow.trigger("lands", "2026-04-01")
    airflow.trigger("completes", "2026-02-02")
    airflow.settle()
    sys.stdout.write("\n" + json.dumps(airflow.all_runs()) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
