"""An embedded Salesforce org for the demo, the tests and a laptop: real HTTPS, the real client.

Start it with :class:`~pipelines.lab.emulator.emulator.Emulator` or
``python -m pipelines.lab.emulator``. It speaks the SOAP login, REST (describe, records, a subset of
SOQL, limits) and Bulk API 2.0 ingest, and injects faults by schedule. Objects and fields are read from
the SFDX package that is deployed to the real org.

Not emulated
------------
- OAuth flows, My Domain redirects, IP restrictions, password expiry; sessions that end by the clock
  (they end by fault or with the process).
- Bulk API 1.0, Bulk 2.0 query jobs, multipart job creation, ``hardDelete``; composite, collection,
  search, metadata, tooling and streaming interfaces; SOAP beyond ``login``.
- Triggers, flows, validation and duplicate rules, formulas (always null), roll-ups, sharing, record
  types, assignment rules, history, currencies, time zones other than UTC; restoring deleted records.
- SOQL beyond the subset in :mod:`~pipelines.lab.emulator.soql`; query snapshots older than the last
  ten.
- Governor limits and daily allocations other than by fault; the deletion of jobs after seven days;
  the retry of failed internal batches; processing of several jobs in parallel and real lock contention
  (rows meet a lock by schedule).
- Error *codes* are the documented ones. Some message texts (an upload that is too large or no CSV, a
  second upload, results of a running job) are worded here, as the documentation does not state them.
- Of several errors of one row only the first is reported; duplicates of an external id are found
  within an internal batch of 10,000 rows, where the service looks at 200.
"""

from pipelines.lab.emulator.emulator import Emulator
from pipelines.lab.emulator.sessions import Credentials
from pipelines.lab.faults import Fault

__all__ = ["Credentials", "Emulator", "Fault"]
