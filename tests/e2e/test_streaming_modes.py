"""In what form a client gets the stream it asked for, by what it says of itself."""

from collections.abc import Callable

import pytest

from tests.e2e.conftest import House
from tests.support import http1, plain, raw
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, DIALECTS, OPENAI, TEXT, WORDS, Dialect, events
from tests.support.gateway import Gateway, GatewayStarter
from tests.support.stage import Stage
from tests.support.upstream import Do, Gate

CALLERS = pytest.mark.parametrize("caller", DIALECTS, ids=str)
BOTH = pytest.mark.parametrize("upstream", DIALECTS, ids=lambda dialect: f"from-{dialect}")

SSE, JSON = "text/event-stream", "application/json"
SDK = {"accept": JSON, "x-stainless-lang": "python", "user-agent": "OpenAI/Python 3.51.0"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:151.0) Gecko/20100101 Firefox/151.0"
VSCODE = "Mozilla/5.0 AppleWebKit/537.36 Code/1.120.0 Chrome/150.0 Electron/42.0 Safari/537.36"

AS_ASKED: dict[str, dict[str, str]] = {
    "nobody": {},
    "anything": {"accept": "*/*"},
    "official SDK": SDK,
    "official SDK by its name": {"accept": JSON, "user-agent": "AsyncOpenAI/Python 3.51.0"},
    "asks for events": {"accept": SSE},
    "curl that asks for events": {"user-agent": "curl/8.16.0", "accept": SSE},
    "browser that asks for events": {"user-agent": FIREFOX, "accept": f"{SSE}, {JSON};q=0.5"},
    "somebody else": {"user-agent": "reqwest/0.13", "accept": "*/*"},
}

WHOLE: dict[str, dict[str, str]] = {
    "curl": {"user-agent": "curl/8.16.0", "accept": "*/*"},
    "wget": {"user-agent": "Wget/1.25.0"},
    "httpie": {"user-agent": "HTTPie/3.2.4", "accept": "application/json, */*;q=0.5"},
    "requests": {"user-agent": "python-requests/2.33", "accept": "*/*"},
    "goose": {"user-agent": "goose/1.9", "accept": "*/*"},
    "wants JSON": {"user-agent": "my-program/1", "accept": JSON},
}

IN_SENTENCES: dict[str, dict[str, str]] = {
    "firefox": {"user-agent": FIREFOX, "accept": "*/*"},
    "vscode": {"user-agent": VSCODE},
    "jetbrains": {"user-agent": "IntelliJ-IDEA/2026.3", "accept": "*/*"},
}

AT_ONCE: dict[str, dict[str, str]] = {
    "goose behind basebox": {"openai-organization": "Basebox-EU", "accept": "*/*"},
    "goose desktop": {"openai-project": "gui", "user-agent": "goose/1.9"},
}


def asked(
    house: House, caller: Dialect, upstream: Dialect, headers: dict[str, str]
) -> plain.Answer:
    """The answer to a client of those headers that asks for a stream."""
    house.behind(upstream).play(http1.stream(*upstream.frames()))
    body = caller.ask(f"{upstream.name}/{upstream.model}", stream=True)
    return plain.post(house.url, caller.path, body, headers)


def pieces(caller: Dialect, body: bytes) -> list[str]:
    """The texts of the single events."""
    texts = [
        caller.text_of_stream(b"event: %b\ndata: %b\n\n" % event)
        for event in events(body)
        if event[1] != b"[DONE]"
    ]
    return [text for text in texts if text]


@BOTH
@CALLERS
@pytest.mark.parametrize("client", AS_ASKED)
def test_most_get_it_as_it_comes(house: House, caller: Dialect, upstream: Dialect, client: str):
    answer = asked(house, caller, upstream, AS_ASKED[client])
    assert answer.headers["content-type"].startswith(SSE)
    assert "x-modelmux-streaming" not in answer.headers
    assert pieces(caller, answer.body) == list(WORDS)
    assert answer.body.endswith(caller.end)


@case(98)
@BOTH
@CALLERS
@pytest.mark.parametrize("client", WHOLE)
def test_tools_of_the_command_line_get_it_whole(
    house: House, caller: Dialect, upstream: Dialect, client: str
):
    answer = asked(house, caller, upstream, WHOLE[client])
    assert answer.headers["content-type"] == JSON
    assert answer.headers["x-modelmux-streaming"].startswith("json")
    assert SSE in answer.headers["x-modelmux-streaming"]
    assert caller.text_of(answer.body) == TEXT


@BOTH
@CALLERS
@pytest.mark.parametrize("client", IN_SENTENCES)
def test_browsers_and_editors_get_sentences(
    house: House, caller: Dialect, upstream: Dialect, client: str
):
    words = ("One sen", "tence. ", "And", " another", "! And a very long one without any end,")
    house.behind(upstream).play(http1.stream(*upstream.frames(words=words)))
    body = caller.ask(f"{upstream.name}/{upstream.model}", stream=True)
    answer = plain.post(house.url, caller.path, body, IN_SENTENCES[client])
    assert answer.headers["x-modelmux-streaming"].startswith("buffered")
    expected = ["One sentence. ", "And another! And a very long one without any end,"]
    assert pieces(caller, answer.body) == expected
    assert answer.body.endswith(caller.end)


@BOTH
@CALLERS
@pytest.mark.parametrize("client", AT_ONCE)
def test_goose_gets_a_stream_of_one_piece(
    house: House, caller: Dialect, upstream: Dialect, client: str
):
    answer = asked(house, caller, upstream, AT_ONCE[client])
    assert answer.headers["content-type"].startswith(SSE)
    assert pieces(caller, answer.body) == [TEXT]
    assert answer.body.endswith(caller.end)


@case(93)
@BOTH
@CALLERS
@pytest.mark.parametrize(
    "headers",
    [IN_SENTENCES["firefox"], AT_ONCE["goose behind basebox"]],
    ids=["buffered", "at once"],
)
def test_a_stream_that_breaks_does_so_in_every_form(
    house: House, caller: Dialect, upstream: Dialect, headers: dict[str, str]
):
    cut = [http1.stream_head(), *map(http1.chunk, upstream.frames()[:4]), Do.CLOSE]
    house.behind(upstream).play(cut)
    body = caller.ask(f"{upstream.name}/{upstream.model}", stream=True)
    answer = plain.post(house.url, caller.path, body, headers)
    assert caller.told_in_stream(answer.body) is not None
    assert caller.end not in answer.body


@CALLERS
def test_whole_answers_are_as_asked_whoever_asks(house: House, caller: Dialect):
    for headers in ({}, SDK, WHOLE["curl"], IN_SENTENCES["firefox"], AT_ONCE["goose desktop"]):
        house.behind(caller).play([http1.answer(200, caller.answer())])
        answer = plain.post(house.url, caller.path, caller.ask(caller.model), headers)
        assert answer.body == caller.answer()
        assert "x-modelmux-streaming" not in answer.headers


@pytest.fixture
def in_mode(start_gateway: GatewayStarter, house: House) -> Callable[[str], Gateway]:
    """Start a gateway before the house's upstreams, with another mode."""

    def start(streaming: str) -> Gateway:
        return start_gateway(
            f"""
[streaming]
{streaming}
[[providers]]
name = "openai"
type = "openai"
base_url = "{house.openai.base_url}"
api_key = "sk-upstream-openai-000"
"""
        )

    return start


MODES = {
    # Mode, then the form for an SDK, for curl and for a browser.
    "never": ("json", "json", "json"),
    "standard": ("", "", ""),
    "buffered": ("buffered", "buffered", "buffered"),
    "always": ("", "", ""),
    "non-streaming": ("json", "json", "json"),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_holds_for_everybody(
    in_mode: Callable[[str], Gateway], openai_stage: Stage, mode: str
):
    running = in_mode(f'mode = "{mode}"')
    openai_stage.play(http1.stream(*OPENAI.frames()))
    for caller in DIALECTS:
        body = caller.ask(f"openai/{OPENAI.model}", stream=True)
        clients = (SDK, WHOLE["curl"], IN_SENTENCES["firefox"])
        answers = [plain.post(running.base_url, caller.path, body, each) for each in clients]
        forms = [each.headers.get("x-modelmux-streaming", "") for each in answers]
        assert tuple(form.partition(";")[0] for form in forms) == MODES[mode]
        for answer, form in zip(answers, forms, strict=True):
            is_json = form.startswith("json")
            assert (answer.headers["content-type"] == JSON) == is_json
            said = caller.text_of if is_json else caller.text_of_stream
            assert said(answer.body) == TEXT
    openai_stage.play([http1.answer(200, OPENAI.answer())])
    unasked = plain.post(running.base_url, OPENAI.path, OPENAI.ask(OPENAI.model))
    assert unasked.headers["content-type"] == JSON


@pytest.fixture
def openai_stage(house: House) -> Stage:
    return house.openai


def test_what_is_buffered_is_not_held_for_ever(
    in_mode: Callable[[str], Gateway], openai_stage: Stage
):
    running = in_mode('mode = "buffered"\nchunk_timeout_ms = 100')
    role, word, *rest = [http1.chunk(frame) for frame in OPENAI.frames()]
    gate = Gate()
    openai_stage.play([http1.stream_head(), role, word, gate, *rest, http1.LAST_CHUNK])
    asked = ANTHROPIC.ask(f"openai/{OPENAI.model}", stream=True)
    with raw.posted(running.base_url, ANTHROPIC.path, asked) as exchange:
        exchange.read_until(WORDS[0].encode())
        gate.open()
        assert ANTHROPIC.text_of_stream(exchange.read_rest()) == TEXT
