"""A part of a page that is made from results, between two marks; the rest of the page is written by hand."""

from __future__ import annotations


def filled(page: str, name: str, tool: str, made: str) -> str:
    """The page with `made` between the marks of that name. Raises ValueError where they are not."""
    begin = f"<!-- {name}: written by tools/{tool}.py from benchmarks/results -->"
    end = f"<!-- end of the {name} -->"
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"the page must have the marks {begin} and {end}.")
    return f"{before}{begin}\n\n{made}\n\n{end}{after}"
