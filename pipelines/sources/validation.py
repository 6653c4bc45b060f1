"""Row checks of a delivered file, as set-based SQL in a scratch DuckDB.

:func:`load` reads one file as it is; :func:`check` casts every column with ``try_cast`` (a value
that cannot be cast rejects its row, not the file) and marks the rows that break a rule;
:func:`explain` words the reasons, for the marked rows only, so that clean data pays one pass.
"""

# SQL is put together from declared names, quoted; values are parameters or quoted literals.

from __future__ import annotations

from datetime import date

import duckdb

from features.schemas import Column, DType
from features.sql import Rule, column_rules, listed, literal, quoted, shown
from pipelines.errors import DataContractError
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import Period, RawLayout

#: Dates outside are typing errors (year 202, 20224), whatever the column.
EARLIEST, LATEST = date(1800, 1, 1), date(2099, 12, 31)

_ARTICLE = {
    DType.STRING: "text",
    DType.INTEGER: "a whole number",
    DType.NUMBER: "a number",
    DType.BOOLEAN: "true or false",
    DType.DATE: "a date (YYYY-MM-DD)",
    DType.TIMESTAMP: "a UTC time (YYYY-MM-DD HH:MM:SS)",
}


def load(con: duckdb.DuckDBPyConnection, file: DeliveredFile) -> None:
    """Read a file into the table ``delivered`` (``row_number`` and the declared columns, uncast).

    Lines of a CSV file that cannot be split into the header's fields go to ``unparsed``. Raises
    ``DataContractError`` if the file is truncated or damaged.
    """
    lists = file.layout.lists if file.is_csv else ()
    names = ", ".join(
        f"coalesce({quoted(name)}, '') as {quoted(name)}"
        if name in lists
        else quoted(name)
        if name in file.header
        else f"null::varchar as {quoted(name)}"
        for name in file.layout.table.column_names
    )
    con.execute("create or replace temp table unparsed (row_number bigint, reason varchar)")
    try:
        if file.is_csv:
            _load_csv(con, file, names)
        else:
            con.execute(
                f"create or replace temp table delivered as select file_row_number + 1 as row_number, {names}"
                f" from read_parquet({literal(str(file.path))}, file_row_number = true)"
            )
    except duckdb.Error as error:
        raise DataContractError(f"{file.name}: must be readable to its end, got {error}") from error


def _load_csv(con: duckdb.DuckDBPyConnection, file: DeliveredFile, names: str) -> None:
    con.execute("drop table if exists reject_errors")
    con.execute("drop table if exists reject_scans")
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in file.header)
    con.execute(
        "create or replace temp table delivered as"
        f" select row_number() over () as row_number, {names} from read_csv({literal(str(file.path))},"
        f" columns = {{{columns}}}, header = true, auto_detect = false, delim = ',', quote = '\"',"
        " escape = '\"', store_rejects = true)"
    )
    con.execute(
        "insert into unparsed select line - 1, 'the line must have ' || case error_type"
        " when 'MISSING COLUMNS' then $fields || ' fields, got too few'"
        " when 'TOO MANY COLUMNS' then $fields || ' fields, got too many'"
        " else 'valid quoting, UTF-8 text and a sane length, got ' || lower(error_type) end"
        " from (select line, min(error_type) as error_type from reject_errors group by line)",
        {"fields": str(len(file.header))},
    )
    if not con.execute("select count(*) from unparsed").fetchall()[0][0]:
        return
    # Parsed rows are numbered without the rejected ones: count those in, so that the number is the
    # position in the file.
    con.execute(
        "update delivered set row_number = row_number + skipped from ("
        " select d.row_number as parsed, count(*) as skipped from delivered d join ("
        "  select row_number - row_number() over (order by row_number) as before from unparsed) u"
        " on u.before < d.row_number group by all) where parsed = row_number"
    )


def check(con: duckdb.DuckDBPyConnection, layout: RawLayout) -> list[Rule]:
    """Make the table ``checked``: cast columns, pseudonym, and ``is_bad`` for rows that break a rule.

    Needs ``delivered``, ``pseudonyms`` (natural_id, pseudonym) and, for what rows refer to, the
    tables :func:`known_values` and :func:`known_periods`. Returns the rules, for :func:`explain`.
    """
    found = dict(con.execute("select column_name, column_type from (describe delivered)").fetchall())
    selects, joins = ["d.row_number"], []
    for column in layout.table.columns:
        name, is_text = quoted(column.name), found[column.name] == "VARCHAR"
        raw = f"d.{name}"
        if is_text and column.name in layout.lists:
            _normalise_list(con, column)
            joins.append(
                f"left join list_{column.name} on list_{column.name}.delivered is not distinct from {raw}"
            )
            value, given = f"list_{column.name}.normalised", name
        else:
            given = f"nullif({raw}, '')" if is_text else raw
            value = _cast(given, column.dtype, found[column.name])
        selects += [f"{value} as {name}", f"{given} as {quoted('raw ' + column.name)}"]
    subject_key = []
    if layout.subject is not None:
        subject_key = [layout.subject_key]
        selects.append(f"p.pseudonym as {layout.subject_key}")
        joins.append(f"left join pseudonyms p on p.natural_id = d.{quoted(layout.subject)}")
    rules = [rule for column in layout.table.columns for rule in _column_rules(column)]
    rules += [
        Rule(
            f"{rule.column} must {rule.words}",
            f"not ({rule.holds})",
            shown(layout.table.column(rule.column)),
            rule.column,
        )
        for rule in layout.rules
    ]
    for number, (column_name, table, other) in enumerate(layout.references):
        joins.append(
            f"left join {known_values(table, other)} k{number} on k{number}.value = d.{quoted(column_name)}"
        )
        selects.append(f"k{number}.value is not null as {quoted('known ' + column_name)}")
        rules.append(reference_rule(column_name, table, other))
    for number, period in enumerate(layout.periods):
        joins.append(
            f"left join {known_periods(period)} e{number} on e{number}.value = d.{quoted(period.reference)}"
        )
        selects += [
            f"e{number}.{side}_day as {quoted(f'{side} {period.column}')}" for side in ("first", "last")
        ]
        rules += period_rules(period)
    con.execute(
        f"create or replace temp view typed as select {', '.join(selects)} from delivered d {' '.join(joins)}"
    )
    kept = listed(("row_number", *subject_key, *layout.table.column_names))
    broken = " or ".join(f"coalesce({rule.broken}, false)" for rule in rules)
    con.execute(f"create or replace temp table checked as select {kept}, {broken} as is_bad from typed")
    return rules


def explain(con: duckdb.DuckDBPyConnection, rules: list[Rule]) -> None:
    """Make the table ``verdicts`` (row_number, rules list, reasons list) for the rows marked bad."""
    con.execute(
        "create or replace temp table verdicts (row_number bigint, rules varchar[], reasons varchar[])"
    )
    if not con.execute("select count(*) from checked where is_bad").fetchall()[0][0]:
        return
    words = [f"case when {rule.broken} then {literal(rule.words)} end" for rule in rules]
    reasons = [f"case when {rule.broken} then {literal(rule.words)}{_got(rule)} end" for rule in rules]
    con.execute(
        "insert into verdicts select row_number,"
        f" list_filter([{', '.join(words)}], lambda x: x is not null),"
        f" list_filter([{', '.join(reasons)}], lambda x: x is not null)"
        " from typed where row_number in (select row_number from checked where is_bad)"
    )


def _got(rule: Rule) -> str:
    return "" if rule.value is None else f" || ', got ' || {rule.value}"


def reference_rule(column: str, table: str, other: str) -> Rule:
    """Rule that a reference must lead to a row that is landed or arriving."""
    known = quoted("known " + column)
    return Rule(
        f"{column} must exist in {table}.{other}",
        f"not {known} and {quoted(column)} is not null",
        None,
        column,
    )


def period_rules(period: Period) -> list[Rule]:
    """Rules that a row's day must lie in the period of what it refers to."""
    day = quoted(period.column)
    first, last = (quoted(f"{side} {period.column}") for side in ("first", "last"))
    told = f"{period.column} must not be {{}} {period.table}.{{}}"
    return [
        Rule(
            told.format(side, bound), f"{day} {beyond} {end}", f"{day} || ' (' || {end} || ')'", period.column
        )
        for side, bound, beyond, end in (
            ("before", period.first, "<", first),
            ("after", period.last, ">", last),
        )
    ]


def curable(layout: RawLayout) -> list[str]:
    """Words of the rules that a row may satisfy after a later delivery of another table."""
    references = [reference_rule(*reference) for reference in layout.references]
    periods = [rule for period in layout.periods for rule in period_rules(period)]
    return [rule.words for rule in (*references, *periods)]


def known_values(table: str, column: str) -> str:
    """Name, quoted, of the scratch table with the values that rows may refer to, in ``value``."""
    return quoted(f"known {table}.{column}")


def known_periods(period: Period) -> str:
    """Name, quoted, of the scratch view of the newest periods: ``value``, ``first_day``, ``last_day``."""
    return quoted(f"periods {period.table}.{period.first}.{period.last}")


def _normalise_list(con: duckdb.DuckDBPyConnection, column: Column) -> None:
    """Map each distinct delivered text to its normal form; there are few distinct ones."""
    con.execute(
        f"create or replace temp table list_{column.name} as select delivered, coalesce(list_aggregate("
        "list_sort(list_distinct(list_filter(list_transform(string_split(delivered, '|'),"
        " lambda x: trim(x)), lambda x: x <> ''))), 'string_agg', '|'), case when delivered is not null"
        f" then '' end) as normalised"
        f" from (select distinct {quoted(column.name)} as delivered from delivered)"
    )


def _cast(raw: str, dtype: DType, found: str) -> str:
    """Cast a raw value in SQL, null where it cannot be."""
    if dtype is DType.STRING:
        return f"cast({raw} as varchar)"
    if dtype is DType.INTEGER and not found.endswith("INT") and found != "INTEGER":
        # A plain cast would round 1.5 to 2.
        number = f"try_cast({raw} as double)"
        return f"case when {number} = round({number}) then try_cast({raw} as bigint) end"
    if dtype is DType.DATE and found != "DATE":
        # A plain cast would cut the time of day off.
        time = f"try_cast({raw} as timestamp)"
        return f"case when {time} = date_trunc('day', {time}) then try_cast({raw} as date) end"
    if dtype is DType.TIMESTAMP and found == "VARCHAR":
        # By way of a zoned time: a plain cast would ignore an offset such as +02:00.
        return f"try_cast(try_cast({raw} as timestamptz) as timestamp)"
    return f"try_cast({raw} as {dtype.sql})"


def _column_rules(column: Column) -> list[Rule]:
    """Rules of the declaration, after those that only delivered values can break: type and sane dates."""
    name, raw = quoted(column.name), quoted("raw " + column.name)
    given = None if column.personal else f"{literal(chr(39))} || {raw}::varchar || {literal(chr(39))}"
    uncast = f"{raw} is not null and {name} is null"
    rules = [Rule(f"{column.name} must be {_ARTICLE[column.dtype]}", uncast, given, column.name)]
    if column.dtype in (DType.DATE, DType.TIMESTAMP):
        words = f"{column.name} must lie between {EARLIEST} and {LATEST}"
        beyond = f"{name}::date not between date '{EARLIEST}' and date '{LATEST}'"
        rules.append(Rule(words, beyond, shown(column), column.name))
    return [*rules, *column_rules(column, delivered=raw)]
