"""What stands behind a door in a test: a surface of fake targets, and a journal to look into."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from modelmux.ingress.auth import Keyring
from modelmux.ingress.http import Answer, HttpRequest
from modelmux.ingress.streaming import Mode, Streaming
from modelmux.ingress.surface import ModelRow, Refusal, Surface
from modelmux.provider.offer import Offering
from modelmux.target.base import Target
from modelmux.target.call import Call, Caller
from modelmux.target.registry import Registry


class Notes:
    """A journal."""

    def __init__(self) -> None:
        self.refusals: list[Refusal] = []
        self.questions: list[Call] = []
        self.answers: list[Answer] = []
        self.defects: list[tuple[str, str, Exception]] = []

    def refused(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)

    def asked(self, call: Call, request: HttpRequest) -> None:
        self.questions.append(call)

    def answered(self, call: Call, answer: Answer) -> Answer:
        self.answers.append(answer)
        return answer

    def failed(self, request: HttpRequest, request_id: str, error: Exception) -> None:
        self.defects.append((request.path, request_id, error))


def surface(
    *targets: Target,
    notes: Notes | None = None,
    keys: Mapping[str, Caller] | None = None,
    mode: Mode = "auto",
    rows: Sequence[ModelRow] = (),
    debug: bool = False,
) -> Surface:
    """A surface that answers with `targets`, each called `provider/model`.

    Args:
        notes: The journal.
        keys: Callers by their secret.
        mode: How streams are given.
        rows: What the lists of models show.
        debug: Tell what is said on the wire.
    """
    by_name = {target.name: target for target in targets}
    providers = dict.fromkeys(name.partition("/")[0] for name in by_name)
    offers = [
        Offering(
            provider,
            1,
            [name.partition("/")[2] for name in by_name if name.startswith(f"{provider}/")],
            lambda model, provider=provider: by_name[f"{provider}/{model}"],  # type: ignore[misc]
        )
        for provider in providers
    ]
    digests = {sha256(key.encode()).digest(): caller for key, caller in (keys or {}).items()}
    return Surface(
        Registry(offers, [], lambda plan: plan.targets[0].target),
        Keyring(digests),
        Streaming(mode, 65_536, 5.0),
        notes or Notes(),
        lambda _caller: rows,
        debug=debug,
    )
