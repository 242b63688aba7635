"""Docstrings as they are written, and every name of the library in a text as a link to its page."""

import functools
import re
from collections import defaultdict

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

import jaxvae

_CODE = re.compile(r"(`[^`]*`)")


def _as_written(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Formulas keep their bars and stars: outside code, reStructuredText would take them for marks of its own."""
    example = False
    for at, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and line.strip() != "")
        if not example:
            parts = _CODE.split(line)  # an unpaired backtick leaves the line as it is
            parts[::2] = [re.sub(r"([|*])", r"\\\1", part) for part in parts[::2]]
            # Code that a letter or a bracket follows, as in `f`(x), ends with a mark that nobody sees.
            parts[2::2] = [rf"\ {part}" if re.match(r"[\w(]", part) else part for part in parts[2::2]]
            lines[at] = "".join(parts)


def _as_meant(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Napoleon takes words before a colon for a type. Here they are prose, or several fields that share a line."""
    written: list[str] = []
    for line in lines:
        fields = re.match(r"(\s*:ivar )(\w+(?:, \w+)+)(:.*)", line)
        kind = re.match(r"\s*:(?:rtype|type): (.*)", line)
        if fields:
            *others, last = fields[2].split(", ")
            written += [f"{fields[1]}{word}: see `{last}`" for word in others] + [f"{fields[1]}{last}{fields[3]}"]
        elif kind:
            at = max((n for n, text in enumerate(written) if text.lstrip().startswith(":returns: ")), default=0)
            head, mark, rest = written[at].rpartition(":returns: ")
            written[at] = f"{head}{mark}{kind[1]}: {rest.lstrip()}"
        else:  # one letter and a full stop would begin a list
            written.append(re.sub(r"^(\s*:param \w+: [A-Za-z])\.$", r"\1\\.", line))
    lines[:] = written


def _skipped(app: Sphinx, what: str, name: str, value: object, skip: bool, options: object) -> bool | None:
    """A record's fields are told in its docstring, and what scikit-learn hands down in its own book."""
    made_up = (getattr(value, "__doc__", None) or "").startswith("Alias for field number")
    return True if made_up or (getattr(value, "__module__", None) or "").startswith("sklearn.") else None


class LinkNames(SphinxPostTransform):
    """`priors.vamp_prior`, `jaxvae.vae` or `vae` in code leads to where that name is described."""

    default_priority = 300

    def run(self, **_: object) -> None:
        ends = self._ends()
        for node in list(self.document.findall(nodes.literal)):
            if isinstance(node.parent, nodes.reference | nodes.title):
                continue
            place = ends.get(node.astext().removeprefix("jaxvae.").removesuffix("()"))
            if place is not None:
                page, anchor = place
                address = self.app.builder.get_relative_uri(self.env.docname, page) + f"#{anchor}"
                link = nodes.reference("", "", internal=True, refuri=address)
                node.replace_self(link)
                link += node

    def _ends(self) -> dict[str, tuple[str, str]]:
        """By each way to write a name that can mean one thing only: its page and its anchor there."""
        places = defaultdict(set)
        for name, entry in self.env.domaindata["py"]["objects"].items():
            parts = name.split(".")
            if parts[0] == "jaxvae" and entry.objtype in ("function", "class", "exception"):
                for start in range(1, len(parts) - 1):
                    places[".".join(parts[start:])].add((entry.docname, entry.node_id))
                flat = getattr(jaxvae, parts[-1]) if parts[-1] in jaxvae.__all__ else None
                if flat is not None and functools.reduce(getattr, parts[1:], jaxvae) is flat:
                    places[parts[-1]].add((entry.docname, entry.node_id))
        return {name: next(iter(found)) for name, found in places.items() if len(found) == 1}


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _as_written, priority=400)  # before napoleon reads it
    app.connect("autodoc-process-docstring", _as_meant, priority=600)  # what napoleon made of it
    app.connect("autodoc-skip-member", _skipped)
    app.add_post_transform(LinkNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
