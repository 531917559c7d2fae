"""Renders the templates that reports are made of."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from physkit.evaluate.result import shown


def render(template: str, **values: Any) -> str:
    """A page of a template and its values, which are escaped.

    template: its path in the package, such as `evaluate/report/report.html.j2`.
    Raises jinja2.UndefinedError for a value that the template needs and was not given.
    """
    return _environment().get_template(template).render(values)


def as_picture(svg: str) -> Markup:
    """An SVG element that is put into a page as it is. Only for what this program drew itself."""
    return Markup(svg)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("physkit", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["figure"] = _figure
    return environment


def _figure(value: float | None, digits: int) -> str:
    """A number with so many digits after the point; a dash where there is none."""
    return "-" if value is None else shown(value, digits)
