"""REST resources below ``/services/data``: versions, describe, records, queries, limits."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from pipelines.lab.emulator.dml import Outcome, apply
from pipelines.lab.emulator.errors import ApiError
from pipelines.lab.emulator.http import Request, Response
from pipelines.lab.emulator.objects import Field, SObject
from pipelines.lab.emulator.plan import HeaderError, plan
from pipelines.lab.emulator.soql import Query, translate
from pipelines.lab.emulator.store import Store
from pipelines.lab.emulator.values import from_json

VERSIONS = tuple(f"{number}.0" for number in range(41, 68))
DAILY_API_REQUESTS = 100_000
_PAGE_ROWS = 2000
_KEPT_CURSORS = 10


class RestService:
    """Everything of the REST interface but Bulk."""

    def __init__(self, store: Store, schema: dict[str, SObject]) -> None:
        self._store = store
        self._schema = schema
        self._cursors: OrderedDict[str, tuple[list[dict[str, Any]], int]] = OrderedDict()
        self._cursor_lock = threading.Lock()
        self.api_requests = 0

    def versions(self) -> Response:
        """Versions of the interface; the only resource that needs no session."""
        return Response.of(
            [{"label": f"v{v}", "url": f"/services/data/v{v}", "version": v} for v in VERSIONS]
        )

    def describe_global(self, version: str) -> Response:
        """Objects of the org."""
        objects = [self._header(sobject, version) for sobject in self._schema.values()]
        return Response.of({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects})

    def basic(self, name: str, version: str) -> Response:
        """Object metadata without fields."""
        return Response.of({"objectDescribe": self._header(self._object(name), version), "recentItems": []})

    def describe(self, name: str, version: str) -> Response:
        """Object metadata with fields."""
        sobject = self._object(name)
        return Response.of(
            {**self._header(sobject, version), "fields": [_describe_field(field) for field in sobject.fields]}
        )

    def limits(self) -> Response:
        """Limits that a sink watches."""
        return Response.of(
            {
                "DailyApiRequests": {
                    "Max": DAILY_API_REQUESTS,
                    "Remaining": max(0, DAILY_API_REQUESTS - self.api_requests),
                },
                "DailyBulkApiBatches": {"Max": 15_000, "Remaining": 15_000},
                "DailyBulkV2QueryJobs": {"Max": 10_000, "Remaining": 10_000},
            }
        )

    def purge(self, record_ids: Sequence[str]) -> list[str]:
        """Remove records from the recycle bin; returns those that were in it."""
        return self._store.purge(record_ids)

    def query(self, request: Request, version: str, *, deleted: bool = False) -> Response:
        """First page of a query."""
        query = translate(request.query.get("q", ""), self._schema, deleted=deleted)
        with self._store.transaction() as connection:
            rows = connection.execute(query.sql, query.parameters).fetchall()
        if not query.paths:
            return Response.of({"totalSize": rows[0][0], "done": True, "records": []})
        records = [_record(query, row, version) for row in rows]
        size = _page_size(request)
        if len(records) <= size:
            return Response.of({"totalSize": len(records), "done": True, "records": records})
        cursor = f"01g5f0{secrets.token_hex(6)}"
        with self._cursor_lock:
            self._cursors[cursor] = (records, size)
            while len(self._cursors) > _KEPT_CURSORS:
                self._cursors.popitem(last=False)
        return self._page(cursor, 0, version)

    def query_more(self, locator: str, version: str) -> Response:
        """Give a further page, by the locator of ``nextRecordsUrl``."""
        cursor, _, start = locator.partition("-")
        if cursor not in self._cursors or not start.isdigit():
            raise ApiError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(cursor, int(start), version)

    def _page(self, cursor: str, start: int, version: str) -> Response:
        records, size = self._cursors[cursor]
        end = start + size
        body: dict[str, Any] = {"totalSize": len(records), "done": end >= len(records)}
        if end < len(records):
            body["nextRecordsUrl"] = f"/services/data/v{version}/query/{cursor}-{end}"
        return Response.of({**body, "records": records[start:end]})

    def get(self, name: str, key: str, value: str, version: str, request: Request) -> Response:
        """One record by id or external id; ``fields`` bounds what is returned."""
        sobject, field = self._object(name), self._key(name, key)
        wanted = [sobject.get(part) for part in request.query.get("fields", "").split(",") if part]
        chosen = [f for f in (wanted or sobject.stored) if f is not None and not f.calculated]
        rows = self._store.rows(
            f'SELECT {", ".join(f.name for f in chosen)}, Id AS record_id FROM "{sobject.name}"'
            f' WHERE "{field.name}" = ? AND IsDeleted = 0',
            (unquote(value),),
        )
        if not rows:
            raise _not_found(key)
        row = rows[0]
        values = {f.name: _json_value(f, row[f.name]) for f in chosen}
        return Response.of({"attributes": _attributes(sobject, row["record_id"], version), **values})

    def create(self, name: str, request: Request) -> Response:
        """Insert one record."""
        outcome = self._write(name, "insert", request.json())
        return Response.of({"id": outcome.record_id, "success": True, "errors": []}, 201)

    def update(self, name: str, record_id: str, request: Request) -> Response:
        """Update one record by id."""
        self._write(name, "update", {**request.json(), "Id": unquote(record_id)})
        return Response(204)

    def upsert(self, name: str, key: str, value: str, request: Request) -> Response:
        """Insert or update one record by external id."""
        body = request.json()
        field = self._key(name, key)
        if any(part.lower() == field.name.lower() for part in body):
            raise ApiError(
                400,
                "INVALID_FIELD",
                f"The {field.name} field should not be specified in the sobject data.",
                (field.name,),
            )
        outcome = self._write(name, "upsert", {**body, field.name: unquote(value)}, field.name)
        status = 201 if outcome.created else 200
        return Response.of(
            {"id": outcome.record_id, "success": True, "errors": [], "created": outcome.created}, status
        )

    def delete(self, name: str, record_id: str) -> Response:
        """Delete one record by id."""
        self._write(name, "delete", {"Id": unquote(record_id)})
        return Response(204)

    def _write(self, name: str, operation: str, values: dict[str, Any], key: str = "Id") -> Outcome:
        sobject = self._object(name)
        flat: dict[str, Any] = {}
        for column, value in values.items():
            if isinstance(value, dict):  # a parent by external id: {"Account__r": {"Key__c": "x"}}
                flat |= {f"{column}.{inner}": v for inner, v in value.items()}
            elif column != "attributes":
                flat[column] = value
        try:
            write = plan(self._schema, sobject, operation, list(flat), key=key)
        except HeaderError as error:
            missing = str(error).rpartition(" : ")[2]
            raise ApiError(
                400,
                "INVALID_FIELD",
                f"No such column '{missing}' on sobject of type {sobject.name}",
            ) from None
        (outcome,) = apply(self._store, write, [[from_json(value)] for value in flat.values()])
        if outcome.error is not None:
            missing_record = outcome.error.code in ("ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY")
            raise ApiError(
                404 if missing_record and operation != "upsert" else 400,
                outcome.error.code,
                outcome.error.message,
                outcome.error.fields,
            )
        return outcome

    def _object(self, name: str) -> SObject:
        sobject = self._schema.get(name.lower())
        if sobject is None:
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        return sobject

    def _key(self, name: str, key: str) -> Field:
        field = self._object(name).get(key)
        if field is None or not (field.external_id or field.name == "Id"):
            raise _not_found(key)
        return field

    @staticmethod
    def _header(sobject: SObject, version: str) -> dict[str, Any]:
        base = f"/services/data/v{version}/sobjects/{sobject.name}"
        return {
            "name": sobject.name,
            "label": sobject.label,
            "labelPlural": sobject.label_plural,
            "keyPrefix": sobject.key_prefix,
            "custom": sobject.custom,
            "createable": sobject.name != "Organization",
            "updateable": sobject.name != "Organization",
            "deletable": sobject.name != "Organization",
            "queryable": True,
            "urls": {"sobject": base, "describe": f"{base}/describe", "rowTemplate": f"{base}/{{ID}}"},
        }


def _describe_field(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "label": field.label,
        "type": field.type,
        "length": field.length,
        "byteLength": 3 * field.length,
        "precision": field.precision,
        "scale": field.scale,
        "digits": field.precision if field.type == "int" else 0,
        "nillable": not field.required and field.name != "Id",
        "unique": field.unique,
        "externalId": field.external_id,
        "idLookup": field.external_id or field.name == "Id",
        "caseSensitive": field.case_sensitive,
        "createable": field.createable,
        "updateable": field.updateable,
        "calculated": field.calculated,
        "autoNumber": field.auto_number is not None,
        "custom": field.name.endswith("__c"),
        "defaultedOnCreate": field.name == "OwnerId" or not field.createable,
        "restrictedPicklist": field.restricted,
        "picklistValues": [
            {"active": True, "defaultValue": False, "label": label, "validFor": None, "value": value}
            for value, label in field.picklist
        ],
        "referenceTo": [field.reference_to] if field.reference_to else [],
        "relationshipName": field.relationship,
    }


def _record(query: Query, row: tuple[Any, ...], version: str) -> dict[str, Any]:
    record: dict[str, Any] = {"attributes": {"type": query.sobject.name}}
    for (path, field), value in zip(query.paths, row, strict=True):
        target = record
        for relationship in path:
            target = target.setdefault(relationship, {})
        target[field.name] = _json_value(field, value)
    if "Id" in record:
        record["attributes"] = _attributes(query.sobject, record["Id"], version)
    return record


def _json_value(field: Field, value: Any) -> Any:
    if field.type == "boolean":
        return bool(value)
    if value is not None and field.is_number and field.scale == 0 and float(value).is_integer():
        return int(value) if field.type == "int" else float(value)
    return value


def _attributes(sobject: SObject, record_id: str, version: str) -> dict[str, str]:
    return {"type": sobject.name, "url": f"/services/data/v{version}/sobjects/{sobject.name}/{record_id}"}


def _page_size(request: Request) -> int:
    """Rows of a page: 2,000, or what ``Sforce-Query-Options: batchSize=`` asks for (200 to 2,000)."""
    name, _, size = request.headers.get("sforce-query-options", "").partition("=")
    return (
        min(max(int(size), 200), _PAGE_ROWS) if name.strip() == "batchSize" and size.isdigit() else _PAGE_ROWS
    )


def _not_found(key: str) -> ApiError:
    if key == "Id":
        return ApiError(404, "NOT_FOUND", "The requested resource does not exist")
    return ApiError(
        404, "NOT_FOUND", f"Provided external ID field does not exist or is not accessible: {key}"
    )
