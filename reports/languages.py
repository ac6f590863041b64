"""Both languages side by side: what a template says in English and in Chinese, and the page shows in one of them.

A sentence becomes ``<span class="l" lang="en">..</span><span class="l" lang="zh">..</span>``; the stylesheet hides one by ``html[data-lang]``.
Every value and every sentence is escaped here. Text of records and sources is not translated: templates mark it ``lang="en"``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from harness.words import LANGUAGES, catalogue

if TYPE_CHECKING:
    from markupsafe import Markup

    from harness.decide.terms import Note

OURS = "r-"
"""Keys of the report begin with this."""


def sentences(key: str, values: Mapping[str, Any]) -> dict[str, Markup]:
    """The sentence `key` by language, escaped. A value that is a mapping by language is put in by language. Raises KeyError for an unknown key."""
    from markupsafe import Markup, escape

    found = {}
    for language in LANGUAGES:
        own = {name: escape(value[language] if isinstance(value, Mapping) else value) for name, value in values.items()}
        found[language] = Markup(escape(catalogue()[key][language]).format(**own))  # noqa: S704 - both parts are escaped
    return found


def both(texts: Mapping[str, Any]) -> Markup:
    """`texts` by language as two spans, or one piece of text where the languages agree."""
    from markupsafe import Markup, escape

    parts = [escape(texts[language]) for language in LANGUAGES]
    if len(set(parts)) == 1:
        return parts[0]
    return Markup("").join(
        Markup('<span class="l" lang="{}">{}</span>').format(language, part) for language, part in zip(LANGUAGES, parts, strict=True)
    )


def t(key: str, **values: Any) -> Markup:
    """The sentence `key` in both languages."""
    return both(sentences(key, values))


def note(one: Note) -> Markup:
    """A `Note` in both languages."""
    return both(sentences(one.key, one.values))


def attr(into: str, key: str, **values: Any) -> Markup:
    """Attributes of an element that say `key`: `into` (such as "title" or "aria-label title") in English, and both languages for the script."""
    from markupsafe import Markup

    said = sentences(key, values)
    return attr_of(into, said) if said["en"] != said["zh"] else Markup(" ").join(Markup('{}="{}"').format(one, said["en"]) for one in into.split())


def attr_of(into: str, said: Mapping[str, Any]) -> Markup:
    """As `attr`, of texts by language."""
    from markupsafe import Markup

    first = Markup(" ").join(Markup('{}="{}"').format(one, said["en"]) for one in into.split() if one != "text")
    return first + Markup(' data-en="{}" data-zh="{}" data-into="{}"').format(said["en"], said["zh"], into)


def attr_notes(into: str, notes: Sequence[Note]) -> Markup:
    """As `attr`, of several sentences."""
    from markupsafe import Markup

    found = [sentences(one.key, one.values) for one in notes]
    return attr_of(into, {language: Markup(" ").join(one[language] for one in found) for language in LANGUAGES})


def option(key: str, **values: Any) -> Markup:
    """What an element says that holds text only (an option): English inside, both languages for the script."""
    from markupsafe import Markup

    said = sentences(key, values)
    return Markup(' data-en="{}" data-zh="{}" data-into="text">{}').format(said["en"], said["zh"], said["en"])


class Words:
    """Words that stand many times in the page: English in the text, Chinese once in a list at its end, from which the script takes it."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], int] = {}

    def __call__(self, texts: Mapping[str, str]) -> Markup:
        """The end of an element's opening tag, and its English text."""
        from markupsafe import Markup

        pair = (str(texts["en"]), str(texts["zh"]))
        if pair[0] == pair[1]:
            return Markup(">{}").format(pair[0])
        return Markup(' data-w="{}">{}').format(self.place(*pair), pair[0])

    def sentence(self, key: str, values: Sequence[tuple[str, Sequence[Mapping[str, str]]]]) -> Markup:
        """As a call, of a sentence of the catalogue with blanks: the list holds it with its blanks numbered, the element what is put into them.

        A value is one or more texts by language, joined by commas; one that has two languages is given by its number in the list: "~12".
        """
        from markupsafe import Markup

        english = catalogue()[key]["en"].format(**{name: ", ".join(one["en"] for one in parts) for name, parts in values})
        blanks = {name: f"{{{at}}}" for at, (name, _) in enumerate(values)}
        place = self.place(*(catalogue()[key][language].format(**blanks) for language in ("en", "zh")))
        given = "|".join(", ".join(self._value(one) for one in parts) for _, parts in values)
        return Markup(' data-w="{}" data-v="{}">{}').format(place, given, english)

    def _value(self, one: Mapping[str, str]) -> str:
        same = one["en"] == one["zh"] and not set("|~") & set(one["en"])
        return one["en"] if same else f"~{self.place(one['en'], one['zh'])}"

    def place(self, english: str, chinese: str) -> int:
        """The number of a pair; a new one is added."""
        return self._places.setdefault((english, chinese), len(self._places))

    def list(self) -> list[tuple[str, str]]:
        """English and Chinese, in the order of their numbers."""
        return list(self._places)


@cache
def _english() -> dict[str, str]:
    """English sentence -> key, of the report's own entries."""
    return {texts["en"].replace("\u00a0", " "): key for key, texts in catalogue().items() if key.startswith(OURS)}


def tr(text: str, *, bare: bool = False) -> Markup:
    """A word that the code says in English, in both languages where the catalogue has it; else as it is, marked as English unless `bare`."""
    from markupsafe import Markup, escape

    key = _english().get(text.replace("\u00a0", " "))
    if key:
        return t(key)
    if bare:
        return escape(text)
    return Markup('<span lang="en">{}</span>').format(text) if text else Markup("")


def plain(key: str) -> dict[str, str]:
    """The sentence `key` by language, for `Words`."""
    return {language: catalogue()[key][language] for language in LANGUAGES}


def word_texts(text: str) -> dict[str, str]:
    """A word that the code says in English, by language."""
    key = _english().get(text)
    return {language: catalogue()[key][language] if key else text for language in LANGUAGES}


def tr_attr(into: str, text: str) -> Markup:
    """As `attr`, of a word that the code says in English."""
    from markupsafe import Markup

    key = _english().get(text.replace("\u00a0", " "))
    return attr(into, key) if key else Markup(" ").join(Markup('{}="{}"').format(one, text) for one in into.split())


HELPERS = {
    "t": t, "tr": tr, "both": both, "note": note, "attr": attr, "attr_of": attr_of, "attr_notes": attr_notes, "tr_attr": tr_attr, "option": option,
    "text": plain, "word_texts": word_texts,
}  # fmt: skip
"""What every template may call."""
