from prometheus_client.parser import text_string_to_metric_families

from modelmux.telemetry.merge import merged

ONE = b"""# HELP calls_total Calls.
# TYPE calls_total counter
calls_total{model="a b",status="200"} 3.0
# HELP took_seconds How long.
# TYPE took_seconds histogram
took_seconds_bucket{le="1.0"} 1.0
took_seconds_bucket{le="+Inf"} 2.0
took_seconds_count 2.0
took_seconds_sum 1.5
# HELP in_flight Under way.
# TYPE in_flight gauge
in_flight 1.0
# HELP modelmux_build 1, by version.
# TYPE modelmux_build gauge
modelmux_build{version="1"} 1.0
# HELP process_start_time_seconds Start.
# TYPE process_start_time_seconds gauge
process_start_time_seconds 100.0
"""
TWO = (
    ONE.replace(b"3.0", b"4.0")
    .replace(b"a b", b"c")
    .replace(b"seconds 100.0", b"seconds 90.0")
    .replace(b"in_flight 1.0", b"in_flight 5.0")
)


def figures(text: bytes) -> dict[str, float]:
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_one_text_is_itself():
    assert merged([ONE]) == ONE


def test_figures_are_added_up_but_for_those_that_are_no_sums():
    told = figures(merged([ONE, TWO]))
    assert told["calls_total[('model', 'a b'), ('status', '200')]"] == 3.0
    assert told["calls_total[('model', 'c'), ('status', '200')]"] == 4.0
    assert told["took_seconds_bucket[('le', '+Inf')]"] == 4.0
    assert told["took_seconds_sum[]"] == 3.0
    assert told["in_flight[]"] == 6.0
    assert told["modelmux_build[('version', '1')]"] == 1.0
    assert told["process_start_time_seconds[]"] == 90.0


def test_of_a_process_that_has_ended_only_what_grows_counts():
    told = figures(merged([ONE], [ONE]))
    assert told["calls_total[('model', 'a b'), ('status', '200')]"] == 6.0
    assert told["took_seconds_count[]"] == 4.0
    assert told["in_flight[]"] == 1.0


def test_of_none_there_is_nothing():
    assert merged([]) == b""
