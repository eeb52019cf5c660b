"""`modelmux chat`: one question from the terminal."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from modelmux.cli import control, output, parts
from modelmux.cli.failure import CommandFailed, Misused
from modelmux.cli.options import config_option, control_option, json_option, load_quietly
from modelmux.wire.framing import sse

ECHO = "modelmux/echo"
"""The model that is always there; it is asked only if there is no other, or by name."""

Show = Callable[[str], None]


class Answer(Struct, frozen=True):
    """What `--json` prints."""

    model: str
    text: str


@click.command("chat")
@click.option("-m", "--model", default="", metavar="MODEL", help="Who is to answer.")
@config_option
@control_option
@json_option
@click.argument("prompt", nargs=-1)
def command(
    prompt: tuple[str, ...], *, model: str, config: Path | None, control: Path | None, as_json: bool
) -> int:
    """Ask PROMPT (or, if it is - or left out, what comes on stdin) and print the answer.

    A running gateway answers; if none runs, or --config is given, this process does.
    """
    asked = question(prompt)
    gateway = None if config else _running(control)
    texts: list[str] = []

    def show(text: str) -> None:
        texts.append(text)
        if not as_json:
            click.echo(text, nl=False)

    if gateway is None:
        model = asyncio.run(_ask_here(config, model, asked, show))
    else:
        model = model or choose(gateway.models())
        for text in deltas(gateway.chat(model, asked)):
            show(text)
    if as_json:
        output.echo_json(Answer(model, "".join(texts)))
    elif not "".join(texts).endswith("\n"):
        click.echo()
    return 0


def question(words: tuple[str, ...]) -> str:
    """What is asked: the arguments, or all of stdin.

    Raises:
        Misused: There is neither.
    """
    text = " ".join(words)
    if text and text != "-":
        return text
    if not text and sys.stdin.isatty():
        raise Misused("expected a question", hint='modelmux chat "What is the capital of France?"')
    text = sys.stdin.read()
    if not text.strip():
        raise Misused("expected a question on stdin, which was empty")
    return text


def choose(models: Iterable[str]) -> str:
    """The model to ask when none was named: the first that is more than an echo."""
    found = list(models)
    return next((model for model in found if model != ECHO), ECHO)


def _running(chosen: Path | None) -> control.Gateway | None:
    if chosen is not None:
        return control.Gateway(chosen)
    found = control.running()
    return control.find() if len(found) > 1 else found[0][0] if found else None


async def _ask_here(config: Path | None, model: str, prompt: str, show: Show) -> str:
    """Let a gateway in this process answer; the model that did."""
    loaded = load_quietly(config)
    async with parts.build(loaded) as gateway:
        model = model or loaded.config.routing.default or choose(row.id for row in gateway.models())
        async for text in gateway.chat_stream(model, prompt):
            show(text)
    return model


class _Delta(Struct, frozen=True):
    content: str | None = None


class _Choice(Struct, frozen=True):
    delta: _Delta = _Delta()


class _Failure(Struct, frozen=True):
    message: str = "the answer broke off"


class _Chunk(Struct, frozen=True):
    choices: tuple[_Choice, ...] = ()
    error: _Failure | None = None


def deltas(chunks: Iterable[bytes]) -> Iterator[str]:
    """The texts of a streamed OpenAI chat completion.

    Raises:
        CommandFailed: The stream says that it failed, or ends before it is finished.
    """
    decoder = sse.Decoder()
    finished = False
    for chunk in chunks:
        for event in decoder.feed(chunk):
            if event.data == b"[DONE]":
                finished = True
            elif event.event != sse.COMMENT:
                yield from _texts(event.data)
    if not finished:
        raise CommandFailed("the answer ended before it was finished")


def _texts(data: bytes) -> Iterator[str]:
    try:
        chunk = msgspec.json.decode(data, type=_Chunk)
    except msgspec.DecodeError as exc:
        raise CommandFailed(f"the answer is not a chat completion: {exc}") from None
    if chunk.error is not None:
        raise CommandFailed(chunk.error.message)
    for choice in chunk.choices:
        if choice.delta.content:
            yield choice.delta.content
