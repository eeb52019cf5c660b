import pytest

from modelmux.errors import ConfigError
from modelmux.provider import catalog, vertex
from modelmux.provider.vertex import NOTHING, Settings

ROW = catalog.load().provider("vertex")
PARENT = Settings(project="p", region="us-east5", model="claude-opus-5")
RESOURCE = "/projects/p/locations/us-east5/publishers/anthropic/models/claude-opus-5"
URL = f"https://us-east5-aiplatform.googleapis.com/v1{RESOURCE}"


def url_of(settings: Settings, parent: Settings = NOTHING, *, stream: bool = False) -> str:
    where = vertex.place(settings, parent)
    endpoint = vertex.endpoint(ROW, where)
    head = endpoint.head("anthropic.messages", "chat", stream=stream, model=where.model)
    return f"{endpoint.origin}{head.split(b' ')[1].decode()}"


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east5", "us-east5-aiplatform.googleapis.com"),
        ("US-East5", "us-east5-aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("GLOBAL", "aiplatform.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("EU", "aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_a_region_has_a_host(region, host):
    assert vertex.base_url(region) == f"https://{host}/v1"


@pytest.mark.parametrize("region", ["", "evil.com/", "a_b", "a b", "x@evil.com#", "-a"])
def test_what_could_be_another_host_is_no_region(region):
    with pytest.raises(ConfigError, match="no region"):
        vertex.base_url(region)


def test_a_stream_has_a_verb_of_its_own():
    assert url_of(PARENT) == f"{URL}:rawPredict"
    assert url_of(PARENT, stream=True) == f"{URL}:streamRawPredict"


def test_tokens_are_counted_at_a_resource_that_is_no_model():
    endpoint = vertex.endpoint(ROW, vertex.place(PARENT))
    head = endpoint.head("anthropic.messages", "count_tokens")
    path = RESOURCE.replace("claude-opus-5", "count-tokens")
    assert head.startswith(f"POST /v1{path}:rawPredict HTTP/1.1\r\n".encode())
    assert endpoint.names_model("anthropic.messages", "chat")
    assert not endpoint.names_model("anthropic.messages", "count_tokens")


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5@20251001"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5@20251001"),
        ("claude-opus-5", "claude-opus-5"),
        ("claude-opus-5-2026", "claude-opus-5-2026"),
    ],
)
def test_google_writes_a_models_date_its_own_way(name, id_):
    assert vertex.model_id(name) == id_
    assert url_of(Settings(model=name), PARENT).endswith(f"/models/{id_}:rawPredict")


def test_a_region_is_the_location_unless_one_is_said():
    assert "/locations/us-east5/" in url_of(PARENT)
    other = Settings(project="p", region="global", location="us-east5", model="m")
    assert url_of(other).startswith("https://aiplatform.googleapis.com/v1/projects/p/locations/us-")
    only_location = Settings(project="p", location="europe-west1", model="m")
    assert url_of(only_location).startswith("https://europe-west1-aiplatform.googleapis.com/")


def test_a_named_model_inherits_what_it_does_not_say():
    assert url_of(Settings(model="claude-haiku-5-5"), PARENT) == (
        f"{URL.replace('claude-opus-5', 'claude-haiku-5-5')}:rawPredict"
    )
    assert url_of(Settings(project="q"), PARENT) == f"{URL.replace('/p/', '/q/')}:rawPredict"
    assert url_of(NOTHING, PARENT) == f"{URL}:rawPredict"


def test_a_named_model_in_another_region_is_not_sent_to_its_parents_location():
    url = url_of(Settings(region="europe-west1"), PARENT)
    assert url.startswith("https://europe-west1-aiplatform.googleapis.com/")
    assert "/locations/europe-west1/" in url
    parent = Settings(project="p", region="us-east5", location="us-east5", model="m")
    assert "us-east5" not in url_of(Settings(location="europe-west1"), parent)


def test_a_publisher_can_be_said_and_is_anthropic_otherwise():
    assert "/publishers/anthropic/" in url_of(PARENT)
    assert "/publishers/x/" in url_of(Settings(publisher="x"), PARENT)


@pytest.mark.parametrize("verb", ["", ":rawPredict", ":streamRawPredict"])
def test_a_whole_url_is_used_as_it_is_but_for_its_verb(verb):
    assert url_of(Settings(url=URL + verb)) == f"{URL}:rawPredict"
    assert url_of(Settings(url=URL + verb), stream=True) == f"{URL}:streamRawPredict"


def test_a_models_own_url_wins_over_everything_else():
    settings = Settings(url=URL, project="other", region="global", model="m")
    assert url_of(settings, PARENT) == f"{URL}:rawPredict"


def test_the_parents_url_is_inherited_but_for_what_the_model_says():
    parent = Settings(url=URL)
    assert url_of(NOTHING, parent) == f"{URL}:rawPredict"
    other = url_of(Settings(model="claude-haiku-5-5"), parent)
    assert other == f"{URL.replace('claude-opus-5', 'claude-haiku-5-5')}:rawPredict"
    moved = url_of(Settings(region="global"), parent)
    assert moved.startswith("https://aiplatform.googleapis.com/v1/projects/p/locations/global/")


def test_a_proxys_url_is_taken_as_it_is():
    parent = Settings(url="http://127.0.0.1:9/claude/models/claude-opus-5:rawPredict")
    assert url_of(parent) == "http://127.0.0.1:9/claude/models/claude-opus-5:rawPredict"
    other = url_of(Settings(model="claude-haiku-4-5-20251001"), parent)
    assert other == "http://127.0.0.1:9/claude/models/claude-haiku-4-5@20251001:rawPredict"
    where = vertex.place(parent)
    head = vertex.endpoint(ROW, where).head("anthropic.messages", "count_tokens")
    assert b" /claude/models/count-tokens:rawPredict " in head


@pytest.mark.parametrize("url", ["https://h/v1", "ftp//x", "https://h/models/", "models/x"])
def test_a_url_that_ends_in_no_model_is_refused(url):
    with pytest.raises(ConfigError, match="does not end in a model"):
        vertex.place(Settings(url=url))


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        (Settings(region="global", model="m"), "project"),
        (Settings(project="p", model="m"), "region"),
        (Settings(project="p", region="global"), "model"),
    ],
)
def test_what_is_missing_is_named_and_never_guessed(settings, missing):
    with pytest.raises(ConfigError, match=f"{missing} is not set"):
        vertex.place(settings)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (Settings(model="claude-haiku-4-5@20251001"), "claude-haiku-4-5"),
        (Settings(model="claude-opus-5"), "claude-opus-5"),
        (Settings(url=f"{URL}@20260101:streamRawPredict"), "claude-opus-5"),
        (NOTHING, ""),
    ],
)
def test_a_model_without_a_name_is_called_by_its_id(settings, name):
    assert vertex.display_name(settings) == name


def test_header_fields_of_the_configuration_are_sent():
    endpoint = vertex.endpoint(ROW, vertex.place(PARENT), extra_headers={"x-a": "b"})
    assert b"\r\nx-a: b\r\n" in endpoint.head("anthropic.messages", "chat", model="m")


def test_gemini_is_google_s_own_and_at_its_own_verbs():
    where = vertex.place(Settings(project="p", region="global", model="gemini-2.5-pro"))
    assert where.row == "vertex_gemini"
    made = vertex.endpoint(catalog.load().provider(where.row), where)
    head = made.head("gemini", "chat", stream=True, model=where.model)
    assert head.startswith(
        b"POST /v1/projects/p/locations/global/publishers/google/models/gemini-2.5-pro"
        b":streamGenerateContent?alt=sse HTTP/1.1\r\nhost: aiplatform.googleapis.com\r\n"
    )
    assert vertex.place(PARENT).row == "vertex"
    said = Settings(project="p", region="global", publisher="google", model="tuned")
    assert vertex.place(said).row == "vertex_gemini"


@pytest.mark.parametrize("verb", ["", ":generateContent", ":streamGenerateContent?alt=sse"])
def test_a_whole_url_of_gemini_s_is_used_but_for_its_verb(verb):
    url = URL.replace("anthropic", "google").replace("claude-opus-5", "gemini-2.5-pro")
    where = vertex.place(Settings(url=url + verb))
    assert (where.row, where.model) == ("vertex_gemini", "gemini-2.5-pro")
