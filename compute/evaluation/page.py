"""A page of HTML built as a tree, so that every tag is closed and every text is escaped."""

from __future__ import annotations

import base64
from xml.etree.ElementTree import Element, tostring

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; color: #1a1a1a;
  background: #fff }
h1, h2, h3 { line-height: 1.2 } h2 { margin-top: 2.5rem; border-bottom: 1px solid #bbb }
.verdict { font-size: 1.15rem; font-weight: 600; border-left: .4rem solid #31688e; padding: .4rem .8rem;
  background: #eef3f6 }
.wide { overflow-x: auto }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums }
caption { text-align: left; font-weight: 600; padding: .3rem 0 }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top }
th { font-weight: 600 } th[scope=row], .text td, .text th { text-align: left }
small { display: block; color: #555; white-space: nowrap }
img { image-rendering: pixelated; display: block; background: #d9d9d9 }
.bar { width: 11rem; height: .7rem } .ends { display: flex; justify-content: space-between; width: 11rem }
dt { font-weight: 600 } .missing { background: #d9d9d9; padding: 0 .5rem }
"""


def tag(kind: str, /, *children: Element | str, **attributes: str) -> Element:
    """An element; `class_` stands for the attribute class."""
    made = Element(kind, {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()})
    for child in children:
        if isinstance(child, Element):
            made.append(child)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + child
        else:
            made.text = (made.text or "") + child
    return made


def image(png: bytes, text: str, *, class_: str = "", size: tuple[int, int] | None = None) -> Element:
    """An image that is part of the page. text: what it shows; size: width and height in pixels of the page."""
    attributes = {"src": f"data:image/png;base64,{base64.b64encode(png).decode()}", "alt": text}
    if class_:
        attributes["class_"] = class_
    if size:
        attributes |= {"width": str(size[0]), "height": str(size[1])}
    return tag("img", **attributes)


def document(title: str, *body: Element) -> bytes:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", STYLE),
    )
    root = tag("html", head, tag("body", *body), lang="en")
    return f"<!DOCTYPE html>\n{tostring(root, encoding='unicode', method='html')}\n".encode()
