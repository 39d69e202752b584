"""report.html: one self-contained page, without network assets; everything from the run is escaped."""

from __future__ import annotations

from xentcheck.errors import UnavailableError

from .plots import plots
from .runfile import RunFile
from .view import records_of, view_of


def html(run: RunFile) -> str:
    """The page of a run. Raises UnavailableError without jinja2 or matplotlib."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise UnavailableError('the HTML report needs jinja2: pip install "xentcheck[report]"') from error
    environment = Environment(
        loader=PackageLoader("xentcheck.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["zip"] = zip
    return environment.get_template("report.html.j2").render(view=view_of(run), plots=plots(records_of(run)))
