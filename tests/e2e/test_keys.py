"""Who may call, for what, and whose credentials travel where."""

from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256

import msgspec
import pytest

from tests.support import gateway, http1, plain, stage
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, DIALECTS, OPENAI, TEXT, Dialect
from tests.support.gateway import Gateway, GatewayStarter
from tests.support.stage import Stage

ALL, FEW, HASHED = "sk-caller-everything-1", "sk-caller-few-models-2", "sk-caller-hashed-3"
OF_OPENAI, OF_ANTHROPIC = "sk-upstream-openai-4", "sk-upstream-anthropic-5"

CONFIG = """
[server]
log_format = "json"

[[keys]]
name = "all"
secret = "{ALL}"

[[keys]]
name = "few"
secret = "{FEW}"
models = ["claude-*", "team"]

[[keys]]
name = "hashed"
sha256 = "{digest}"

[[providers]]
name = "openai"
type = "openai"
base_url = "{openai}"
api_key = "{OF_OPENAI}"
models = ["gpt-4.1-mini", "gpt-secret-project"]

[[providers]]
name = "anthropic"
type = "anthropic"
base_url = "{anthropic}"
api_key = "{OF_ANTHROPIC}"
models = ["claude-haiku-4-5"]

[[models]]
name = "team"
targets = ["openai/gpt-4.1-mini"]
"""


@dataclass(frozen=True)
class Guarded:
    """A gateway that asks for keys, and the upstreams behind it."""

    gateway: Gateway
    stages: Mapping[str, Stage]

    @property
    def url(self) -> str:
        return self.gateway.base_url


@pytest.fixture(scope="module")
def running_guarded(tmp_path_factory: pytest.TempPathFactory) -> Generator[Guarded, None, None]:
    with ExitStack() as stack:
        stages = {each.name: stack.enter_context(stage.running()) for each in DIALECTS}
        config = CONFIG.format(
            **{name: each.base_url for name, each in stages.items()},
            ALL=ALL,
            FEW=FEW,
            digest=sha256(HASHED.encode()).hexdigest(),
            OF_OPENAI=OF_OPENAI,
            OF_ANTHROPIC=OF_ANTHROPIC,
        )
        running = gateway.running(config, tmp_path_factory.mktemp("guarded"))
        yield Guarded(stack.enter_context(running), stages)


@pytest.fixture
def guarded(running_guarded: Guarded) -> Guarded:
    """Everybody would answer."""
    for dialect in DIALECTS:
        running_guarded.stages[dialect.name].play([http1.answer(200, dialect.answer())])
    return running_guarded


CALLERS = pytest.mark.parametrize("caller", DIALECTS, ids=str)

FORMS: dict[str, tuple[str, dict[str, str]]] = {
    "bearer": ("", {"authorization": f"Bearer {ALL}"}),
    "bearer in other letters": ("", {"Authorization": f"bearer {ALL}"}),
    "x-api-key": ("", {"X-Api-Key": ALL}),
    "x-goog-api-key": ("", {"x-goog-api-key": ALL}),
    "parameter": (f"?key={ALL}", {}),
    "parameter among others": (f"?beta=true&key={ALL}", {}),
    "the right one of two": ("", {"x-api-key": "dummy", "authorization": f"Bearer {ALL}"}),
    "known by its hash": ("", {"x-api-key": HASHED}),
}


@pytest.mark.parametrize("form", FORMS)
@CALLERS
def test_a_key_may_come_in_any_form(guarded: Guarded, caller: Dialect, form: str):
    query, headers = FORMS[form]
    answer = plain.post(guarded.url, caller.path + query, caller.ask(caller.model), headers)
    assert answer.status == 200, answer.body
    assert caller.text_of(answer.body) == TEXT


WRONG: dict[str, dict[str, str]] = {
    "none": {},
    "unknown": {"authorization": "Bearer sk-caller-nobody"},
    "empty": {"authorization": "Bearer "},
    "a part": {"x-api-key": ALL[:-1]},
    "more": {"x-api-key": ALL + "1"},
    "basic": {"authorization": f"Basic {ALL}"},
    "a provider's": {"authorization": f"Bearer {OF_OPENAI}"},
    "not ASCII": {"x-api-key": "sk-cällér"},
}

DOORS = {
    "chat": (OPENAI, "POST", "/v1/chat/completions"),
    "messages": (ANTHROPIC, "POST", "/v1/messages"),
    "count_tokens": (ANTHROPIC, "POST", "/v1/messages/count_tokens"),
    "models": (OPENAI, "GET", "/v1/models"),
    "model": (OPENAI, "GET", "/v1/models/team"),
    "alias": (OPENAI, "POST", "/models/v1/chat/completions"),
}


@case(102)
@pytest.mark.parametrize("key", WRONG)
@pytest.mark.parametrize("door", DOORS)
def test_without_a_key_of_the_gateway_nobody_comes_in(guarded: Guarded, door: str, key: str):
    dialect, method, path = DOORS[door]
    body = dialect.ask(dialect.model) if method == "POST" else None
    answer = plain.request(guarded.url, method, path, body, WRONG[key])
    told = dialect.told(answer.body)
    assert (answer.status, told.type) == (401, "authentication_error")
    for secret in (ALL, FEW, HASHED, OF_OPENAI, OF_ANTHROPIC, "sk-caller-nobody"):
        assert secret not in told.message
    assert not any(each.requests for each in guarded.stages.values())


def test_a_key_is_asked_for_on_the_unix_socket_too(guarded: Guarded):
    answer = plain.post(guarded.gateway.unix_address, OPENAI.path, OPENAI.ask(OPENAI.model))
    assert answer.status == 401


@CALLERS
def test_a_key_allows_what_it_names_and_no_more(guarded: Guarded, caller: Dialect):
    headers = {"authorization": f"Bearer {FEW}"}
    asked = {
        model: plain.post(guarded.url, caller.path, caller.ask(model), headers)
        for model in ("claude-haiku-4-5", "team", "gpt-4.1-mini", "openai/gpt-4.1-mini")
    }
    assert [each.status for each in asked.values()] == [200, 200, 403, 403]
    told = caller.told(asked["gpt-4.1-mini"].body)
    assert told.type == "permission_error"
    assert "'gpt-4.1-mini'" in told.message


@CALLERS
def test_a_model_that_is_not_there_does_not_betray_others(guarded: Guarded, caller: Dialect):
    headers = {"authorization": f"Bearer {FEW}"}
    answer = plain.post(guarded.url, caller.path, caller.ask("gpt-secret-projekt"), headers)
    assert answer.status == 404
    assert caller.told(answer.body).type == "not_found_error"
    assert b"gpt-secret-project" not in answer.body


@case(109)
@pytest.mark.parametrize(
    "headers", [{}, {"anthropic-version": "2023-06-01"}], ids=["openai", "anthropic"]
)
def test_lists_hold_what_the_key_allows(guarded: Guarded, headers: dict[str, str]):
    def ids(key: str) -> list[str]:
        answer = plain.get(guarded.url, "/v1/models", {**headers, "x-api-key": key})
        return sorted(row["id"] for row in msgspec.json.decode(answer.body)["data"])

    assert ids(FEW) == ["claude-haiku-4-5", "team"]
    assert ids(ALL) == [
        "claude-haiku-4-5",
        "gpt-4.1-mini",
        "gpt-secret-project",
        "modelmux/echo",
        "team",
    ]


@case(109)
@pytest.mark.parametrize(
    ("model", "status"), [("team", 200), ("claude-haiku-4-5", 200), ("gpt-4.1-mini", 404)]
)
def test_one_model_is_shown_if_the_key_allows_it(guarded: Guarded, model: str, status: int):
    answer = plain.get(guarded.url, f"/v1/models/{model}", {"x-api-key": FEW})
    assert answer.status == status


@case(101, 112)
@pytest.mark.parametrize("upstream", DIALECTS, ids=lambda dialect: f"from-{dialect}")
@CALLERS
def test_credentials_and_hosts_that_a_caller_names_do_not_travel(
    guarded: Guarded, caller: Dialect, upstream: Dialect
):
    headers = {
        "authorization": f"Bearer {ALL}",
        "x-api-key": "sk-ant-of-the-callers-own",
        "x-goog-api-key": "AIza-of-the-callers-own",
        "api-key": "azure-of-the-callers-own",
        "cookie": "session=of-the-callers-own",
        "proxy-authorization": "Basic of-the-callers-own",
        "openai-organization": "org-of-the-callers-own",
        "openai-project": "project-of-the-callers-own",
        "host": "of-the-callers-own.example",
        "x-forwarded-host": "of-the-callers-own.example",
        "x-portkey-custom-host": "http://of-the-callers-own.example",
        "x-modelmux-tags": "of-the-callers-own",
        "te": "trailers",
        "connection": "keep-alive, x-hop",
        "x-hop": "of-the-callers-own",
        "accept-encoding": "of-the-callers-own",
        "user-agent": "of-the-callers-own",
    }
    asked = caller.ask(
        upstream.model,
        api_base="http://of-the-callers-own.example",
        base_url="http://of-the-callers-own.example",
        api_key="sk-of-the-callers-own",
    )
    stage = guarded.stages[upstream.name]
    answer = plain.post(guarded.url, caller.path, asked, headers)
    assert answer.status == 200, answer.body
    request = stage.request
    assert b"of-the-callers-own" not in request.head
    assert ALL.encode() not in request.head + request.body
    assert request.header("host") == stage.base_url.removeprefix("http://")
    key = {
        "openai": ("authorization", f"Bearer {OF_OPENAI}"),
        "anthropic": ("x-api-key", OF_ANTHROPIC),
    }
    name, value = key[upstream.name]
    assert request.header(name) == value
    credentials = {"authorization", "x-api-key", "x-goog-api-key", "api-key"}
    assert {field.lower() for field, _ in request.headers} & credentials == {name}


SENTINEL = "proj-AbCdEf0123456789-sentinel"
STATUSES = [400, 401, 403, 404, 429, 500, 529]


@pytest.fixture(scope="module")
def chatty(
    tmp_path_factory: pytest.TempPathFactory, running_guarded: Guarded
) -> Generator[Gateway, None, None]:
    """A gateway with a provider for each dialect and status, all with the same key."""
    config = """
[server]
log_format = "json"
enable_retries = false
"""
    for dialect in DIALECTS:
        for status in STATUSES:
            config += f"""
[[providers]]
name = "{dialect.name}-{status}"
type = "{dialect.name}"
base_url = "{running_guarded.stages[dialect.name].base_url}"
api_key = "{SENTINEL}"
"""
    with gateway.running(config, tmp_path_factory.mktemp("chatty")) as running:
        yield running
    assert SENTINEL not in running.log


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("upstream", DIALECTS, ids=lambda dialect: f"from-{dialect}")
@CALLERS
def test_a_providers_key_is_not_told_even_if_the_provider_tells_it(
    chatty: Gateway, guarded: Guarded, caller: Dialect, upstream: Dialect, status: int
):
    body = upstream.error("some_error", f"Incorrect API key provided: {SENTINEL}. Try again.")
    guarded.stages[upstream.name].play([http1.answer(status, body, ("x-key", SENTINEL))])
    asked = caller.ask(f"{upstream.name}-{status}/m")
    answer = plain.post(chatty.base_url, caller.path, asked)
    assert answer.status >= 400
    assert SENTINEL.encode() not in answer.body
    assert SENTINEL not in str(answer.headers)


@CALLERS
def test_passthrough_sends_the_callers_own_key_and_none_of_ours(
    start_gateway: GatewayStarter, guarded: Guarded, caller: Dialect
):
    config = f"""
[[providers]]
name = "theirs"
type = "{caller.name}"
base_url = "{guarded.stages[caller.name].base_url}"
auth = "passthrough"
"""
    name, value = {
        "openai": ("authorization", "Bearer sk-callers-own-key"),
        "anthropic": ("x-api-key", "sk-callers-own-key"),
    }[caller.name]
    running = start_gateway(config)
    stage = guarded.stages[caller.name]
    plain.post(running.base_url, caller.path, caller.ask(f"theirs/{caller.model}"), {name: value})
    assert stage.request.header(name) == value
    refused = caller.error("authentication_error", "who are you?")
    stage.play([http1.answer(401, refused)])
    answer = plain.post(running.base_url, caller.path, caller.ask(f"theirs/{caller.model}"))
    assert (answer.status, caller.told(answer.body).type) == (401, "authentication_error")


@pytest.mark.parametrize("path", ["/health", "/healthz", "/readyz", "/metrics"])
def test_who_watches_needs_no_key_and_learns_none(guarded: Guarded, path: str):
    answer = plain.get(guarded.url, path)
    assert answer.status == 200
    for secret in (ALL, FEW, HASHED, OF_OPENAI, OF_ANTHROPIC):
        assert secret.encode() not in answer.body


# Two readers of one body must not disagree about the model that it asks for.
TWICE: dict[str, bytes] = {
    "the last is allowed": b'{"model":"gpt-secret-project","model":"claude-haiku-4-5"',
    "the first is allowed": b'{"model":"claude-haiku-4-5","model":"gpt-secret-project"',
    "one is escaped": b'{"model":"claude-haiku-4-5","mod\\u0065l":"gpt-secret-project"',
    "one is escaped, and first": b'{"mod\\u0065l":"gpt-secret-project","model":"claude-haiku-4-5"',
}


@pytest.mark.parametrize("how", TWICE)
@CALLERS
def test_a_model_that_is_named_twice_is_the_one_that_was_judged(
    guarded: Guarded, caller: Dialect, how: str
):
    body = TWICE[how] + b',"max_tokens":9,"messages":[{"role":"user","content":"hello"}]}'
    answer = plain.post(guarded.url, caller.path, body, {"x-api-key": FEW})
    requests = [each for stage in guarded.stages.values() for each in stage.requests]
    if answer.status == 200:
        (request,) = requests
        assert msgspec.json.decode(request.body)["model"] == "claude-haiku-4-5"
        assert request.body.count(b'"model"') == 1
        assert b"u0065" not in request.body
    else:
        assert answer.status == 403
        assert not requests


@pytest.mark.parametrize(
    "name",
    [
        "m\r\nx-evil: 1\r\n\r\n",
        "../../admin",
        "m?x=1#y",
        "m:streamRawPredict",
        "☂" * 50,
        " ",
        "m" * 400,
    ],
    ids=["line ends", "dots", "query", "verb", "umbrellas", "blank", "long"],
)
@CALLERS
def test_a_models_name_is_a_name_and_nothing_else(
    chatty: Gateway, guarded: Guarded, caller: Dialect, name: str
):
    asked = caller.ask(f"{caller.name}-404/{name}")
    answer = plain.post(chatty.base_url, caller.path, asked)
    assert answer.status == 200, answer.body
    assert "x-evil" not in answer.headers
    request = guarded.stages[caller.name].request
    assert request.target == caller.path
    assert request.header("x-evil") is None
    assert request.json()["model"] == name
