"""The past of a lake table: its older versions, and what its log says about them.

A delete makes a new version; the rows stay in the files of older ones, and the log holds the smallest and
largest values of every file. Dropping the past ends both: afterwards the newest version is the only one.
"""

from __future__ import annotations

import pyarrow.fs as pa_fs

from pipelines.io.lake import Lake

#: Files that no version knows may be a write under way; older ones are what a killed process left.
_UNDER_WAY_HOURS = 24


def drop_past(lake: Lake, name: str) -> int:
    """Remove every version of a table but the newest; returns how many files were removed.

    Safe to repeat and to interrupt: the newest version is readable at every moment. Runs that pin an older
    version can no longer be repeated, and a reader or writer that is under way may fail and must be tried again.
    """
    delta = lake.open(name)
    removed = delta.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    removed += delta.vacuum(
        retention_hours=_UNDER_WAY_HOURS, dry_run=False, enforce_retention_duration=False, full=True
    )
    # From a checkpoint on, readers need no earlier entry of the log. The vacuum's own entries are the last ones,
    # so the entry that names what was deleted is among those that go.
    delta = lake.open(name)
    delta.create_checkpoint()
    filesystem, path = lake.filesystem()
    entries = filesystem.get_file_info(pa_fs.FileSelector(f"{path}/{name}/_delta_log"))
    numbered = [(each.base_name.partition(".")[0], each.path) for each in entries if each.is_file]
    old = [path for number, path in numbered if number.isdigit() and int(number) < delta.version()]
    for path in old:
        filesystem.delete_file(path)
    return len(removed) + len(old)
