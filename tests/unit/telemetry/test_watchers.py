from modelmux.target.call import Peer
from modelmux.target.record import CallRecord
from modelmux.telemetry.watchers import Watchers


def test_only_who_watches_a_listener_is_told_of_its_calls():
    watchers = Watchers()
    told: list[str] = []
    watchers.sink(CallRecord("0", peer=Peer("box")))
    watchers.add("box", lambda record: told.append(record.id))
    for record in (
        CallRecord("1", peer=Peer("box")),
        CallRecord("1.1", parent_id="1", peer=Peer("box")),
        CallRecord("2", peer=Peer("other")),
    ):
        watchers.sink(record)
    watchers.remove("box")
    watchers.sink(CallRecord("3", peer=Peer("box")))
    assert told == ["1"]
