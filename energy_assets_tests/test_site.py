"""site.yaml: what is wrong, where, and what would be right; every fault at once."""

from __future__ import annotations

import time
from importlib.resources import files
from pathlib import Path

import pytest

from energy_assets import yaml_limits
from energy_assets.factors.places import site_zones
from energy_assets.secrets import SecretError
from energy_assets.site import SITE_VARIABLE, Site, SiteError, load_site, site_from_environment
from energy_assets.sources.registry import source_class

GOOD = """organisation: {name: Test}
start: 2024-05-01
storage:
  root: ./var
sources:
  - name: meters
    kind: power_files
    path: meters/*.csv
    node: node
    place: {region: r1, zone: DE, pue: 1.2}
  - name: grid
    kind: electricity_maps
    token: env:EA_TOKEN
attribution:
  rules:
    - {match: {source: meters}, project: lab, workload_type: training}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(text)
    return path


def load(folder: Path, text: str) -> Site:
    return load_site(written(folder, text))


def faults(folder: Path, text: str) -> list[str]:
    """The lines of the error, each without the path it begins with."""
    with pytest.raises(SiteError) as caught:
        load(folder, text)
    prefix = str(folder / "site.yaml")
    lines = str(caught.value).splitlines()
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(f"{prefix}:") for line in lines]


def test_a_good_file_becomes_a_site(tmp_path: Path) -> None:
    site = load(tmp_path, GOOD)
    assert [(source.name, source.feeds) for source in site.sources] == [
        ("meters", "energy"),
        ("grid", "grid_intensity"),
    ]
    assert (site_zones(site), str(site.source_places["meters"].pue)) == (("DE",), "1.2")
    assert site.disk().root == str(tmp_path / "var")
    assert site.engine.kind == "duckdb"


def test_a_storage_folder_is_relative_to_the_file_not_to_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, GOOD)
    monkeypatch.chdir("/")
    assert load_site(path).disk().root == str(tmp_path / "var")
    assert load(tmp_path, GOOD.replace("./var", "s3://bucket/prefix")).disk().root == "s3://bucket/prefix"


@pytest.mark.parametrize(
    ("wrong", "right", "expected"),
    [
        (
            "orgnisation: {name: Test}",
            "organisation: {name: Test}",
            [
                "1: orgnisation: unknown key; did you mean 'organisation'? Allowed: organisation, start",
                "1: organisation: is missing",
            ],
        ),
        ("  rot: ./var", "  root: ./var", ["4: storage.rot: unknown key; did you mean 'root'? Allowed: root, options"]),
        (
            "start: yesterday",
            "start: 2024-05-01",
            ["2: start: Input should be a valid date", "first day of the daily partitions"],
        ),
        ("start: 2024-13-01", "start: 2024-05-01", ["2: start: Input should be a valid date", "(given: '2024-13-01')"]),
        ("start: 2024-02-30", "start: 2024-05-01", ["2: start: Input should be a valid date", "(given: '2024-02-30')"]),
        (
            "kind: power_file\n",
            "kind: power_files\n",
            [
                "7: sources[0].kind: 'power_file' is no kind of source; did you mean 'power_files'?",
                "Allowed: aws_focus_export, electricity_maps",
            ],
        ),
        (
            "kind: [power_files]\n",
            "kind: power_files\n",
            ["7: sources[0].kind: '['power_files']' is no kind of source"],
        ),
        (
            "pth: x",
            "path: meters/*.csv",
            ["8: sources[0].pth: unknown key; did you mean 'path'?", "sources[0].path: is missing: glob"],
        ),
        (
            "pue: 0.9",
            "pue: 1.2",
            ["10: sources[0].place.pue: Input should be greater than or equal to 1", "power usage effectiveness"],
        ),
        ("zone: DE, pu: 1", "zone: DE, pue: 1.2", ["10: sources[0].place.pu: unknown key; did you mean 'pue'?"]),
        ("name: Meters!", "name: meters", ["6: sources[0].name: String should match pattern", "unique name"]),
        (
            "name: meters\n    kind: elec",
            "name: grid\n    kind: elec",
            ["11: sources[1].name: 'meters' is the name of another source"],
        ),
        (
            "workload_type: trainin",
            "workload_type: training",
            ["attribution.rules[0].workload_type: Input should be 'training'"],
        ),
        ('project: "{lable:team}"', "project: lab", ["attribution.rules[0].project:", "{label:team}"]),
        ("match: {}", "match: {source: meters}", ["attribution.rules[0].match:", "at least 1"]),
        ("folder: /tmp\nstart", "start", ["2: folder: unknown key"]),
        ("start: 2024-05-01\nstart: 2024-05-01", "start: 2024-05-01", ["3: start: is there twice"]),
    ],
)
def test_a_fault_is_answered_with_line_key_and_what_is_allowed(
    tmp_path: Path, wrong: str, right: str, expected: list[str]
) -> None:
    assert right in GOOD
    said = "\n".join(faults(tmp_path, GOOD.replace(right, wrong, 1)))
    assert all(part in said for part in expected), said


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("start: 2024-05-01", "start: soon").replace("zone: DE", "zon: DE").replace("./var", "[]")
    assert [fault.split(": ")[1] for fault in faults(tmp_path, text)] == [
        "sources[0].place.zon",
        "start",
        "storage.root",
    ]


@pytest.mark.parametrize("token", ["hunter2-abcdef", "hunter2:abc"])
def test_a_secret_in_the_clear_is_refused_and_not_repeated(tmp_path: Path, token: str) -> None:
    (said,) = faults(tmp_path, GOOD.replace("env:EA_TOKEN", token))
    assert "13: sources[1].token: write a reference to the secret, not the secret itself: one of env:…" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("key", ["aws_secret_access_key", "azure_storage_account_key", "aws_session_token"])
def test_a_secret_of_the_storage_must_be_a_reference_too(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = GOOD.replace("root: ./var", "root: s3://b/p\n  options: {aws_region: eu-west-1, KEY: VALUE}").replace(
        "KEY", key
    )
    (said,) = faults(tmp_path, text.replace("VALUE", "hunter2"))
    assert "write a reference to the secret" in said
    assert "hunter2" not in said

    site = load(tmp_path, text.replace("VALUE", "env:EA_STORAGE_KEY"))
    with pytest.raises(SecretError, match="EA_STORAGE_KEY is not set"):
        site.disk()
    monkeypatch.setenv("EA_STORAGE_KEY", "hunter2")
    assert site.disk().options == {"aws_region": "eu-west-1", key: "hunter2"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty or no mapping; it needs the keys organisation, start"),
        ("just text", "is empty or no mapping"),
        ("a: [1", "is no valid YAML"),
        ("a: 1\n---\nb: 2", "is no valid YAML"),
        ("organisation: {name: x}\nstart: 2024-01-01\nsources: []", "sources: needs a list of at least one source"),
        ("organisation: {name: x}\nstart: 2024-01-01\nsources: [text]", "sources[0].kind: 'None' is no kind of source"),
        ("organisation: text\nstart: 2024-01-01\nsources: []", "organisation: "),
        ("organisation: {name: \x00}", "is no valid YAML"),
    ],
)
def test_what_is_no_site_file_at_all_says_so(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SiteError) as caught:
        load(tmp_path, text)
    assert said in str(caught.value)


def test_a_file_that_cannot_be_read_points_to_init(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"absent.yaml: cannot be read .*energy-assets init .*/absent.yaml$"):
        load_site(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"organisation: {name: caf\xe9}")
    with pytest.raises(SiteError, match=r"latin.yaml: cannot be read .*UTF-8"):
        load_site(tmp_path / "latin.yaml")


def test_the_environment_names_the_site_for_dagster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SITE_VARIABLE, raising=False)
    with pytest.raises(SiteError, match=f"{SITE_VARIABLE} is not set"):
        site_from_environment()
    monkeypatch.setenv(SITE_VARIABLE, str(written(tmp_path, GOOD)))
    assert site_from_environment().organisation.name == "Test"


def test_the_example_file_is_a_valid_site(tmp_path: Path) -> None:
    example = files("energy_assets").joinpath("site_example.yaml").read_text(encoding="utf-8")
    site = load(tmp_path, example)
    assert len({source.kind for source in site.sources}) == len(site.sources) == 8


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ("{name: a, also: [b]}\n  - {name: c, also: ['B:9100']}", "'b' is a name of both 'a' and 'c'"),
        ("{name: a, also: [b]}\n  - {name: b}", "'b' is a name of both 'a' and 'b'"),
        ("{name: a, also: [b], region: DUB1}\n  - {name: c, also: [b], region: dub1}", "a name of both 'a' and 'c'"),
        ("{name: a, match: 'x(?=y)'}", "RE2 has none"),
        ("{name: a, match: '('}", "is no regular expression"),
        ("{name: '{node}', match: 'x-(.+)'}", "wants the group 'node'; write it in `match` as (?P<node>…)"),
        ("{name: '{node}'}", "there is no `match`"),
        ("{name: a, match: x, also: [b]}", "`also` is for exact names"),
        ("{nam: a}", "unknown key; did you mean 'name'?"),
    ],
)
def test_names_of_nodes_that_contradict_are_refused(tmp_path: Path, nodes: str, said: str) -> None:
    found = "\n".join(faults(tmp_path, f"{GOOD}nodes:\n  - {nodes}\n"))
    assert said in found, found
    assert "nodes" in found


def test_one_address_may_be_two_hosts_in_two_regions(tmp_path: Path) -> None:
    lines = [
        f"  - {{name: {name}, also: [10.0.0.7], region: {region}}}\n" for name, region in (("a", "r1"), ("b", "r2"))
    ]
    assert [rule.region for rule in load(tmp_path, f"{GOOD}nodes:\n{''.join(lines)}").nodes] == ["r1", "r2"]


@pytest.mark.parametrize("key", ["project", "model_id"])
@pytest.mark.parametrize("name", ["idle", "Unknown"])
def test_our_words_for_no_owner_are_no_names_of_owners(tmp_path: Path, key: str, name: str) -> None:
    (said,) = faults(tmp_path, GOOD.replace("project: lab", f"{key}: {name}"))
    assert f"attribution.rules[0].{key}: idle and unknown are what we call energy without an owner" in said


URLS = [
    ("http://user:hunter2@prometheus:9090", "a user name or password before the host"),
    ("https://hunter2@prometheus:9090", "a user name or password before the host"),
    ("http://prometheus:9090/?key=hunter2", "the parameter `key`"),
    ("http://prometheus:9090/?a=b&api_key=hunter2", "the parameter `api_key`"),
    ("http://prometheus:9090/?token=hunter2", "the parameter `token`"),
    ("http://prometheus:9090/?auth-token=hunter2#x", "the parameter `auth-token`"),
    ("http://prometheus:9090/?X-Amz-Signature=hunter2", "the parameter `X-Amz-Signature`"),
    ("http://prometheus:9090/?sig=hunter2", "the parameter `sig`"),
    ("http://prometheus:9090/?Password=hunter2", "the parameter `Password`"),
    ("http://prometheus:9090/#access_token=hunter2", "the parameter `access_token`"),
    ("http://prometheus:9090/?code=hunter2", "the parameter `code`"),
    ("http://prometheus:9090/?a=b;key=hunter2", "the parameter `key`"),
    ("http://prometheus:9090/a;key=hunter2/b", "the parameter `key`"),
    ("htp://user:hunter2@prometheus", "a user name or password before the host"),
]


@pytest.mark.parametrize(("url", "found"), URLS)
def test_a_credential_in_a_url_is_refused_and_not_repeated(tmp_path: Path, url: str, found: str) -> None:
    block = f"sources:\n  - {{name: p, kind: prometheus_energy, url: '{url}', place: {{region: r, zone: DE}}}}"
    (fault,) = faults(tmp_path, GOOD.replace("sources:", block))
    assert fault.startswith(f"6: sources[0]: the url in `url` holds {found}: a secret.")
    assert "token: env:NAME" in fault
    assert "hunter2" not in fault


def test_a_credential_in_the_url_of_the_storage_or_an_option_is_refused(tmp_path: Path) -> None:
    for text in ("root: s3://AKIA:hunter2@bucket/x", "{root: ./var, options: {aws_endpoint: 'http://a:hunter2@h'}}"):
        wrong = GOOD.replace("storage:\n  root: ./var", f"storage: {text}" if "{" in text else f"storage:\n  {text}")
        said = "\n".join(faults(tmp_path, wrong))
        assert "a user name or password before the host" in said
        assert "from `options` beside `root`, as references (env:NAME)" in said
        assert "token:" not in said
        assert "hunter2" not in said


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ("kind: power_files, path: 's3://AKIA:hunter2@b/x.csv'", "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"),
        ("kind: power_files, path: 'az://c/x.csv?sv=1&sig=hunter2'", "or AZURE_STORAGE_SAS_TOKEN)"),
        ("kind: focus_files, path: 'gs://c/x.csv;key=hunter2'", "(GOOGLE_SERVICE_ACCOUNT, which names the file"),
        ("kind: focus_files, path: 's3://b/x', endpoint_url: 'https://a:hunter2@h'", "(AWS_ACCESS_KEY_ID and"),
        ("kind: electricity_maps, token: 'env:X', url: 'http://a:hunter2@h'", "and name that: token: env:NAME"),
    ],
)
def test_the_remedy_names_what_the_kind_of_source_has(tmp_path: Path, block: str, says: str) -> None:
    """Files and bills in buckets have neither `token` nor `basic_auth`: pasting one of them was the next error."""
    (fault,) = faults(tmp_path, GOOD.replace("sources:", f"sources:\n  - {{name: p, {block}}}"))
    assert fault.endswith(says) or f"{says} " in fault
    assert "hunter2" not in fault
    for key in ("token", "basic_auth"):
        assert (f"{key}:" in fault) == (key in source_class(block.split()[1].strip(",")).model_fields), fault


@pytest.mark.parametrize(
    "url",
    [
        "http://h/key=a/code=b?country_code=DE",
        "http://h/a;b?c;d",
        "http://prometheus:9090/a@b?monkey=1&keyboard=x",
        "http://h/?tokens_per_s=1",
        "http://h/?match=token%3Da",
    ],
)
def test_other_urls_are_taken(tmp_path: Path, url: str) -> None:
    block = f"sources:\n  - {{name: p, kind: prometheus_energy, url: '{url}', place: {{region: r, zone: DE}}}}"
    assert load(tmp_path, GOOD.replace("sources:", block)).sources[0].url == url


def test_the_account_of_an_azure_url_is_no_credential(tmp_path: Path) -> None:
    root = "abfss://container@account.dfs.core.windows.net/x"
    assert load(tmp_path, GOOD.replace("./var", root)).storage.root == root


BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "more than 200,000 values once its aliases"),
        ("a: &a [*a]\n", "line 1: *a names nothing that is complete before it"),
        ("a: " + "[" * 100_000, "line 1: is nested more than 40 deep"),
        ("a: " + "{b: " * 100_000, "line 1: is nested more than 40 deep"),
        ("\n".join(" " * n + f"k{n}:" for n in range(500)), "line 41: is nested more than 40 deep"),
        ("# " + "x" * 5_000_000, "5,000,002 characters"),
    ],
    ids=["aliases", "itself", "lists", "mappings", "indentation", "size"],
)
def test_what_no_person_wrote_is_refused_at_once(tmp_path: Path, text: str, said: str) -> None:
    began = time.monotonic()
    (fault,) = faults(tmp_path, text)
    assert said in fault
    assert time.monotonic() - began < 5


def test_aliases_of_a_person_are_followed(tmp_path: Path) -> None:
    text = GOOD.replace("place: {region: r1, zone: DE, pue: 1.2}", "place: &here {region: r1, zone: DE, pue: 1.2}")
    more = "  - {name: more, kind: power_files, path: x/*.csv, node: node, place: *here}\n  - name: grid"
    site = load(tmp_path, text.replace("  - name: grid", more))
    assert site.source_places["more"] == site.source_places["meters"]


def test_values_up_to_the_limit_are_read_and_not_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_limits, "MOST_VALUES", 10)
    nine = "[" + ", ".join("x" * 9) + "]"
    assert yaml_limits.too_much(nine) == ""
    assert "more than 10 values" in yaml_limits.too_much(nine.replace("[x", "[x, x"))
    assert yaml_limits.too_much("[&a [x, x], *a, *a]") == ""
    assert "more than 10 values" in yaml_limits.too_much("[&a [x, x], *a, *a, *a]")
    monkeypatch.setattr(yaml_limits, "MOST_DEPTH", 3)
    assert yaml_limits.too_much("[[[]]]") == ""
    assert "nested more than 3" in yaml_limits.too_much("[[[[]]]]")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("storage: ./var", "storage: needs a block of keys: root, options; for example storage: {root: ./var}"),
        ("engine: 4", "engine: needs a block of keys: "),
    ],
)
def test_a_text_in_place_of_a_block_is_answered_with_the_block(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(f"organisation: {{name: X}}\nstart: 2024-05-01\n{line}\nsources: []\n")
    with pytest.raises(SiteError) as caught:
        load_site(path)
    assert f"site.yaml:3: {said}" in str(caught.value)


@pytest.mark.parametrize("currency", ["Euro", "eur", "EURO", "E1R"])
def test_a_currency_is_three_capitals(tmp_path: Path, currency: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(f"organisation: {{name: X, currency: {currency}}}\nstart: 2024-05-01\nsources: []\n")
    with pytest.raises(SiteError, match="is no ISO 4217 code: three capital letters, for example EUR or USD"):
        load_site(path)


def test_a_storage_folder_that_cannot_be_made_is_refused_with_why(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a file")
    found = faults(tmp_path, GOOD.replace("root: ./var", "root: ./notes.txt/var"))
    assert found == [
        f"4: storage.root: {tmp_path}/notes.txt is a file, so the folder {tmp_path}/notes.txt/var cannot be made; name "
        "another folder that can be written"
    ]
    assert load(tmp_path, GOOD.replace("root: ./var", "root: ./deep/down/var"))


def test_a_storage_folder_that_nobody_may_make_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("energy_assets.storage.os.access", lambda *_: False)
    (found,) = faults(tmp_path, GOOD)
    assert f"storage.root: {tmp_path} gives this user no permission to make {tmp_path}/var" in found
    (tmp_path / "var").mkdir()
    assert load(tmp_path, GOOD), "one that is there may be asked, if only to read"


@pytest.mark.parametrize("spelled", ["on-prem", "On-Premises", "on_premise", "in-house", "self-hosted", "own"])
def test_another_spelling_of_own_machines_is_no_provider_of_services(tmp_path: Path, spelled: str) -> None:
    """It would move all of their energy from Scope 2 to Scope 3.1."""
    text = """
organisation: {name: X, currency: EUR}
start: 2026-10-01
sources:
  - {name: m, kind: power_files, path: m.csv, node: node, place: {provider: SPELLED, region: r1, zone: DE}}
"""
    path = tmp_path / "site.yaml"
    path.write_text(text.replace("SPELLED", spelled))
    with pytest.raises(SiteError, match="`onprem`"):
        load_site(path)
    path.write_text(text.replace("SPELLED", "onprem") + f"places:\n  - {{provider: {spelled}, region: r1, pue: 1.2}}\n")
    with pytest.raises(SiteError, match="`onprem`"):
        load_site(path)
    path.write_text(text.replace("SPELLED", "owncloud"))
    assert load_site(path)
