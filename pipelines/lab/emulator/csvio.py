"""CSV as Bulk API 2.0 reads and writes it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

DELIMITERS = {"COMMA": ",", "TAB": "\t", "PIPE": "|", "SEMICOLON": ";", "CARET": "^", "BACKQUOTE": "`"}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
_MAX_FIELD_CHARS = 32_000


class CsvError(Exception):
    """The upload is not the CSV that the job declared; worded as the job's ``errorMessage``."""


def parse(content: bytes, delimiter: str, line_ending: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of an upload.

    Parameters
    ----------
    content
        UTF-8, RFC 4180.
    delimiter, line_ending
        Names as in the job (``COMMA``, ``LF``).

    Raises
    ------
    CsvError
        Wrong encoding or line ending, a stray quote, a row of another width, a field that is too
        long, no header.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CsvError("ClientInputError : Failed to parse CSV: the content is not UTF-8") from None
    first_break = text.find("\n")
    found = "CRLF" if first_break > 0 and text[first_break - 1] == "\r" else "LF"
    if first_break >= 0 and found != line_ending:
        raise CsvError(
            "ClientInputError : LineEnding is invalid on user data."
            f" Current LineEnding setting is {line_ending}"
        )
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[delimiter], strict=True)
    try:
        header = next(reader, None)
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise CsvError(f"InvalidBatch : Failed to parse CSV record: {error}") from None
    if not header:
        raise CsvError("InvalidBatch : Failed to parse CSV header: the upload is empty")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise CsvError(
                f"InvalidBatch : Failed to parse CSV record {number}:"
                f" {len(row)} fields, header has {len(header)}"
            )
        if max(map(len, row)) > _MAX_FIELD_CHARS:
            raise CsvError(
                f"InvalidBatch : Exceeded max field size in CSV record {number}: {_MAX_FIELD_CHARS}"
            )
    return header, rows


def render(
    extra: Sequence[str],
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    delimiter: str,
    line_ending: str,
) -> bytes:
    """Write a result file: the service's own columns first, its names and all values quoted."""
    mark, end = DELIMITERS[delimiter], LINE_ENDINGS[line_ending]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=mark, lineterminator="", quoting=csv.QUOTE_ALL).writerow(extra)
    names = io.StringIO(newline="")
    csv.writer(names, delimiter=mark, lineterminator=end).writerow(header)
    out.write((mark if extra else "") + names.getvalue())
    csv.writer(out, delimiter=mark, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    return out.getvalue().encode()
