import asyncio
from collections.abc import Mapping
from decimal import Decimal

import pytest

from modelmux.config.providers import MAX_TARIFFS, Builder, Built, Clocks
from modelmux.config.rows import Price, ProviderModel
from modelmux.config.schema import Auth, Config, KeyLimits, Limits, Provider, Vertex, VertexModel
from modelmux.errors import ConfigError, Interrupted
from modelmux.ir.response import Usage
from modelmux.provider import catalog, quota
from modelmux.provider.admission import Rules
from modelmux.provider.model import Host, ModelTarget
from modelmux.provider.offer import Offering
from modelmux.target.base import Target
from modelmux.transport.base import Timeouts
from tests.support.targets import FakeClock


class Making:
    """Builds providers, and keeps what they were wrapped with."""

    def __init__(
        self,
        *providers: Provider,
        config: Config | None = None,
        earlier: Built | None = None,
    ) -> None:
        self.wrapped: list[str] = []
        clock = FakeClock()

        def wrap(target: Target, provider: Provider) -> Target:
            self.wrapped.append(target.name)
            return target

        builder = Builder(catalog.load(), Clocks(clock, clock, clock.later), wrap, earlier)
        self.built: Built = builder.add_all(config or Config(providers=providers))

    @property
    def offer(self) -> Offering:
        (offer,) = self.built.offers
        return offer

    @property
    def host(self) -> Host:
        (host,) = self.built.hosts
        return host

    def model(self, name: str) -> ModelTarget:
        target = self.offer.target(name)
        assert isinstance(target, ModelTarget)
        return target

    def head(self, name: str, wire: str, *, stream: bool = False) -> str:
        """The request line and the fields with which a model is asked."""
        target = self.model(name)
        endpoint = target._host.endpoint
        return endpoint.head(wire, "chat", stream=stream, model=target.upstream).decode()


def openai(name: str = "openai", **more: object) -> Provider:
    said: dict[str, object] = {"type": "openai", "api_key": "sk-1", **more}
    return Provider(name=name, **said)  # type: ignore[arg-type]


def google(**more: object) -> Provider:
    said: dict[str, object] = {"type": "vertex", "project": "proj", "region": "europe-west1"}
    return Provider(name="claude", **{**said, **more})  # type: ignore[arg-type]


def refusal(*providers: Provider, config: Config | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        Making(*providers, config=config)
    return f"{caught.value.message} | {caught.value.hint}"


# Offers


def test_every_provider_is_an_offer_in_the_order_of_the_file():
    made = Making(openai("b", priority=2), openai("a"))
    assert [(offer.name, offer.priority) for offer in made.built.offers] == [("b", 2), ("a", 1)]


def test_a_provider_offers_the_models_that_it_is_said_to_and_no_others():
    offer = Making(openai(models=("gpt-5.4", "o3-*", ProviderModel(name="mine")))).offer
    assert offer.models == ("gpt-5.4", "mine")
    assert offer.matches("o3-mini")
    assert offer.exact("gpt-5") is None
    assert not offer.takes_any


def test_a_provider_of_which_nothing_is_said_offers_what_the_catalogue_knows_and_any_other():
    offer = Making(openai()).offer
    assert "gpt-5.4" in offer.models
    assert offer.takes_any
    assert not offer.matches("llama")  # but only if it is asked for by name


def test_a_server_of_unknown_models_takes_whatever_it_is_asked_for():
    local = Provider(name="local", type="openai_compatible", base_url="http://127.0.0.1:8000")
    offer = Making(local).offer
    assert offer.models == ()
    assert offer.matches("anything/at-all")


def test_models_are_called_by_their_own_names_upstream():
    made = Making(openai(models=("gpt-5.4", ProviderModel(name="fast", upstream="gpt-5.4-mini"))))
    assert made.model("fast").name == "openai/fast"
    assert made.model("fast").upstream == "gpt-5.4-mini"
    assert made.model("gpt-5.4").upstream == "gpt-5.4"


def test_targets_are_wrapped_once():
    made = Making(openai(models=("a", "b-*")))
    assert made.model("a") is made.model("a")
    made.model("b-1")
    made.model("b-1")
    assert sorted(made.wrapped) == [
        "openai/a",
        "openai/b-1",
        "openai/batches",
        "openai/files",
        "openai/responses",
    ]


def test_what_a_provider_keeps_is_offered_by_wire_and_operation():
    made = Making(openai(priority=3))
    kept = made.built.accounts["openai.chat", "files"]
    assert [(priority, target.name) for priority, target in kept] == [(3, "openai/files")]
    assert ("anthropic.messages", "files") not in made.built.accounts


# Prices and profiles


def test_a_price_that_is_said_wins_over_the_catalogues():
    price = Price(input=Decimal(1), output=Decimal(2), cache_read=Decimal("0.1"))
    built = Making(openai(models=("gpt-5.4", ProviderModel(name="mine", price=price)))).built
    mine = built.price("openai/mine")
    assert mine is not None
    assert (mine.input, mine.output, mine.cache_read) == (1, 2, Decimal("0.1"))
    assert built.price("openai/gpt-5.4") == catalog.load().price("openai", "gpt-5.4")


def test_a_model_under_another_name_costs_what_it_costs_upstream():
    built = Making(openai(models=(ProviderModel(name="fast", upstream="gpt-5.4-mini"),))).built
    assert built.price("openai/fast") == catalog.load().price("openai", "gpt-5.4-mini")


@pytest.mark.parametrize("target", ["openai/unheard-of", "nobody/gpt-5.4", "gpt-5.4", ""])
def test_what_is_not_known_has_no_price(target: str):
    built = Making(openai()).built
    assert built.price(target) is None
    assert built.tariff(target) is None


@pytest.mark.parametrize("rate", ["-1", "NaN", "Infinity"])
def test_what_is_no_price_is_refused_by_name(rate: str):
    model = ProviderModel(name="mine", price=Price(input=Decimal(rate)))
    said = refusal(openai(models=(model,)))
    assert said.startswith("providers.openai: models: the price of 'mine': input must be 0 or more")


def test_tariffs_are_kept_and_have_an_end():
    built = Making(openai()).built
    tariff = built.tariff("openai/gpt-5.4")
    assert tariff is not None
    assert tariff is built.tariff("openai/gpt-5.4")
    assert tariff.cost_usd(Usage(1000)) == Decimal("0.0025")
    for number in range(MAX_TARIFFS + 10):
        built.tariff(f"openai/unheard-of-{number}")
        assert len(built._tariffs) <= MAX_TARIFFS


def test_what_is_said_of_a_model_wins_over_the_catalogue():
    said = ProviderModel(name="gpt-5.4", context=1000, max_output=100)
    built = Making(openai(models=(said, "gpt-5.4-mini"))).built
    profile = built.profile("openai/gpt-5.4")
    assert profile is not None
    assert (profile.context_tokens, profile.max_output_tokens) == (1000, 100)
    assert built.profile("openai/gpt-5.4-mini") == (
        catalog.load().profile("openai", "gpt-5.4-mini")
    )
    assert built.profile("nobody/m") is None


# Hosts


def test_a_host_is_what_the_provider_says():
    provider = openai(
        base_url="https://gateway.invalid/openai",
        headers={"x-team": "a"},
        connect_timeout_s=1.0,
        first_byte_timeout_s=2.0,
        idle_timeout_s=3.0,
    )
    made = Making(provider)
    assert made.host.name == "openai"
    assert [wire.name for wire in made.host.wires] == [
        "openai.chat",
        "openai.responses",
        "openai.completions",
    ]
    assert made.host.timeouts == Timeouts(1.0, 2.0, 3.0)
    assert made.host.passthrough is None
    head = made.head("gpt-5.4", "openai.chat")
    assert head.startswith("POST /openai/v1/chat/completions HTTP/1.1\r\nhost: gateway.invalid\r\n")
    assert "x-team: a\r\n" in head


def test_every_key_is_in_the_ring_in_the_order_written():
    ring = Making(openai(api_keys=("sk-2", "", "sk-3"))).host.ring
    blocks = [key.credential.block() for key in ring.keys]
    assert blocks == [f"authorization: Bearer sk-{n}\r\n".encode() for n in (1, 2, 3)]


def test_a_provider_has_its_own_way_to_be_shown_a_key():
    anthropic = Provider(name="a", type="anthropic", api_key="sk-ant")
    ring = Making(anthropic).host.ring
    assert ring.keys[0].credential.block() == b"x-api-key: sk-ant\r\n"


def test_a_provider_that_needs_no_key_has_none():
    local = Provider(name="local", type="ollama")
    assert Making(local).host.ring.keys[0].credential.block() == b""


def test_a_key_in_a_header_of_the_providers_is_one():
    provider = Provider(name="a", type="openai", headers={"Authorization": "Bearer own"})
    made = Making(provider)
    assert made.host.ring.keys[0].credential.block() == b""
    assert "authorization: Bearer own\r\n" in made.head("gpt-5.4", "openai.chat")


def test_places_at_one_origin_share_its_connections():
    made = Making(openai("a"), openai("b", base_url="https://api.openai.com/other"))
    first, second = made.built.hosts
    assert first.client is second.client
    assert len(made.built.clients) == 1


def test_who_trusts_otherwise_has_connections_of_its_own():
    made = Making(openai("a"), openai("b", verify=False), openai("c", ca_file="/nowhere/ca.pem"))
    assert len({id(host.client) for host in made.built.hosts}) == 3


def test_connections_are_told_by_provider():
    made = Making(openai("a"), openai("b", base_url="http://127.0.0.1:1"))
    assert [(name, counters.open) for name, counters in made.built.connections()] == [
        ("a", 0),
        ("b", 0),
    ]


def test_a_limit_holds_for_all_models_of_a_provider_together():
    said = Limits(requests_per_minute=60, concurrency=3, max_wait_s=5.0, learn=False)
    made = Making(
        openai("a", models=("m", "n"), limits=said, key_limits=KeyLimits(tokens_per_minute=9)),
        openai("b"),
    )
    first, second = made.built.admissions
    targets = [made.built.offers[0].target(name) for name in ("m", "n")]
    assert all(isinstance(each, ModelTarget) for each in targets)
    assert {each._host.admission for each in targets} == {first}  # type: ignore[attr-defined]
    assert first._rules == Rules(
        quota.Limits(60, 0, 3), quota.Limits(0, 9, 0), max_wait_s=5.0, learns=False
    )
    assert second._rules == Rules()


def test_closing_closes_every_connection_and_credential():
    async def run() -> None:
        made = Making(openai("a"), openai("b", base_url="http://127.0.0.1:1"), google())
        await made.built.aclose()
        for client in made.built.clients.values():
            assert client.counters.open == 0

    asyncio.run(run())


# The caller's own credentials


def passed(type_: str, headers: Mapping[str, str]) -> bytes:
    host = Making(Provider(name="p", type=type_, auth="passthrough")).host
    assert host.passthrough is not None
    return host.passthrough(headers)


@pytest.mark.parametrize(
    ("type_", "headers", "expected"),
    [
        ("openai", {"authorization": "Bearer a"}, b"authorization: Bearer a\r\n"),
        ("openai", {"x-api-key": "a"}, b"authorization: Bearer a\r\n"),
        ("openai", {"authorization": "Bearer a", "x-api-key": "b"}, b"authorization: Bearer a\r\n"),
        ("anthropic", {"x-api-key": "a"}, b"x-api-key: a\r\n"),
        ("anthropic", {"authorization": "Bearer oauth"}, b"authorization: Bearer oauth\r\n"),
        ("anthropic", {"authorization": "Bearer a", "x-api-key": "b"}, b"x-api-key: b\r\n"),
        ("openai", {}, b""),
        ("anthropic", {}, b""),
        ("openai", {"authorization": "Bearer a\r\nx-evil: 1"}, b""),
        ("anthropic", {"x-api-key": "é"}, b""),
        (
            "anthropic",
            {"x-api-key": "é", "authorization": "Bearer a"},
            b"authorization: Bearer a\r\n",
        ),
    ],
)
def test_the_callers_key_goes_where_the_provider_looks_for_it(
    type_: str, headers: dict[str, str], expected: bytes
):
    assert passed(type_, headers) == expected


# Vertex


def test_a_model_on_vertex_is_at_its_place():
    made = Making(google(models=("claude-haiku-4-5",)))
    assert made.head("claude-haiku-4-5", "anthropic.messages").startswith(
        "POST /v1/projects/proj/locations/europe-west1/publishers/anthropic/models/"
        "claude-haiku-4-5:rawPredict HTTP/1.1\r\nhost: europe-west1-aiplatform.googleapis.com\r\n"
    )


def test_a_snapshot_on_vertex_is_spelt_as_google_does():
    name = "claude-sonnet-4-5-20250929"
    made = Making(google(models=(name,)))
    assert made.model(name).upstream == "claude-sonnet-4-5@20250929"
    assert made.model(name).name == f"claude/{name}"


def test_vertex_ignores_case():
    assert Making(google(models=("Claude-Haiku",))).offer.exact("claude-HAIKU") == "Claude-Haiku"


def test_a_glob_on_vertex_is_where_the_others_are():
    made = Making(google(models=("claude-opus-*",)))
    assert made.offer.models == ()
    assert made.offer.matches("claude-opus-4-8")
    assert "/models/claude-opus-4-8:rawPredict " in made.head(
        "claude-opus-4-8", "anthropic.messages"
    )
    assert not made.offer.takes_any


def test_vertex_without_models_offers_what_the_catalogue_knows_and_any_other():
    made = Making(google())
    assert "claude-haiku-4-5" in made.offer.models
    assert made.offer.takes_any
    assert made.model("claude-next").upstream == "claude-next"


def test_what_is_said_of_a_model_on_vertex_counts():
    price = Price(input=Decimal(7))
    said = ProviderModel(
        name="mine", upstream="claude-haiku-4-5", price=price, context=1000, max_output=10
    )
    made = Making(google(models=(said, "claude-sonnet-4-5")))
    assert made.model("mine").upstream == "claude-haiku-4-5"
    found = made.built.price("claude/mine")
    assert found is not None
    assert found.input == 7
    profile = made.built.profile("claude/mine")
    assert profile is not None
    assert (profile.context_tokens, profile.max_output_tokens) == (1000, 10)
    assert made.model("mine").profile == profile
    known = catalog.load().profile("vertex", "claude-haiku-4-5")
    assert profile.reasoning == known.reasoning


def test_models_at_one_place_share_a_host():
    assert len(Making(google(models=("a", "b", "c-*"))).built.hosts) == 1


def test_the_url_of_a_provider_on_vertex_wins():
    made = Making(google(models=("m",), base_url="http://127.0.0.1:9/proxy/v1"))
    assert made.head("m", "anthropic.messages").startswith(
        "POST /proxy/v1/projects/proj/locations/europe-west1/"
    )


def shorthand(**more: object) -> Making:
    said: dict[str, object] = {"project": "p", "region": "us-east5", "model": "claude-opus@1"}
    return Making(config=Config(vertex=Vertex(**{**said, **more})))  # type: ignore[arg-type]


def test_the_shorthand_is_a_provider_of_its_own():
    made = shorthand()
    assert made.offer.name == "vertex"
    assert made.offer.models == ("claude-opus",)
    assert "/models/claude-opus@1:rawPredict " in made.head("claude-opus", "anthropic.messages")
    assert not made.offer.takes_any


def test_models_of_the_shorthand_may_be_elsewhere():
    models = (
        VertexModel(name="near", model="claude-haiku"),
        VertexModel(name="far", model="claude-haiku", region="europe-west1", project="q"),
        VertexModel(name="own", url="https://proxy.invalid/v1/models/claude-x:rawPredict"),
    )
    made = shorthand(models=models)
    heads = {name: made.head(name, "anthropic.messages") for name in ("near", "far", "own")}
    assert "projects/p/locations/us-east5/" in heads["near"]
    assert "projects/q/locations/europe-west1/" in heads["far"]
    assert heads["own"].startswith(
        "POST /v1/models/claude-x:rawPredict HTTP/1.1\r\nhost: proxy.inv"
    )
    assert len(made.built.hosts) == 3
    assert len(made.built.rings) == 1


def test_a_model_of_the_shorthand_is_known_for_what_it_is():
    made = shorthand(models=(VertexModel(name="quick", model="claude-haiku-4-5"),))
    known = catalog.load().profile("vertex", "claude-haiku-4-5")
    assert made.built.profile("vertex/quick") == known
    assert made.model("quick").profile == known


def test_the_shorthands_credentials_are_those_of_auth():
    config = Config(
        vertex=Vertex(project="p", region="us-east5", model="m"),
        auth=Auth(service_account_file="/nowhere/key.json"),
    )
    assert Making(config=config).built.rings[0].keys[0].credential.block() is None


def test_a_configuration_without_vertex_has_no_such_provider():
    assert Making(config=Config()).built.offers == []


# What cannot be built


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        (Provider(name="p", type="opnai"), "there is no provider type 'opnai' | did you mean"),
        (Provider(name="p", type="openai"), "expected an api_key, got none"),
        (Provider(name="p", type="openai_compatible"), "has no URL of its own | set base_url"),
        (Provider(name="p", type="echo"), "the type 'echo' is built in"),
        (openai("p", base_url="ftp://x"), "expected an http, https or unix URL"),
        (openai("p", api_key="sk 1"), "the API key (4 characters, not shown)"),
        (openai("p", headers={"a b": "c"}), "header name 'a b'"),
        (openai("p", headers={"host": "x"}), "header 'host' cannot be set"),
        (Provider(name="p", type="vertex", region="x"), "project is not set"),
        (Provider(name="p", type="vertex", project="x"), "region is not set"),
        (Provider(name="p", type="vertex", project="x", region="a/b"), "no region of Google Cloud"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_providers_name(provider: Provider, message: str):
    said = refusal(provider)
    assert said.startswith("providers.p: ")
    assert message in said
    assert "sk 1" not in said


def test_a_shorthand_that_is_not_whole_is_refused():
    assert "vertex: region is not set" in refusal(config=Config(vertex=Vertex(model="m")))


# After others


def test_connections_to_the_same_place_are_shared_with_those_in_force():
    before = Making(openai("a"), openai("b", base_url="http://127.0.0.1:1"))
    after = Making(openai("c"), earlier=before.built)
    (client,) = after.built.clients.values()
    assert client is before.built.hosts[0].client


def test_a_file_that_says_whom_to_trust_is_read_anew():
    provider = openai("a", ca_file="/nowhere/ca.pem")
    before = Making(provider)
    after = Making(provider, earlier=before.built)
    assert after.host.client is not before.host.client


def test_what_is_used_of_a_limit_stays_used_where_the_limit_is_the_same():
    limits = {"limits": Limits(concurrency=1), "key_limits": KeyLimits(requests_per_minute=9)}
    before = Making(openai("a", **limits), openai("b", **limits))
    after = Making(
        openai("a", **limits), openai("b", limits=Limits(concurrency=2)), earlier=before.built
    )
    after.built.take_over(before.built)
    (same, other), (same_before, other_before) = after.built.admissions, before.built.admissions
    assert same._quota is same_before._quota
    assert list(same._key_quotas.values()) == list(same_before._key_quotas.values())
    assert same.figures is same_before.figures
    assert other._quota is not other_before._quota
    assert other._key_quotas == {}


def test_keys_go_on_resting_where_the_provider_has_the_same_name():
    before = Making(openai("a"), openai("b"))
    for ring in before.built.rings:
        ring.keys[0].bench(0.0)
    after = Making(openai("a"), openai("c"), earlier=before.built)
    after.built.take_over(before.built)
    assert [ring.usable(1.0) for ring in after.built.rings] == [0, 1]


def test_closing_leaves_connections_that_others_use():
    async def run() -> None:
        before = Making(openai("a"), openai("b", base_url="http://127.0.0.1:1"))
        after = Making(openai("a"), earlier=before.built)
        await before.built.aclose(after.built.clients.values())
        shared, other = before.built.clients.values()
        shared._pool.check_open()
        with pytest.raises(Interrupted):
            other._pool.check_open()

    asyncio.run(run())


def test_google_s_key_is_passed_through_where_google_looks_for_it():
    host = Making(Provider(name="p", type="gemini", auth="passthrough")).host
    assert host.passthrough is not None
    assert host.passthrough({"x-goog-api-key": "k"}) == b"x-goog-api-key: k\r\n"
    assert host.passthrough({"authorization": "Bearer t"}) == b"authorization: Bearer t\r\n"
    assert host.passthrough({}) == b""


def test_models_of_vertex_are_at_their_publisher_s_place():
    provider = Provider(name="v", type="vertex", project="p", region="global")
    built = Making(provider).built
    assert built.profile("v/gemini-2.5-pro").reasoning == "budget"
    assert not built.profile("v/gemini-2.5-pro").tool_ids
    assert built.profile("v/claude-sonnet-5").tool_ids
