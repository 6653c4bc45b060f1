"""What a person may ask of one publication, whatever the sink; the options of each sink begin with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """What a person asks of one publication."""

    #: Plan and check only, and show five rows: nothing is sent, nothing is written.
    dry_run: bool = False
    #: Override the guards: an older day, many leavers or far fewer items, what reads back differently, a
    #: version that was rolled back, a model that never passed the gate.
    force: bool = False
    #: Send dead letters again, once their cause is fixed.
    retry_dead: bool = False
