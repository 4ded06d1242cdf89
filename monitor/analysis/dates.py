"""Dates said in a text, as YYYY-MM-DD, or YYYY-MM where no day is said.

Nothing here reads a clock: relative dates need the publication date.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import re2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_DATES = 2000
_NAMES = {
    "jan": 1, "ene": 1, "feb": 2, "fév": 2, "fev": 2, "mar": 3, "mär": 3, "maer": 3, "apr": 4, "avr": 4, "abr": 4, "may": 5, "mai": 5,
    "jun": 6, "juin": 6, "jul": 7, "juil": 7, "aug": 8, "aoû": 8, "aou": 8, "ago": 8, "sep": 9, "set": 9, "oct": 10, "okt": 10, "nov": 11,
    "dec": 12, "dez": 12, "déc": 12, "dic": 12,
}  # fmt: skip
_MONTH = (
    r"(jan(?:uary|uar|vier)?|feb(?:ruary|ruar|rero)?|f[ée]vrier|mar(?:ch|s|zo)?|märz|maerz|apr(?:il)?|avril|abril|may|mai|mayo|june?|juni|juin|junio|july?|juli"
    r"|juillet|julio|aug(?:ust)?|août|aout|agosto|sept?(?:ember|embre|iembre)?|setiembre|oct(?:ober|obre|ubre)?|okt(?:ober)?|nov(?:ember|embre|iembre)?"
    r"|dec(?:ember)?|dez(?:ember)?|déc(?:embre)?|diciembre|enero)"
)
_YEAR = r"((?:19|20)\d\d)"
_DAY = r"(\d{1,2})(?:st|nd|rd|th|er|\.)?"
_GAP = r"[\s,*_]{1,4}(?:of |de )?"


@dataclass(frozen=True, slots=True)
class FoundDate:
    """``value`` is YYYY-MM-DD or YYYY-MM; ``start``/``end`` are character offsets."""

    value: str
    start: int
    end: int


def dates(text: str, published: date | None) -> tuple[FoundDate, ...]:
    """Return the dates said in ``text`` in order; of two that overlap the longer one counts. Impossible dates are not dates."""
    found: list[FoundDate] = []
    taken: list[tuple[int, int]] = []
    for pattern, read in _STYLES:
        for match in pattern.finditer(text):
            span = match.start(), match.end()
            value = read(match, published)
            if value is None or any(low < span[1] and span[0] < high for low, high in taken):
                continue
            taken.append(span)
            found.append(FoundDate(value, *span))
            if len(found) == MAX_DATES:
                return tuple(found)
    return tuple(sorted(found, key=lambda item: item.start))


def _day(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def _month(year: int, month: int) -> str | None:
    return f"{year:04}-{month:02}" if 1 <= month <= 12 else None


def _named(name: str) -> int:
    lowered = name.lower()
    return next(_NAMES[lowered[:size]] for size in (4, 3) if lowered[:size] in _NAMES)


def _iso(match: Any, _: date | None) -> str | None:
    return _day(int(match.group(1)), int(match.group(2)), int(match.group(3)))


def _numeric(match: Any, _: date | None) -> str | None:
    """D.M.YYYY with points; with slashes only where one of the numbers cannot be a month."""
    first, second, year = int(match.group(1)), int(match.group(3)), int(match.group(4))
    if match.group(2) == "." or first > 12:
        return _day(year, second, first)
    return _day(year, first, second) if second > 12 else None


def _day_month_year(match: Any, _: date | None) -> str | None:
    return _day(int(match.group(3)), _named(match.group(2)), int(match.group(1)))


def _month_day_year(match: Any, _: date | None) -> str | None:
    return _day(int(match.group(3)), _named(match.group(1)), int(match.group(2)))


def _month_year(match: Any, _: date | None) -> str | None:
    return _month(int(match.group(2)), _named(match.group(1)))


def _iso_month(match: Any, _: date | None) -> str | None:
    return _month(int(match.group(1)), int(match.group(2)))


def _japanese(match: Any, _: date | None) -> str | None:
    year, month = int(match.group(1)), int(match.group(2))
    return _day(year, month, int(match.group(3))) if match.group(3) else _month(year, month)


def _quarter(match: Any, published: date | None) -> str | None:
    """The last month of the quarter for "end of", "by", "until"; else its first. Without a year: the next such quarter."""
    quarter = int(match.group(2))
    year = int(match.group(3)) if match.group(3) else None
    month = quarter * 3 if match.group(1) and match.group(1).strip().lower() not in ("in", "from") else quarter * 3 - 2
    if year is None:
        if published is None:
            return None
        year = published.year + (quarter * 3 < published.month)
    return _month(year, month)


def _year_end(match: Any, _: date | None) -> str | None:
    return _month(int(match.group(1)), 12)


def _day_month(match: Any, published: date | None) -> str | None:
    return _nearest(_named(match.group(2)), int(match.group(1)), published)


def _month_day(match: Any, published: date | None) -> str | None:
    return _nearest(_named(match.group(1)), int(match.group(2)), published)


def _nearest(month: int, day: int, published: date | None) -> str | None:
    """The date of that day and month nearest to publication: "on 29 January" in a post of December is next year's."""
    if published is None:
        return None
    near = [value for year in (-1, 0, 1) if (value := _day(published.year + year, month, day))]
    return min(near, key=lambda value: abs((date.fromisoformat(value) - published).days), default=None)


def _relative(match: Any, published: date | None) -> str | None:
    if published is None:
        return None
    try:
        return _counted(match.group(0).lower().split(), published)
    except (OverflowError, ValueError):
        return None


def _counted(words: list[str], published: date) -> str | None:
    if words[-1] in ("today", "tomorrow"):
        return (published + timedelta(days=words[-1] == "tomorrow")).isoformat()
    if words[0] in ("next", "last"):
        step = 1 if words[0] == "next" else -1
        if words[1] == "year":
            return None
        months = published.year * 12 + published.month - 1 + step
        return f"{months // 12:04}-{months % 12 + 1:02}"
    days = int(words[1]) * (7 if words[2].startswith("week") else 1)
    return (published + timedelta(days=days)).isoformat()


def _styles() -> Iterator[tuple[Any, Callable[[Any, date | None], str | None]]]:
    """Most telling first: what one style has read, a later one does not read again."""
    rows: tuple[tuple[str, Callable[[Any, date | None], str | None]], ...] = (
        (rf"\b{_YEAR}\\?[-/.](\d{{1,2}})\\?[-/.](\d{{1,2}})(?:T|\b)", _iso),
        (rf"\b(\d{{1,2}})([./-])(\d{{1,2}})[./-]{_YEAR}\b", _numeric),
        (rf"(?i)\b{_DAY}[\s-]{{1,2}}(?:of |de )?{_MONTH}\.?[\s,-]{{1,3}}(?:de )?{_YEAR}\b", _day_month_year),
        (rf"(?i)\b{_MONTH}\.?[\s*_]{{1,3}}{_DAY}{_GAP}{_YEAR}\b", _month_day_year),
        (rf"{_YEAR}年\s?(\d{{1,2}})月(?:\s?(\d{{1,2}})日)?", _japanese),
        (rf"(?i)\b{_MONTH}\.?{_GAP}{_YEAR}\b", _month_year),
        (rf"\b{_YEAR}-(0[1-9]|1[0-2])\b", _iso_month),
        (
            rf"(?i)\b((?:by |until |end of |by the end of |late |in |from |before )?)(?:the )?Q([1-4])(?:[\s/,]{{1,2}}(?:of )?{_YEAR})?\b",
            _quarter,
        ),
        (rf"(?i)\b(?:the )?end of {_YEAR}\b", _year_end),
        (rf"(?i)\b{_DAY}\s(?:of |de )?{_MONTH}\b", _day_month),
        (rf"(?i)\b{_MONTH}\.?\s{_DAY}\b", _month_day),
        (
            r"(?i)\b(?:from |as of |starting |since |until )(?:today|tomorrow)\b|\b(?:next|last) month\b|\bin \d{1,3} (?:days?|weeks?)\b",
            _relative,
        ),
    )
    for pattern, read in rows:
        yield re2.compile(pattern), read


_STYLES = tuple(_styles())
