"""Pages as tests read them: text, attributes, elements. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "link", "input", "br", "img", "hr"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Everything inside, white space folded."""
        return re.sub(r"\s+", " ", "".join(self.pieces)).strip()

    def has_class(self, name: str) -> bool:
        return name in self.attributes.get("class", "").split()


class Page(HTMLParser):
    """Every element of a document with the text inside it. A tag closed out of turn is an error."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.source = source
        self.feed(source)
        self.close()
        assert not self._open, f"never closed: {[e.tag for e in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"closed but not open: {tag}"
        assert self._open[-1].tag == tag, f"{tag} closed inside {self._open[-1].tag}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.pieces.append(data)

    @property
    def text(self) -> str:
        return self.one("body").text if any(e.tag == "body" for e in self.elements) else self.elements[0].text

    def all(self, tag: str | None = None, **attributes: str) -> list[Element]:
        """Elements by tag and attributes; `klass` matches one class among several, `_` stands for `-`."""
        wanted = {name.replace("_", "-"): value for name, value in attributes.items() if name != "klass"}
        return [
            e
            for e in self.elements
            if (tag is None or e.tag == tag)
            and all(e.attributes.get(name) == value for name, value in wanted.items())
            and ("klass" not in attributes or e.has_class(attributes["klass"]))
        ]

    def one(self, tag: str | None = None, **attributes: str) -> Element:
        found = self.all(tag, **attributes)
        assert len(found) == 1, f"{len(found)} elements of {tag} {attributes}"
        return found[0]

    def rows(self, caption: str) -> list[str]:
        """Text of the body rows of the table with this caption."""
        body = self.source.split(f"<caption>{caption}", 1)[1].split("</table>", 1)[0].split("<tbody", 1)[1]
        return [Page(f"<tr{row.split('</tr>', 1)[0]}</tr>").text for row in body.split("<tr")[1:]]
