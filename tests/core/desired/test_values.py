"""References and the levels of values."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.desired import substitution
from edgegitops.core.desired.places import Problem
from edgegitops.core.desired.substitution import Budget, Found, expand, has_reference, whole_reference
from edgegitops.core.model.reasons import FaultCode

NAMES = {"values.host": "plc", "values.port": 502, "values.ratio": 0.5, "values.on": True, "values.list": [1, "b"]}
NAMES |= {"tags.plant.example/line": "a", "values.empty": "", "values.nothing": None, "values.map": {"b": 1, "a": 2}}


def find(name):
    return Found(NAMES[name]) if name in NAMES else Problem(FaultCode.UNKNOWN_VALUE, name)


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("plain", "plain"),
        ("${values.host}", "plc"),
        ("tcp://${values.host}:${values.port}/x", "tcp://plc:502/x"),
        ("${values.ratio} ${values.on}", "0.5 true"),
        ("${values.empty}", ""),
        ("${tags.plant.example/line}", "a"),
        ("${json(values.list)}", '[1,"b"]'),
        ("${json( values.map )}", '{"a":2,"b":1}'),
        ("${json(values.nothing)}", "null"),
        ("$${values.host}", "${values.host}"),
        ("$$${values.host}", "$${values.host}"),
        ("${HOME} ${UPPER:-x} ${UPPER:-1.5} $HOME $(x) ${}", "${HOME} ${UPPER:-x} ${UPPER:-1.5} $HOME $(x) ${}"),
        ("${FOO-a.b}", "${FOO-a.b}"),
        ("100% $ {values.host} ${", "100% $ {values.host} ${"),
        ("${HOME", "${HOME"),
    ],
)
def test_reference_is_replaced_as_the_table_says(source, result):
    assert expand(source, find, Budget()) == (result, ())


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("${values.hots}", FaultCode.UNKNOWN_VALUE),
        ("${site}${foo.bar}", FaultCode.UNKNOWN_VALUE),
        ("${values.list}", FaultCode.WRONG_TYPE),
        ("${values.map}", FaultCode.WRONG_TYPE),
        ("${values.nothing}", FaultCode.WRONG_TYPE),
        ("${values.}", FaultCode.WRONG_FORMAT),
        ("${values.host }", FaultCode.WRONG_FORMAT),
        ("${ values.host}", FaultCode.WRONG_FORMAT),
        ("${values.host:-x}", FaultCode.WRONG_FORMAT),
        ("${json(host)}", FaultCode.WRONG_FORMAT),
        ("${json(values.list}", FaultCode.WRONG_FORMAT),
        ("${values.host", FaultCode.WRONG_FORMAT),
        ("${values.${NAME}}", FaultCode.WRONG_FORMAT),
    ],
)
def test_bad_reference_is_a_problem_and_never_empty(source, code):
    _, problems = expand(source, find, Budget())
    assert [problem.code for problem in problems] == [code]


@given(st.lists(st.sampled_from(["$", "{", "}", "${", "$${", "values.host", "values.no", "json(", ")", ".", "X", " "])))
def test_no_dotted_reference_is_left_standing(pieces):
    source = "".join(pieces)
    text, problems = expand(source, lambda _: Found("x"), Budget())
    left = re.findall(r"\$\{[A-Za-z_]\w*\.[\w./-]+\}", text)
    written_out = re.findall(r"\$\$\{[A-Za-z_]\w*\.[\w./-]+\}", source)
    assert len(left) <= len(written_out)
    assert "$${" in source or problems or not has_reference(text)


@given(st.text(alphabet="${}. aX", max_size=30).filter(lambda text: "${" not in text))
def test_text_without_references_is_left_alone(text):
    assert expand(text, find, Budget()) == (text, ())


def test_what_was_put_in_is_not_read_again():
    assert expand("${values.a}", lambda _: Found("${values.b}"), Budget())[0] == "${values.b}"


def test_only_a_whole_reference_keeps_its_type():
    assert whole_reference("${values.port}") == "values.port"
    assert [whole_reference(text) for text in ("x${values.port}", "$${", "${UPPER}", "${json(values.a)}", "")] == [
        ""
    ] * 5


def test_expansions_are_bounded_in_all():
    budget = Budget(100)
    assert expand("${values.a}", lambda _: Found("x" * 60), budget)[1] == ()
    assert expand("${values.a}", lambda _: Found("x" * 60), budget)[1][0].code == FaultCode.TOO_LARGE


def declared(**values):
    return {name: {} if value is ... else {"default": value} for name, value in values.items()}


def of(world, name="x"):
    return world.web(env={"V": f"${{values.{name}}}"}).create().env["V"]


def test_highest_level_wins(world):
    world = replace(world.app(values=declared(x="default")))
    assert of(world) == "default"
    for level in ("fleet_values", "site_values", "node_values", "values"):
        world = replace(world, **{level: {"x": level}})
        assert of(world) == level
    world = replace(world, overrides=[(world.only("country", "SE"), {"values": {"x": "override"}})])
    assert of(world) == "override"
    assert of(replace(world, tags={"country": "MX"})) == "values"


def test_later_override_wins_and_null_takes_back_what_the_deployment_gave(world):
    world = replace(world.app(values=declared(x="default")), values={"x": "own"}, site_values={"x": "site"})
    everywhere = world.only("site", "plant")
    twice = replace(world, overrides=[(everywhere, {"values": {"x": "1"}}), (everywhere, {"values": {"x": "2"}})])
    assert of(twice) == "2"
    assert of(replace(world, overrides=[(everywhere, {"values": {"x": None}})])) == "site"


def test_value_may_refer_to_lower_levels_even_to_what_is_not_declared(world):
    world = replace(
        world.app(values=declared(url=...)),
        site_values={"camera": "10.1.2.40", "x": "s"},
        node_values={"x": "${values.x}-n"},
        values={"url": "rtsp://${values.camera}/${values.x}/${node.name}"},
    )
    assert of(world, "url") == "rtsp://10.1.2.40/s-n/gw-a"


@pytest.mark.parametrize(
    ("levels", "code", "file", "pointer"),
    [
        ({"values": {"x": "${values.y}", "y": "1"}}, "value-cycle", "deployments/line.yaml", "/spec/values/x"),
        ({"site_values": {"x": "${values.x}"}}, "value-cycle", "sites/plant.yaml", "/spec/values/x"),
        (
            {"fleet_values": {"x": "${values.y}"}, "site_values": {"y": "1"}},
            "value-cycle",
            "fleet.yaml",
            "/spec/values/x",
        ),
        ({"node_values": {"x": "${values.z}"}}, "unknown-value", "sites/plant.yaml", "/spec/nodes/gw-a/values/x"),
        ({"values": {"x": "${foo.bar}"}}, "unknown-value", "deployments/line.yaml", "/spec/values/x"),
        ({"values": {"x": "${secrets.db}"}}, "unknown-value", "deployments/line.yaml", "/spec/values/x"),
    ],
)
def test_reference_that_is_not_lower_is_a_fault_where_it_stands(world, levels, code, file, pointer):
    fault = replace(world.app(values=declared(x=...)), **levels).web(env={"V": "${values.x}"}).fault()
    assert (fault.code, fault.file, fault.pointer) == (code, file, pointer)
    assert fault.position is not None


def test_fault_of_a_value_is_told_once_however_often_it_is_used(world):
    world = replace(world.app(values=declared(x=..., y=...)), site_values={"z": "${values.no}"})
    world = replace(world, values={"x": "${values.z}", "y": ["${values.z}", "${values.z}"]})
    fault = world.web(env={"A": "${values.x}", "B": "${values.x}", "C": "${json(values.y)}"}).fault()
    assert (fault.file, fault.pointer) == ("sites/plant.yaml", "/spec/values/z")


def test_value_that_nobody_uses_is_not_looked_at(world):
    replace(world, site_values={"x": "${values.no}"}, values={"y": "${nowhere.at.all}"}).release()


def test_application_sees_only_what_it_declares(world):
    fault = replace(world.app(values=declared(port=1)), site_values={"x": "1"}).web(env={"V": "${values.x}"}).fault()
    assert fault.code == "unknown-value"
    fault = replace(world.app(values=declared(port=1))).web(env={"V": "${values.prot}"}).fault()
    assert (fault.pointer, fault.suggestion) == ("/spec/containers/web/env/V", "port")


def test_declared_value_that_nobody_gives_is_one_fault(world):
    fault = world.app(values=declared(x=...)).web(env={"V": "${values.x}", "W": "${values.x}"}).fault()
    assert (fault.code, fault.pointer) == ("value-invalid", "/spec/values/x")


def test_declared_value_is_judged_after_expansion_where_it_was_given(world):
    schema = {"x": {"type": "number", "default": 1}}
    assert of(replace(world.app(values=schema), site_values={"y": 0.25}, values={"x": "${values.y}"})) == "0.25"
    fault = replace(world.app(values=schema), values={"x": "high"}).fault()
    assert (fault.code, fault.file, fault.pointer) == ("value-invalid", "deployments/line.yaml", "/spec/values/x")
    assert "'high' is not of type 'number'" in fault.message
    fault = world.app(values={"x": {"type": "number", "default": "one"}}).fault()
    assert fault.pointer == "/spec/values/x/default"


def test_structured_values_are_reached_into_and_written_as_json(world):
    world = replace(world.app(values=declared(plc=...)), values={"plc": {"host": "${site.name}", "ports": [1, 2]}})
    env = world.web(env={"H": "${values.plc.host}", "J": "${json(values.plc)}"}).create().env
    assert env == {"H": "plant", "J": '{"host":"plant","ports":[1,2]}'}
    fault = world.web(env={"H": "${values.plc.hots}"}).fault()
    assert (fault.code, fault.suggestion) == ("unknown-value", "host")


def test_fact_that_is_not_given_is_never_empty(world):
    fault = replace(world, address="").web(env={"V": "${node.address}"}).fault()
    assert (fault.code, fault.pointer) == ("unknown-value", "/spec/containers/web/env/V")
    fault = replace(world, time_zone="").web(env={"V": "${site.timeZone}"}).fault()
    assert fault.code == "unknown-value"


@pytest.mark.parametrize("shape", ["text", "list", "map", "json"])
def test_values_that_multiply_at_each_level_are_stopped(world, monkeypatch, shape):
    monkeypatch.setattr(substitution.Budget.__init__, "__defaults__", (10_000,))
    x = {
        "text": "${values.x}" * 12,
        "list": ["${values.x}"] * 12,
        "map": {str(number): "${values.x}" for number in range(12)},
        "json": "${json(values.x)}" * 12,
    }[shape]
    levels = {level: {"x": x} for level in ("fleet_values", "site_values", "node_values", "values")}
    faults = replace(world.app(values=declared(x="0123456789")), **levels).resolve()[2]
    assert [fault.code for fault in faults] == ["too-large"]
