"""HTML that every report is made of: one file that asks the network for nothing."""

from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #22262b; margin: 2rem auto; max-width: 64rem;
       padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse } th, td { padding: .25rem .9rem .25rem 0; text-align: right }
th { border-bottom: 1px solid #8a8f98; font-weight: 600 }
th:first-child, td:first-child { text-align: left }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem }
svg { width: 100%; height: auto } .small { color: #5c626b; font-size: .85rem }
"""


def document(title: str, body: Iterable[str], *, style: str = "") -> str:
    """A whole page of finished pieces; `style` adds to what all reports share."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}{style}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells of plain text under their heads."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><tr>{top}</tr>{body}</table>"
