"""Adapter of UCI's Bank Marketing (calls of a Portuguese bank, 2008-05 to 2010-11) to the raw layouts of propensity.

Either file goes in, ``bank-additional-full.csv`` (41,188 calls) or ``bank-full.csv`` (45,211), fields parted by
semicolons, in the order of the calls. What it carries is one product, a term deposit, after one campaign; the rules:

- *Customers.* A row is a customer, numbered by its place: the file has no ids, and whoever was called twice is two
  customers. Region, income and household are not in the data. Marital status and education have no place in the
  layouts, whose features are to be had from any bank.
- *Days.* The year follows from the order of the months, which begin in May 2008. ``bank-full`` has the day of the
  month. ``bank-additional-full`` has only its weekday: the first that is not before the call above it.
- *Holdings.* A current account (with the balance that ``bank-full`` tells), ``housing`` as a mortgage and ``loan`` as a
  personal loan, at the end of the month before the call and of the month of the call, when a term deposit that was
  subscribed joins them. When they were opened is not in the data: with the customer.
- *Campaigns.* The call and its answer, known at the end of the day; the call of the campaign before, where the file
  tells one, with its answer.
- *Not read.* The duration of the call is known only when the answer is. The five economic indicators are about the
  country, and ``default`` is about what other products were like.

There is no month without a call, so a customer has holdings and a label around that call only: the data show whether
a term deposit is taken after a call, not who comes by without one, and nothing can be recommended from them.
"""

# SQL is put together from declared names and constants.

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

from features.schemas import Column, DType, Table
from pipelines.errors import DataContractError
from pipelines.sources.adapter import END_OF_DAY, Adapted, Adapter, write_raw
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, RawLayout
from pipelines.sources.staging import Staging
from pipelines.usecases.propensity import layouts as propensity

SOURCE_FILES = ("bank-additional-full.csv", "bank-full.csv")
ADAPTED_FILE = "calls"
PRODUCT = "term deposit"

#: Month of the first call.
_FIRST = date(2008, 5, 1)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_READ = ("age", "job", "housing", "loan", "contact", "month", "pdays", "poutcome", "y")
#: Days since the last campaign where there was none.
_NEVER = ("999", "-1")

CALLS = RawLayout(
    Table(
        ADAPTED_FILE,
        "UCI's Bank Marketing with a date, the columns that are read. One row per call.",
        (
            Column("customer_id", DType.STRING, "Place in the file.", personal=True),
            Column("called_on", DType.DATE, "Day of the call."),
            Column("age", DType.INTEGER, "Age.", unit="years", minimum=0, maximum=110),
            Column("job", DType.STRING, "Kind of job; null if unknown.", nullable=True),
            Column(
                "balance", DType.NUMBER, "Mean yearly balance; null if not told.", unit="EUR", nullable=True
            ),
            Column("housing", DType.STRING, "Housing loan.", nullable=True, allowed=("yes", "no")),
            Column("loan", DType.STRING, "Personal loan.", nullable=True, allowed=("yes", "no")),
            Column("contact", DType.STRING, "How the customer was called.", nullable=True),
            Column(
                "pdays", DType.INTEGER, "Days since the last campaign.", unit="days", nullable=True, minimum=0
            ),
            Column("poutcome", DType.STRING, "Its outcome.", nullable=True),
            Column("y", DType.STRING, "Whether a term deposit was subscribed.", allowed=("yes", "no")),
        ),
        key=("customer_id",),
    ),
    history=History.IMMUTABLE,
    subject="customer_id",
    subject_key=propensity.CUSTOMER_KEY,
)

LAYOUTS = (CALLS,)


def translate(folder: Path, into: Path) -> None:
    """Write the file as a CSV with commas, a number per customer and a date per call.

    Raises
    ------
    DataContractError
        Neither file is there, or both are; a column is missing, or the day of a call cannot be told.
    """
    found = [folder / name for name in SOURCE_FILES if (folder / name).is_file()]
    if len(found) != 1:
        raise DataContractError(
            f"{folder} must hold one of UCI's files {list(SOURCE_FILES)}, got {[file.name for file in found]}"
        )
    columns = CALLS.table.column_names
    with found[0].open(newline="") as source, (into / f"{ADAPTED_FILE}.csv").open("w", newline="") as target:
        reader = csv.DictReader(source, delimiter=";")
        missing = [name for name in _READ if name not in (reader.fieldnames or ())]
        if missing:
            raise DataContractError(
                f"{found[0].name} must have all columns of the layout, missing: {missing}"
            )
        writer = csv.DictWriter(target, columns, extrasaction="ignore")
        writer.writeheader()
        for number, (row, day) in enumerate(_dated(found[0].name, reader), start=1):
            known = {name: "" if value == "unknown" else value for name, value in row.items()}
            if row["pdays"] in _NEVER:
                known["pdays"] = ""
            writer.writerow({**known, "customer_id": f"bm-{number:06d}", "called_on": day.isoformat()})


def _dated(file: str, rows: Iterator[Mapping[str, str]]) -> Iterator[tuple[dict[str, str], date]]:
    """Rows with their days: months never go back, and neither do weekdays within a month."""
    last = _FIRST
    for line, row in enumerate(rows, start=2):
        try:
            month = _MONTHS.index(row["month"]) + 1
            first = date(last.year + (month < last.month), month, 1)
            if "day" in row:
                day = first.replace(day=int(row["day"]))
            else:
                start = max(first, last)
                day = start + timedelta(days=(_WEEKDAYS.index(row["day_of_week"]) - start.weekday()) % 7)
                while day.month != month:  # no such weekday is left: the last one
                    day -= timedelta(days=7)
        except (KeyError, ValueError) as error:
            raise DataContractError(
                f"{file}: the day of a call cannot be told in line {line}: {error}"
            ) from None
        # A weekday that goes back in an ordered month does not turn the month back.
        last = max(day, first)
        yield dict(row), day


def adapt(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
    """Write the calls as files in the raw layouts of propensity; see :class:`pipelines.sources.adapter.Adapter`."""
    con = staging.con
    staging.examine(files[0])
    outcome = staging.settle(files[0])
    con.execute(_CALLS)
    into.mkdir()
    for layout, query in _QUERIES:
        write_raw(con, layout, query, into)
    taken = con.execute("select count(*) from calls where y = 'yes'").fetchall()[0][0]
    return Adapted(
        (outcome,),
        (
            f"{taken} of {outcome.landed} customers took a term deposit after the call",
            "when customers came and what they hold beside accounts and loans is not in the data",
        ),
    )


#: Customers joined in the month before the call, or before the campaign that went before; earlier is not told.
_CALLS = """
    create temp table calls as
    select *,
        cast(date_trunc('month', called_on - coalesce(pdays, 0)::integer) - interval 1 month as date) as joined_on,
        last_day(called_on - interval 1 month) as month_before
    from checked where not is_bad
"""

_EMPLOYMENT = """
    case job
        when 'student' then 'student' when 'retired' then 'retired'
        when 'self-employed' then 'self_employed' when 'entrepreneur' then 'self_employed'
        when 'unemployed' then 'not_employed' else if(job is null, null, 'employed')
    end
"""

_QUERIES = (
    (
        propensity.CUSTOMERS,
        f"""
        select customer_id, year(called_on) - age as birth_year, joined_on, null as region,
            {_EMPLOYMENT} as employment, null as income_eur, null as household_size,
            true as consents_to_marketing, joined_on::timestamp as known_at
        from calls order by customer_id
        """,
    ),
    (
        propensity.HOLDINGS,
        f"""
        with months as (
            select calls.*, unnest([month_before, last_day(called_on)]) as month_end from calls
        ),
        held as (
            select customer_id, month_end, 'current account' as product, joined_on as opened_on, balance as balance_eur
            from months
            union all
            select customer_id, month_end, 'mortgage', joined_on, null from months where housing = 'yes'
            union all
            select customer_id, month_end, 'personal loan', joined_on, null from months where loan = 'yes'
            union all
            select customer_id, last_day(called_on), '{PRODUCT}', called_on, null from calls where y = 'yes'
        )
        select *, (month_end + 1)::timestamp as known_at from held order by month_end, customer_id, product
        """,
    ),
    (
        propensity.CAMPAIGNS,
        f"""
        with contacts as (
            select customer_id || '-1' as contact_id, customer_id, 'this campaign' as campaign, contact as channel,
                called_on as contacted_on, if(y = 'yes', 'interested', 'declined') as response
            from calls
            union all
            select customer_id || '-0', customer_id, 'the campaign before', null, called_on - pdays::integer,
                case poutcome when 'success' then 'interested' when 'failure' then 'declined' else 'none' end
            from calls where pdays is not null
        )
        select *, '{PRODUCT}' as product, {END_OF_DAY.format(day="contacted_on")} as known_at
        from contacts order by contact_id
        """,
    ),
)


ADAPTER = Adapter(LAYOUTS, adapt, translate=translate)
