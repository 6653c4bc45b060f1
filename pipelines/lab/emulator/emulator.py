"""The emulator as one object: start it, point the real client at it, ask it what happened."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipelines.lab.emulator.app import REQUEST_FAULTS, App
from pipelines.lab.emulator.bulk import MAX_UPLOAD_BYTES, BulkService
from pipelines.lab.emulator.control import AuditRow, ControlService
from pipelines.lab.emulator.jobs import BATCH_ROWS, JOB_FAULTS, JobWorker
from pipelines.lab.emulator.objects import load_schema
from pipelines.lab.emulator.rest import RestService
from pipelines.lab.emulator.server import HttpsServer
from pipelines.lab.emulator.sessions import Credentials, Sessions
from pipelines.lab.emulator.store import Store
from pipelines.lab.emulator.tls import CA_FILE, server_context
from pipelines.lab.faults import Fault, Injector

LOOPBACK = "127.0.0.1"


class Emulator:
    """An embedded Salesforce org behind real HTTPS.

    Use it as a context manager, or call :meth:`start` and :meth:`stop`.

    Parameters
    ----------
    state
        Folder of the org's database and certificates, kept between runs; None for an org in memory.
    host, port
        Address to bind; port 0 takes a free one.
    hosts
        Further names that the certificate is for.
    credentials
        Who may log in.
    faults
        What goes wrong, :data:`~pipelines.lab.emulator.app.REQUEST_FAULTS` and
        :data:`~pipelines.lab.emulator.jobs.JOB_FAULTS`.
    job_latency_seconds, batch_rows
        Wait before a job (and each of its internal batches) is processed; rows per internal batch.
    max_upload_bytes
        Bound on the base64 size of an upload.
    remote_control
        Whether other machines may use the ``/_emulator/`` endpoints.

    Attributes
    ----------
    control
        Everything that the ``/_emulator/`` endpoints offer.
    """

    def __init__(
        self,
        state: Path | None = None,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        hosts: Iterable[str] = (),
        credentials: Credentials | None = None,
        faults: Sequence[Fault] = (),
        job_latency_seconds: float = 0.0,
        batch_rows: int = BATCH_ROWS,
        max_upload_bytes: int = MAX_UPLOAD_BYTES,
        remote_control: bool = False,
    ) -> None:
        self.credentials = credentials or Credentials()
        self._scratch = tempfile.TemporaryDirectory(prefix="salesforce-emulator-") if state is None else None
        self._folder = Path(self._scratch.name) if self._scratch else Path(state or ".")
        context = server_context(self._folder, ("localhost", LOOPBACK, *hosts))
        schema = load_schema()
        self._store = Store(":memory:" if state is None else self._folder / "org.sqlite", schema)
        self._injector = Injector((*REQUEST_FAULTS, *JOB_FAULTS), faults)
        self._sessions = Sessions(self.credentials)
        self._worker = JobWorker(
            self._store, schema, self._injector, latency_seconds=job_latency_seconds, batch_rows=batch_rows
        )
        self.control = ControlService(
            self._store, schema, self._sessions, self._injector, remote=remote_control
        )
        app = App(
            self._sessions,
            RestService(self._store, schema),
            BulkService(self._store, schema, self._worker, max_upload_bytes),
            self.control,
            self._injector,
        )
        self._server = HttpsServer((host, port), context, app)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            name="salesforce-emulator",
            kwargs={"poll_interval": 0.05},
            daemon=True,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Serve in the background."""
        self._worker.start()
        self._thread.start()

    def stop(self) -> None:
        """Break the open connections and close the org after the present batch."""
        self._server.shutdown()
        self._server.server_close()
        self._server.close_connections()
        self._thread.join()
        self._worker.stop()
        self._store.close()
        if self._scratch:
            self._scratch.cleanup()

    def wait(self) -> None:
        """Serve until the process is told to end."""
        self._thread.join()

    @property
    def port(self) -> int:
        """Port that is listened on."""
        return int(self._server.server_address[1])

    @property
    def instance(self) -> str:
        """Host and port, as ``SalesforceSettings.instance`` wants it."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """Address for clients on this machine."""
        return f"https://{self.instance}"

    @property
    def ca_bundle(self) -> Path:
        """PEM file of the authority to trust."""
        return self._folder / CA_FILE

    @property
    def faults(self) -> Sequence[Fault]:
        """What goes wrong; assign to change it, which counts calls from 1 again."""
        return self._injector.faults

    @faults.setter
    def faults(self, faults: Sequence[Fault]) -> None:
        self._injector.replace(faults)

    @property
    def injected(self) -> dict[str, int]:
        """Faults injected so far, by name."""
        return dict(self._injector.injected)

    @property
    def outstanding(self) -> list[str]:
        """Faults of the schedule that have not happened."""
        return self._injector.outstanding

    def seed_accounts(self, accounts: Iterable[Mapping[str, Any]]) -> int:
        """Upsert Accounts by ``Millrace_Account_Id__c``; each needs that and ``Name``."""
        return self.control.seed("Account", accounts, "Millrace_Account_Id__c")

    def records(self, object_name: str) -> list[dict[str, Any]]:
        """Return the records of an object that are not deleted."""
        return self.control.records(object_name)

    def audit(self, object_name: str | None = None) -> list[AuditRow]:
        """How often each payload was processed."""
        return self.control.audit(object_name)

    def requests(self) -> dict[str, int]:
        """Count the requests received, by kind."""
        summary = self.control.summary()["requests"]
        return {str(kind): int(count) for kind, count in summary.items()}
