"""The subset of SOQL that the project uses, translated to SQL.

``SELECT`` of fields, parent fields (``Account__r.Name``) or ``COUNT()``; ``FROM`` one object;
``WHERE`` with ``= != <> < <= > >= LIKE IN NOT IN AND OR NOT`` and parentheses; ``ORDER BY``,
``LIMIT``, ``OFFSET``. No aggregates but the count, no ``GROUP BY``, sub-queries, aliases, date
literals or functions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.lab.emulator.errors import ApiError
from pipelines.lab.emulator.objects import Field, SObject

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^'\\]|\\.)*')|(?P<moment>\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:?\d{2}))?)"
    r"|(?P<number>[+-]?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"
    r"|(?P<symbol><=|>=|!=|<>|[=<>(),]))"
)
_COMPARISONS = {"=": "IS", "!=": "IS NOT", "<>": "IS NOT", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_LIKE_ESCAPES = {**_ESCAPES, "%": "\\%", "_": "\\_", "\\": "\\\\"}  # still escaped, for LIKE to read


@dataclass(frozen=True)
class Query:
    """A translated query.

    Attributes
    ----------
    sobject
        Object that is queried.
    paths
        Selected columns as path and field, for instance ``(("Account__r", "Name"), field)``;
        empty for ``COUNT()``.
    sql, parameters
        Statement that returns the columns in that order (or the count).
    """

    sobject: SObject
    paths: tuple[tuple[tuple[str, ...], Field], ...]
    sql: str
    parameters: tuple[object, ...]


def translate(soql: str, schema: Mapping[str, SObject], *, deleted: bool = False) -> Query:
    """Translate a query.

    Parameters
    ----------
    soql
        The query.
    schema
        Objects by lower-case name.
    deleted
        Whether deleted records are included (``queryAll``).

    Raises
    ------
    ApiError
        400 ``MALFORMED_QUERY``, ``INVALID_TYPE`` or ``INVALID_FIELD``.
    """
    return _Parser(soql, schema).query(deleted)


class _Parser:
    def __init__(self, soql: str, schema: Mapping[str, SObject]) -> None:
        self._schema = schema
        self._tokens: list[tuple[str, str]] = []
        position = 0
        text = soql.strip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise _malformed(text[position : position + 20])
            self._tokens.append((match.lastgroup, match.group(match.lastgroup)))
            position = match.end()
        self._at = 0
        self._parameters: list[object] = []
        self._joins: dict[str, str] = {}
        self._object: SObject | None = None

    def query(self, deleted: bool) -> Query:
        self._expect("select")
        names = self._select_list()
        self._expect("from")
        kind, name = self._next()
        sobject = self._schema.get(name.lower())
        if kind != "name" or sobject is None:
            raise ApiError(400, "INVALID_TYPE", f"sObject type '{name}' is not supported.")
        self._object = sobject
        paths = tuple((tuple(name.split(".")[:-1]), self._field(name)[1]) for name in names or ())
        columns = ", ".join(self._field(name)[0] for name in names) if names else "count(*)"
        where = [] if deleted else ["o.IsDeleted = 0"]
        if self._accept("where"):
            where.append(f"({self._disjunction()})")
        tail = self._order() + self._bounds()
        if self._at != len(self._tokens):
            raise _malformed(self._tokens[self._at][1])
        sql = f'SELECT {columns} FROM "{sobject.name}" o {" ".join(self._joins.values())}'
        if where:
            sql += f" WHERE {' AND '.join(where)}"
        if names is None:
            sql = f"SELECT count(*) FROM ({sql.replace('count(*)', '1', 1)}{tail})"
            return Query(sobject, (), sql, tuple(self._parameters))
        return Query(sobject, paths, sql + tail, tuple(self._parameters))

    def _select_list(self) -> list[str] | None:
        if [token[1].lower() for token in self._tokens[self._at : self._at + 3]] == ["count", "(", ")"]:
            self._at += 3
            return None
        names = [self._name()]
        while self._accept(","):
            names.append(self._name())
        return names

    def _disjunction(self) -> str:
        terms = [self._conjunction()]
        while self._accept("or"):
            terms.append(self._conjunction())
        return " OR ".join(terms)

    def _conjunction(self) -> str:
        terms = [self._condition()]
        while self._accept("and"):
            terms.append(self._condition())
        return " AND ".join(terms)

    def _condition(self) -> str:
        if self._accept("not"):
            return f"NOT ({self._condition()})"
        if self._accept("("):
            inner = self._disjunction()
            self._expect(")")
            return f"({inner})"
        column, field = self._field(self._name())
        # Text compares without case, except fields that were declared case-sensitive and ids.
        fold = "" if field.case_sensitive or field.type in {"id", "reference"} else " COLLATE NOCASE"
        negated = self._accept("not")
        if self._accept("in"):
            self._expect("(")
            marks = [self._literal()]
            while self._accept(","):
                marks.append(self._literal())
            self._expect(")")
            return f"{column}{fold} {'NOT IN' if negated else 'IN'} ({', '.join(marks)})"
        if self._accept("like"):
            return f"{column} LIKE {self._literal(_LIKE_ESCAPES)} ESCAPE '\\'"
        _, symbol = self._next()
        if negated or symbol not in _COMPARISONS:
            raise _malformed(symbol)
        return f"{column} {_COMPARISONS[symbol]} {self._literal()}{fold}"

    def _literal(self, escapes: Mapping[str, str] = _ESCAPES) -> str:
        kind, text = self._next()
        value: object
        if kind == "string":
            value = re.sub(r"\\(.)", lambda m: escapes.get(m[1], m[1]), text[1:-1], flags=re.DOTALL)
        elif kind == "number":
            value = float(text)
        elif kind == "moment":
            value = text
        elif kind == "name" and text.lower() in {"null", "true", "false"}:
            value = {"null": None, "true": 1, "false": 0}[text.lower()]
        else:
            raise _malformed(text)
        self._parameters.append(value)
        return "?"

    def _order(self) -> str:
        if not self._accept("order"):
            return ""
        self._expect("by")
        terms = []
        while True:
            column, field = self._field(self._name())
            fold = "" if field.is_number else " COLLATE NOCASE"
            direction = "DESC" if self._accept("desc") else "ASC"
            self._accept("asc")
            nulls = "FIRST"
            if self._accept("nulls"):
                nulls = "LAST" if self._accept("last") else "FIRST"
                if nulls == "FIRST":
                    self._expect("first")
            terms.append(f"{column}{fold} {direction} NULLS {nulls}")
            if not self._accept(","):
                return f" ORDER BY {', '.join(terms)}"

    def _bounds(self) -> str:
        limit = self._integer() if self._accept("limit") else None
        offset = self._integer() if self._accept("offset") else 0
        return (
            f" LIMIT {-1 if limit is None else limit} OFFSET {offset}" if limit is not None or offset else ""
        )

    def _integer(self) -> int:
        kind, text = self._next()
        if kind != "number" or not text.isdigit():
            raise _malformed(text)
        return int(text)

    def _field(self, path: str) -> tuple[str, Field]:
        """Resolve a path such as ``Account__r.Name`` to an SQL column and its field, joining the parent."""
        if self._object is None:
            raise _malformed(path)
        *parents, name = path.split(".")
        if parents and parents[0].lower() == self._object.name.lower():
            parents = parents[1:]
        sobject, alias = self._object, "o"
        if len(parents) > 1:
            raise _malformed(path)
        for relationship in parents:
            lookup = sobject.by_relationship.get(relationship.lower())
            if lookup is None or lookup.reference_to is None:
                raise ApiError(
                    400,
                    "INVALID_FIELD",
                    f"Didn't understand relationship '{relationship}' in field path. If you are attempting"
                    " to use a custom relationship, be sure to append the '__r' after the custom"
                    " relationship name. Please reference your WSDL or the describe call for the"
                    " appropriate names.",
                )
            sobject, alias = self._schema[lookup.reference_to.lower()], f"p_{lookup.name}"
            self._joins[alias] = f'LEFT JOIN "{sobject.name}" {alias} ON {alias}.Id = o."{lookup.name}"'
        field = sobject.get(name)
        if field is None:
            raise ApiError(
                400,
                "INVALID_FIELD",
                f"No such column '{name}' on entity '{sobject.name}'. If you are attempting to use a custom"
                " field, be sure to append the '__c' after the custom field name. Please reference your"
                " WSDL or the describe call for the appropriate names.",
            )
        return ("NULL" if field.calculated else f'{alias}."{field.name}"'), field

    def _name(self) -> str:
        kind, text = self._next()
        if kind != "name":
            raise _malformed(text)
        return text

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise _malformed("<EOF>")
        self._at += 1
        return self._tokens[self._at - 1]

    def _accept(self, word: str) -> bool:
        if self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if kind in ("name", "symbol") and text.lower() == word:
                self._at += 1
                return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            found = self._tokens[self._at][1] if self._at < len(self._tokens) else "<EOF>"
            raise _malformed(found)


def _malformed(token: str) -> ApiError:
    return ApiError(400, "MALFORMED_QUERY", f"unexpected token: '{token}'")
