"""The example of CONTRIBUTING.md, copied out of the page, is a use case that works."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
AS_OF = date(2025, 6, 2)
BLOCK = re.compile(r"^`(?P<path>[\w./]+)`\n\n```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def millrace(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """The command line of a checkout to which the files of the page were added, and nothing else."""
    checkout: Path = tmp_path_factory.mktemp("newcomer") / "checkout"
    for name in ("pipelines", "features", "models", "dbt_project"):
        shutil.copytree(
            ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__", "target", "logs")
        )
    files = {block["path"]: block["text"] for block in BLOCK.finditer(PAGE)}
    assert len(files) == 5
    for path, text in files.items():
        target = checkout / path
        assert not target.exists(), "a use case edits no shared file"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(checkout), "MILLRACE_HOME": str(checkout),
                   "MILLRACE_VAR": str(checkout / "var")}  # fmt: skip

    def run(*arguments: str) -> Any:
        command = [sys.executable, "-m", "pipelines.cli", *arguments, "--json"]
        done = subprocess.run(
            command, cwd=checkout, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.strip().splitlines()[-1])

    _deliver(checkout / "delivery")
    run("ingest", "footfall", "--from", str(checkout / "delivery"))
    return run


def _deliver(folder: Path) -> None:
    """Visits with a weekly rhythm, known the next morning."""
    folder.mkdir()
    rng, lines = np.random.default_rng(0), ["museum_id,day,visitors,known_at"]
    for museum, size in (("louvre", 900), ("orsay", 500), ("cluny", 80)):
        for back in range(200, 0, -1):
            day = AS_OF - timedelta(days=back)
            visitors = rng.poisson(size * (1.5 if day.weekday() >= 5 else 1.0))
            known = datetime.combine(day, datetime.min.time()) + timedelta(hours=20)
            lines.append(f"{museum},{day},{visitors},{known}")
    (folder / "visits.csv").write_text("\n".join(lines) + "\n")


def test_the_example_is_as_short_as_the_page_says() -> None:
    lines = sum(len(block["text"].splitlines()) for block in BLOCK.finditer(PAGE))
    assert lines < 230


def test_the_newcomers_use_case_runs_from_delivery_to_page(millrace: Callable[..., Any]) -> None:
    trained = millrace("train", "footfall", "--as-of", str(AS_OF))
    assert trained["gate"]["outcome"] == "promoted", trained["gate"]["words"]
    assert trained["train"]["judged"] == 3 * 28
    ran = millrace("run", "footfall", "--as-of", str(AS_OF))
    assert list(ran) == ["prepare", "score", "monitor", "report"], "it publishes nothing"
    assert ran["score"]["museums"] == 3
    assert ran["monitor"]["alarms"] == []
    page = Path(ran["report"]["page"]).read_text()
    assert "How many visitors each museum gets today." in page
    assert trained["gate"]["words"].split(";")[0][:30] in page
    index = Path(ran["report"]["index"]).read_text()
    assert 'href="footfall.html"' in index
    assert millrace("explain", "footfall", "louvre")["expected"] == pytest.approx(900, rel=0.2)
    again = millrace("run", "footfall", "--as-of", str(AS_OF))
    assert again["score"]["content_hash"] == ran["score"]["content_hash"]
