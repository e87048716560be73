"""What stands behind options of the command line: periods, days and numbers, read or refused with how to write them.

What belongs here: the types of click. What does not: which command has which option (`cli.py`).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from energy_assets.clock import last_complete_day
from energy_assets.grams import Grams
from energy_assets.periods import ONE_DAY, Month, Period


class PeriodType(click.ParamType[Period]):
    """A month, a quarter or a year."""

    name = "period"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Period:
        """Read it or fail with how to write it.

        Args:
            value: As typed, or a period already.
            param: The option it belongs to.
            ctx: Of click, for the message.
        """
        try:
            return value if isinstance(value, Period) else Period.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class MonthType(click.ParamType[Month]):
    """A month, as 2024-05."""

    name = "YYYY-MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Month:
        """Read it or fail with how to write it.

        Args:
            value: As typed, or a month already.
            param: The option it belongs to.
            ctx: Of click, for the message.
        """
        try:
            return value if isinstance(value, Month) else Month.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class DayType(click.ParamType[date]):
    """A day, as YYYY-MM-DD."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Read it or fail with how to write it.

        Args:
            value: As typed, or a day already.
            param: The option it belongs to.
            ctx: Of click, for the message.
        """
        if isinstance(value, date):
            return value
        text = str(value).strip()
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            try:
                return date.fromisoformat(text)
            except ValueError:
                self.fail(f"'{text}' is no day of the calendar.", param, ctx)
        self.fail(f"write the day '{text}' as YYYY-MM-DD, for example {last_complete_day()}.", param, ctx)


class AsOfType(click.ParamType[datetime]):
    """A day or a moment: all that was known by then. Read as the first moment that no longer counts, UTC."""

    name = "YYYY-MM-DD[THH:MM]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it or fail with how to write it.

        Args:
            value: As typed: a day, whose whole counts; or a moment, of which UTC is meant where it has no offset.
            param: The option it belongs to.
            ctx: Of click, for the message.
        """
        if isinstance(value, datetime):
            return value
        text = str(value).strip()
        try:
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
                before = datetime.combine(date.fromisoformat(text) + ONE_DAY, datetime.min.time(), UTC)
            else:
                moment = datetime.fromisoformat(text)
                before = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) + timedelta(microseconds=1)
        except OverflowError:
            before = datetime.max.replace(tzinfo=UTC)
        except ValueError:
            self.fail(f"write '{text}' as a day, 2026-10-01, or a moment, 2026-10-01T14:30Z.", param, ctx)
        if before > datetime.now(UTC) + ONE_DAY:
            self.fail(f"{text} has not been yet: nobody knows what will be known then.", param, ctx)
        return before.astimezone(UTC)


class DecimalType(click.ParamType[Decimal]):
    """A number above 0, exactly as it is written."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Read it or fail with how to write it.

        Args:
            value: As typed, or a number already.
            param: The option it belongs to.
            ctx: Of click, for the message.
        """
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            number = Decimal(0)
        if not (number.is_finite() and number > 0):
            self.fail(f"'{value}' is no number above 0; write it with a point, for example 363.5", param, ctx)
        return number


class GramsType(click.ParamType[Grams]):
    """A grid factor, in grams per kWh or with its unit."""

    name = "grams"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Grams:
        """Read it or fail with how to write it.

        Args:
            value: As typed, or read already.
            param: The option it belongs to.
            ctx: Of click, for the message.
        """
        try:
            return value if isinstance(value, Grams) else Grams.of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


CSV = click.Path(path_type=Path, dir_okay=False, exists=True)
AS_OF = AsOfType()
DECIMAL = DecimalType()
GRAMS = GramsType()
