"""Removing one record for good, for people who are forgotten: the recycle bin and old jobs included."""

from __future__ import annotations

from collections.abc import Iterable

from simple_salesforce.format import quote_soql_value

from pipelines.sinks.salesforce.connection import Connection


def records(
    connection: Connection, object_: str, external_id_field: str, external_id: str
) -> dict[str, bool]:
    """Ids of the records with an external id, deleted ones too, and whether each is in the recycle bin."""
    where = f"{external_id_field} = {quote_soql_value(external_id)}"
    found = connection.query(f"SELECT Id, IsDeleted FROM {object_} WHERE {where}", deleted=True)
    return {str(record["Id"]): bool(record["IsDeleted"]) for record in found}


def purge(connection: Connection, object_: str, external_id_field: str, external_id: str) -> None:
    """Delete the records with an external id, and empty them out of the recycle bin.

    A hard delete by Bulk API would need one more permission, and does not take what is in the bin already.
    """
    found = records(connection, object_, external_id_field, external_id)
    for record_id, deleted in found.items():
        if not deleted:
            connection.delete(f"sobjects/{object_}/{record_id}")
    if found:
        connection.empty_recycle_bin(list(found))


def jobs_kept(connection: Connection, job_ids: Iterable[str]) -> list[str]:
    """Those of the jobs that Salesforce still has; it forgets them, and their files, after seven days."""
    return [job_id for job_id in job_ids if connection.find(f"{connection.bulk_url}/{job_id}") is not None]


def drop_jobs(connection: Connection, job_ids: Iterable[str]) -> None:
    """Delete ended jobs with the files that they were given and answered with."""
    for job_id in jobs_kept(connection, job_ids):
        connection.delete(f"{connection.bulk_url}/{job_id}")
