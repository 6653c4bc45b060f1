"""Faults by schedule: the n-th call of a kind fails as stated, whatever the clock, load and number of cores."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and with which calls.

    Attributes
    ----------
    name
        What happens; whoever injects it defines the names.
    kind
        Kind of call that it happens to.
    calls
        Which calls of this kind, counted from 1 since the schedule was set; every one if empty.
    rows
        Positions in the data of the call, from 0, if it happens to single rows.
    """

    name: str
    kind: str = "request"
    calls: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, first in (("calls", 1), ("rows", 0)):
            numbers = getattr(self, name)
            if not isinstance(numbers, tuple) or not all(isinstance(n, int) and n >= first for n in numbers):
                raise ValueError(f"{name} of {self.name} must be integers from {first}, got {numbers!r}")


def schedule(text: str | bytes) -> tuple[Fault, ...]:
    """Read a schedule from its JSON: a list of objects with the attributes of :class:`Fault`.

    Raises
    ------
    ValueError
        It is something else.
    """
    value = json.loads(text)
    if not isinstance(value, list) or not all(isinstance(each, dict) and "name" in each for each in value):
        raise ValueError(f"faults must be a list of objects with a name, got {value!r}")
    known = {field.name for field in fields(Fault)}
    if unknown := sorted({name for each in value for name in each} - known):
        raise ValueError(f"a fault has {sorted(known)}, got {unknown}")
    lists = ("calls", "rows")
    return tuple(
        Fault(**each | {name: tuple(each[name]) for name in lists if isinstance(each.get(name), list)})
        for each in value
    )


class Injector:
    """Counts calls, says what goes wrong with each, and remembers what did.

    Parameters
    ----------
    names
        Faults that can be injected.
    faults
        The schedule. A call meets the first of its faults only.

    Attributes
    ----------
    injected
        How often each fault happened since the schedule was set.
    """

    def __init__(self, names: Collection[str], faults: Sequence[Fault] = ()) -> None:
        self._names = names
        self._lock = threading.Lock()
        self.replace(faults)

    def replace(self, faults: Sequence[Fault]) -> None:
        """Set another schedule, and count calls from 1 again.

        Raises
        ------
        ValueError
            A fault is unknown.
        """
        if unknown := sorted({fault.name for fault in faults} - set(self._names)):
            raise ValueError(f"faults must be among {sorted(self._names)}, got {unknown}")
        with self._lock:
            self.faults = tuple(faults)
            self.injected: Counter[str] = Counter()
            self._calls: Counter[str] = Counter()
            self._due = {(fault, call) for fault in faults for call in fault.calls or (0,)}

    def next(self, *kinds: str) -> Fault | None:
        """Count a call, which may be of several kinds, and return what goes wrong with it."""
        with self._lock:
            self._calls.update(kinds)
            for fault in self.faults:
                call = self._calls[fault.kind]
                if fault.kind in kinds and (not fault.calls or call in fault.calls):
                    self.injected[fault.name] += 1
                    self._due.discard((fault, call if fault.calls else 0))
                    return fault
            return None

    @property
    def outstanding(self) -> list[str]:
        """Faults of the schedule that have not happened, such as ``drop_after at bulk.upload 3``."""
        with self._lock:
            return sorted(f"{fault.name} at {fault.kind} {call or ''}".strip() for fault, call in self._due)

    def to_json(self) -> list[dict[str, object]]:
        """Return the schedule as :func:`schedule` reads it."""
        return [asdict(fault) for fault in self.faults]
