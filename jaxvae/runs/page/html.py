"""HTML by functions: whatever is plain text is escaped, so that nothing from a run can become markup."""

import base64
import hashlib
import html
from collections.abc import Sequence

VOID = ("meta", "img")


class Html(str):
    """Markup that is finished; any other string is text."""


def tag(name: str, *children: str, **attributes: str) -> Html:
    """An element; an attribute such as class_ loses the underscore that Python asks for.

    Example:
        >>> tag("p", "a < b ", tag("b", "and c"), class_="note")
        '<p class="note">a &lt; b <b>and c</b></p>'
    """
    words = "".join(f' {key.rstrip("_")}="{html.escape(value)}"' for key, value in attributes.items())
    if name in VOID:
        return Html(f"<{name}{words}>")
    return Html(f"<{name}{words}>{joined(*children)}</{name}>")


def joined(*children: str) -> Html:
    """The children one after the other, text escaped."""
    return Html("".join(child if isinstance(child, Html) else html.escape(child) for child in children))


def section(title: str, *children: str) -> Html:
    """A part of the page with its heading."""
    return tag("section", tag("h2", title), *children)


def paragraph(*children: str) -> Html:
    """A paragraph of text."""
    return tag("p", *children)


def absent(sentence: str) -> Html:
    """What to say of something that is not there."""
    return tag("p", sentence, class_="absent")


def note(sentence: str, *, warning: bool = False) -> Html:
    """A finding, set apart from the text."""
    return tag("p", sentence, class_="finding warning" if warning else "finding")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", numbers: str = "") -> Html:
    """A table that scrolls sideways by itself on a narrow screen.

    Args:
        headers: one for each column.
        rows: the cells of each row.
        caption: said below.
        numbers: the headers of the columns that hold numbers, separated by "|"; they are set to the right.
    """
    right = [header in numbers.split("|") for header in headers]

    def cells(name: str, values: Sequence[str]) -> list[Html]:
        return [
            tag(name, value, **({"class": "number"} if is_right else {}))
            for value, is_right in zip(values, right, strict=True)
        ]

    head = tag("thead", tag("tr", *cells("th", headers)))
    body = tag("tbody", *[tag("tr", *cells("td", row)) for row in rows])
    below = tag("p", caption, class_="caption") if caption else Html()
    return joined(tag("div", tag("table", head, body), class_="scroll"), below)


def key_numbers(numbers: Sequence[tuple[str, str, str]]) -> Html:
    """Large numbers side by side: (name, number, what follows it in small)."""
    cells = [
        tag("div", tag("dt", name), tag("dd", number, " ", tag("small", rest)), class_="key")
        for name, number, rest in numbers
    ]
    return tag("dl", *cells, class_="keys")


def figures(*items: str, columns: int = 2) -> Html:
    """Figures side by side where there is room for them, else one under the other: two columns, or rows of three."""
    return tag("div", *items, class_="rows" if columns == 3 else "columns")


def document(title: str, style: str, *body: str, script: str = "") -> Html:
    """The whole page. Its policy forbids the browser every request, and every script but the one that is given."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
        policy += f"; script-src 'sha256-{digest}'"
        body = (*body, tag("script", Html(script)))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", **{"http-equiv": "Content-Security-Policy", "content": policy}),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(style)),
    )
    page = tag("html", head, tag("body", tag("main", *body)), lang="en")
    return Html(f"<!doctype html>\n{page}\n")
