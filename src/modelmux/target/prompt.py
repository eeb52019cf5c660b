"""What a prompt is about, guessed from its words: language, code, images.

Guesses are for choosing among targets that could all answer. They look at the last thing that was
asked, and at so much of it that a long document costs no more than a short one.
"""

import re
from collections.abc import Mapping
from typing import Final

from modelmux.ir.parts import Blob, File, Part, Text, ToolResult, Uri
from modelmux.ir.request import Request

MAX_CHARS: Final = 4000
"""How much of a question is looked at: a page says as much of its language as a book."""

MIN_SCRIPT_SHARE: Final = 0.2
"""Share of letters in a script from which on it is the question's. English words stand in all."""

_SCRIPTS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    # Kana before Han: Japanese is written with both.
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af\u1100-\u11ff]")),
    ("zh", re.compile("[\u4e00-\u9fff\u3400-\u4dbf]")),
    ("uk", re.compile("[іїєґІЇЄҐ]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
)
_LEAST: Final[Mapping[str, float]] = {"ja": 0.05, "uk": 0.02}
"""Other shares: a few kana make Japanese of Han, and few of Ukrainian's letters are its own."""

_WORDS: Final[Mapping[str, frozenset[str]]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the and is are of to in that what how for with you this please write can be it was",
        "de": "der die das und ist nicht ein eine wie was ich mit für auf zu",  # codespell:ignore
        "fr": "le la les et est une des pour que dans qui avec sur pas vous je ce comment du un",
        "es": "el los las y es una para que con por como del se lo mi qué cómo esta no un",
        "it": "il lo gli e è una per che con di come non sono questo della cosa mi un nel si",
        "pt": "o os e é uma para que com por como não do da em um isso seu",  # codespell:ignore
        "nl": "de het een en is van niet dat wat hoe ik met voor op zijn je er te aan dit",
        "pl": "i w nie na się jest że do jak co to z dla czy o są mi tego przez jaki",
        "sv": "och är att det en ett som på av för med inte hur vad jag du",  # codespell:ignore
        "tr": "ve bir bu için ne ile da de mi çok bana var olarak daha gibi",  # codespell:ignore
    }.items()
}
_WORD: Final = re.compile(r"[^\W\d_]+")
_LETTER: Final = re.compile(r"[^\W\d_]")

_CODE: Final = re.compile(
    r"""```|~~~
    | Traceback\ \(most\ recent\ call\ last\)
    | ^\#!/
    | ^[ \t]*(?:
        (?:def|class)\ \w+.{0,200}:
      | (?:import|from)\ [\w.]+(?:\ import\ .{1,200})?
      | (?:public|private|protected|static|export|async)\ .{1,200}[{;]
      | (?:func|function|fn|impl|struct|enum|if|for|while)\b.{0,200}\{
      )[ \t]*$
    | ^[ \t]*(?:const|let|var)\ \w{1,80}\ *=
    | ^\#include\ *[<"]
    | ^[ \t]*(?:SELECT\ .{1,200}\ FROM|INSERT\ INTO|UPDATE\ \w{1,80}\ SET|CREATE\ TABLE)\b
    """,
    re.MULTILINE | re.VERBOSE,
)
"""Every repetition is bounded: the text is a caller's, and must not be slow to look at."""


def question(request: Request) -> str:
    """The text that the caller said last, as far as guesses look at it."""
    for message in reversed(request.messages):
        if message.role != "user":
            continue
        text = "\n".join(part.text for part in message.parts if isinstance(part, Text))
        if text.strip():
            return text[:MAX_CHARS]
    return ""


def language(text: str) -> str:
    """The language of `text` as an ISO 639-1 code; empty if it cannot be told."""
    letters = len(_LETTER.findall(text))
    if not letters:
        return ""
    for code, script in _SCRIPTS:
        if len(script.findall(text)) >= _LEAST.get(code, MIN_SCRIPT_SHARE) * letters:
            return code
    words = [word.lower() for word in _WORD.findall(text)]
    score, code = max(
        (sum(word in known for word in words), code) for code, known in _WORDS.items()
    )
    return code if score else ""


def has_code(text: str) -> bool:
    """Whether `text` has program code in it, or looks like it."""
    return _CODE.search(text) is not None


def has_images(request: Request) -> bool:
    """Whether an image stands anywhere in the conversation."""
    return any(_is_image(part) for message in request.messages for part in message.parts)


def _is_image(part: Part) -> bool:
    match part:
        case Blob(modality="image") | Uri(modality="image") | File(modality="image"):
            return True
        case ToolResult(parts=parts):
            return any(_is_image(inner) for inner in parts)
        case _:
            return False
