"""Reads a page of HTML as a browser would, and checks what every page must have."""

from collections import Counter
from html.parser import HTMLParser

VOID = ("meta", "br", "use")


class HtmlPage(HTMLParser):
    """The elements of a page, in order, each with its attributes; its text; its title."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.title = "", ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []
        assert html.startswith("<!doctype html>")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "title" and "svg" not in self._open:
            self.title += data
        elif "style" not in self._open:
            self.text += data


def accessible_page(html: str) -> HtmlPage:
    """The page, after checking that it names its language, title, table heads and pictures, gives
    no id twice, and runs or fetches nothing."""
    page = HtmlPage(html)
    assert page.all("html") == [{"lang": "en"}]
    assert page.title.strip()
    assert len(page.all("main")) == len(page.all("h1")) == 1
    assert all(head.get("scope") in ("col", "row", "colgroup") for head in page.all("th"))
    pictures = [one for _, one in page.elements if one.get("role") == "img"]
    assert len(pictures) == len(page.all("svg"))
    assert all(picture["aria-label"] for picture in pictures)
    ids = Counter(one["id"] for _, one in page.elements if "id" in one)
    assert max(ids.values(), default=1) == 1
    fetched = [one[key] for _, one in page.elements for key in ("src", "xlink:href") if key in one]
    assert all(place and place[1:] in ids for place in fetched)
    assert not {"script", "img", "link", "iframe"} & {tag for tag, _ in page.elements}
    return page
