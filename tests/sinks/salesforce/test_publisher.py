"""Publishing against the embedded org: what arrives, what is sent again, what is refused."""

from __future__ import annotations


def test_first(bench) -> None:
    r = bench.publish(bench.rows(50), max_chunk_rows=20)
    assert (r.planned, r.sent, r.ok, r.jobs, r.complete, r.balanced, r.checked) == (
        50,
        50,
        50,
        3,
        True,
        True,
        17,
    )
    assert len(bench.held()) == 50
    print(bench.held()["ACC-00003"])
    r2 = bench.publish(bench.rows(50), max_chunk_rows=20)
    print(r2)
    print(bench.org.requests())
