"""The scoreboard as one HTML page: columns that sort, draws beside each name, the picture, and what is not said."""

from collections.abc import Sequence

import numpy as np

from jaxvae.evaluation.plots.board_charts import board_chart
from jaxvae.evaluation.scoreboard.records import COLUMNS, Standing
from jaxvae.runs.page.drawing import chart, images
from jaxvae.runs.page.html import Html, document, note, paragraph, section, table, tag
from jaxvae.runs.page.style import STYLE
from jaxvae.runs.scoreboard.words import LIMITS, heading, remarks, used

WIDE = """
main { max-width: 110rem; }
#board th { cursor: pointer; vertical-align: bottom; }
#board th[aria-sort=ascending]::after { content: " \\2191"; color: var(--accent); }
#board th[aria-sort=descending]::after { content: " \\2193"; color: var(--accent); }
#board td { vertical-align: middle; }
#board .number { padding-right: 1rem; }
#board small { display: block; color: var(--muted); max-width: 15rem; }
#board figure { width: 17rem; }
"""
# A click on a heading sorts by it, a second one the other way round; rows without a number stay below.
SCRIPT = """
document.querySelectorAll("#board th").forEach(function (head, index) {
  head.addEventListener("click", function () {
    var up = head.getAttribute("aria-sort") !== "ascending", body = document.querySelector("#board tbody");
    document.querySelectorAll("#board th").forEach(function (other) { other.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    var key = function (row) { return row.children[index].dataset.value; };
    Array.from(body.rows).sort(function (a, b) {
      var x = key(a), y = key(b);
      if (x === "" || y === "") { return x === y ? 0 : x === "" ? 1 : -1; }
      var order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return up ? order : -order;
    }).forEach(function (row) { body.appendChild(row); });
  });
});
"""


def board_page(title: str, lead: str, rows: Sequence[Standing]) -> str:
    """The page: it asks for no other file, and its one script sorts the table.

    Args:
        title: of the page. lead: the budget and the data, in a sentence.
        rows: of the board.

    Example:
        >>> page = board_page("digits", "One minute each.", [Standing("a", "VAE", "a VAE", failed="no <time>.")])
        >>> "no &lt;time&gt;." in page, "script-src &#x27;sha256-" in page
        (True, True)
    """
    names = used(rows)
    heads = [tag("th", "contender"), tag("th", "draws"), *(tag("th", heading(name), class_="number") for name in names)]
    body = tag("tbody", *(_row(row, names) for row in rows))
    board = tag("div", tag("table", tag("thead", tag("tr", *heads)), body, id="board"), class_="scroll")
    said = [note(one, warning=True) for one in remarks(rows)]
    columns = [[COLUMNS[name].title, COLUMNS[name].about] for name in names]
    return document(
        title,
        STYLE + WIDE,
        tag("h1", title),
        tag("p", lead, class_="lead"),
        paragraph("A click on a heading sorts; a number under the pointer says under which circumstances it was got."),
        board,
        *said,
        section("The same as a picture", _picture(rows)),
        section("Columns", table(["column", "what it is"], columns)),
        section("What the table cannot say", *(paragraph(one) for one in LIMITS)),
        script=SCRIPT,
    )


def _row(row: Standing, names: Sequence[str]) -> Html:
    about = tag("td", tag("b", row.name), tag("small", row.about), **{"data-value": row.name})
    strip = tag("td", *([] if row.draws is None else [_strip(row)]), **{"data-value": ""})
    return tag("tr", about, strip, *(_cell(row, name) for name in names))


def _cell(row: Standing, name: str) -> Html:
    cell = row.columns.get(name)
    if cell is None or cell.value is None:
        return tag("td", class_="number", title=row.failed or (cell.setting if cell else ""), **{"data-value": ""})
    told = f"{cell.evidence}: {cell.setting}" if cell.evidence else cell.setting
    return tag("td", cell.text, class_="number", title=told, **{"data-value": repr(float(cell.value))})


def _strip(row: Standing) -> Html:
    cells = np.asarray(row.draws)[:8]
    return images(cells[None], f"draws of {row.name}")


def _picture(rows: Sequence[Standing]) -> Html:
    return chart(board_chart(rows)[0], "a dot with its standard error for each contender and score")
