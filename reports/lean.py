"""A file that says nothing twice: sentences that stand many times are kept once, in the list of words, and white space that says nothing goes."""

from __future__ import annotations

import html
import re
from collections import Counter

from reports.languages import Words

_INDENT = re.compile(r"\n[ \t]+(?=<(?:t[dhr]|li|dd|dt|div|/))")
"""White space before these says nothing, and there is much of it."""
_ENDS = re.compile(r"</(?:t[dhr]|li|d[dt])>(?=\s*<(?:t[dhr]|li|d[dt]|/t[rh]|/tbody|/thead|/[uo]l|/dl)[ >])")
"""End tags that HTML lets one leave out."""
_PAIR = re.compile(r'<span class="l" lang="en">([^<]*)</span><span class="l" lang="zh">([^<]*)</span>')
_ATTRIBUTE = re.compile(r' data-en="([^"]*)" data-zh="([^"]*)" data-into="([\w -]+)"')
_DRAWING = re.compile(r'<svg class="[a-z]*" viewBox="[\d. ]+" aria-hidden="true" focusable="false">.*?</svg>', re.DOTALL)
_STYLE = re.compile(r' style="([^"<>{}]*)"')
_ONLY = re.compile(r'<(th|td|dt|dd|h[1-4]|b|summary|button|span)((?: (?!data-[wv])[\w-]+="[^"<>]*")*)><span( data-w="\d+">[^<]*)</span>(?=</\1>)')
"""An element that holds nothing but one word of the list: it can carry the number itself."""
_TEMPLATE = re.compile(r"(<template\b.*?</template>)", re.DOTALL)
"""What is in one is no part of the document until a script copies it: its words stay as they are."""


def lean(page: str, words: Words) -> str:
    """`page` without what says nothing. What is said twice or more moves to `words`, to which the script has to be given afterwards.

    All text of records and sources is escaped before it comes here, so that none of it can look like one of the pairs that are sought.
    """
    head, body_tag, body = page.partition("<body>")
    pieces = _TEMPLATE.split(body)
    outside = pieces[::2]
    counts = Counter(one.groups() for piece in outside for one in _PAIR.finditer(piece))
    counts.update(one.groups()[:2] for piece in outside for one in _ATTRIBUTE.finditer(piece))

    def place(found: re.Match[str]) -> int | None:
        pair = found[1], found[2]
        return words.place(html.unescape(pair[0]), html.unescape(pair[1])) if counts[pair] > 1 else None

    def span(found: re.Match[str]) -> str:
        at = place(found)
        return found[0] if at is None else f'<span data-w="{at}">{found[1]}</span>'

    def attribute(found: re.Match[str]) -> str:
        at = place(found)
        return found[0] if at is None else f' data-a="{at} {found[3]}"'

    pieces[::2] = [_ONLY.sub(r"<\1\2\3", _ATTRIBUTE.sub(attribute, _PAIR.sub(span, piece))) for piece in outside]
    body, rules = _drawings("".join(pieces))
    head = head.replace("</style>", rules + "</style>", 1)
    return _ENDS.sub("", _INDENT.sub("\n", head + body_tag + body))


def _drawings(body: str) -> tuple[str, str]:
    """`body` with the styles of its drawings as classes, and the rules of these. A drawing carries the same few styles hundreds of times."""
    places: dict[str, int] = {}

    def named(found: re.Match[str]) -> str:
        return f' class="v{places.setdefault(found[1], len(places))}"'

    made = _DRAWING.sub(lambda found: _STYLE.sub(named, found[0]), body)
    return made, "".join(f".v{at}{{{style}}}\n" for style, at in places.items())
