"""Files found by a glob: in a folder and in a bucket (moto's S3 over real HTTP)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from moto.server import ThreadedMotoServer
from obstore.exceptions import GenericError

from energy_assets.sources.buckets import classified
from energy_assets.sources.errors import DeniedError, PermanentError, SourceError, TransientError
from energy_assets.sources.files import list_files
from energy_assets.sources.http import client, send

PATHS = ["a.csv", "b.csv.gz", "deep/c.csv", "deep/er/d.csv", "note.txt"]
PATTERNS = [
    ("*.csv", ["a.csv"]),
    ("*.csv*", ["a.csv", "b.csv.gz"]),
    ("**/*.csv", ["a.csv", "deep/c.csv", "deep/er/d.csv"]),
    ("deep/*.csv", ["deep/c.csv"]),
    ("d*/**/[c-d].csv", ["deep/c.csv", "deep/er/d.csv"]),
    ("[!a].csv.gz", ["b.csv.gz"]),
    ("note.txt", ["note.txt"]),
]


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, str]]:
    """A bucket that holds PATHS below `data/`, and the options that lead to it."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"endpoint": f"http://{host}:{port}", "region": "us-east-1"}
    options |= {"access_key_id": "test", "secret_access_key": "test"}
    client = boto3.client(
        "s3",
        endpoint_url=options["endpoint"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket="files")
    for path in PATHS:
        client.put_object(Bucket="files", Key=f"data/{path}", Body=path.encode())
    yield options
    server.stop()


@pytest.mark.parametrize(("pattern", "expected"), PATTERNS)
def test_a_glob_finds_the_same_files_in_a_folder_and_in_a_bucket(
    pattern: str, expected: list[str], tmp_path: Path, bucket: dict[str, str]
) -> None:
    for path in PATHS:
        (tmp_path / "data" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / path).write_text(path)
    local = list_files(f"data/{pattern}", tmp_path)
    remote = list_files(f"s3://files/data/{pattern}", tmp_path, bucket)

    assert [file.name for file in local] == [f"data/{name}" for name in expected]
    assert [file.name for file in remote] == [f"s3://files/data/{name}" for name in expected]
    assert [file.size for file in local] == [file.size for file in remote]
    spool = tmp_path / "spool"
    spool.mkdir()
    assert [file.fetch(spool).read_text() for file in remote] == expected
    assert [file.fetch(spool) for file in local] == [tmp_path / "data" / name for name in expected]


def test_names_never_hold_the_path_of_this_machine(tmp_path: Path) -> None:
    site, outside = tmp_path / "site", tmp_path / "outside"
    for folder in (site, outside):
        folder.mkdir()
        (folder / "x.csv").write_text("x")

    assert [file.name for file in list_files(f"{site}/*.csv", site)] == ["x.csv"]
    assert [file.name for file in list_files(f"{outside}/*.csv", site)] == ["x.csv"]
    assert [file.name for file in list_files("../outside/*.csv", site)] == ["../outside/x.csv"]


def test_nothing_found_names_the_pattern(tmp_path: Path, bucket: dict[str, str]) -> None:
    with pytest.raises(PermanentError, match=r"grid/\*\.csv: no file matches"):
        list_files("grid/*.csv", tmp_path)
    with pytest.raises(PermanentError, match=r"s3://files/none/\*\.csv: no file matches"):
        list_files("s3://files/none/*.csv", tmp_path, bucket)
    with pytest.raises(PermanentError, match="no path in a file store"):
        list_files("ftp://files/x.csv", tmp_path)


def test_a_missing_bucket_is_permanent_and_a_silent_store_is_transient(tmp_path: Path, bucket: dict[str, str]) -> None:
    with pytest.raises(PermanentError, match="s3://absent/"):
        list_files("s3://absent/*.csv", tmp_path, bucket)
    silent = {**bucket, "endpoint": "http://127.0.0.1:9"}
    with pytest.raises(TransientError, match="s3://files/"):
        list_files("s3://files/*.csv", tmp_path, silent)


def test_a_file_that_vanished_is_permanent(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("x")
    [found] = list_files("x.csv", tmp_path)
    (tmp_path / "x.csv").unlink()

    with pytest.raises(PermanentError, match=r"x\.csv: the file is gone"):
        found.fetch(tmp_path)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Generic S3 error: status code: 403 Forbidden", DeniedError),
        ("Generic S3 error: status code: 401 Unauthorized", DeniedError),
        ("ClientError: An error occurred (AccessDenied) when calling the AssumeRole operation", DeniedError),
        ("ClientError: An error occurred (ExpiredToken) when calling the AssumeRole operation", DeniedError),
        ("error sending request for url (http://169.254.169.254/latest/api/token)", DeniedError),
        ("Generic S3 error: status code: 404 Not Found", PermanentError),
        ("Generic S3 error: status code: 400 Bad Request", PermanentError),
        ("Generic S3 error: status code: 429 Too Many Requests", TransientError),
        ("Generic S3 error: status code: 408 Request Timeout", TransientError),
        ("Generic S3 error: status code: 503 Slow Down", TransientError),
        ("error sending request for url (http://127.0.0.1:9/)", TransientError),
    ],
)
def test_what_a_store_says_is_classified_once(said: str, kind: type[SourceError]) -> None:
    error = classified("s3://b/k", GenericError(said))
    assert type(error) is kind
    assert "s3://b/k" in error.message


def test_errors_of_boto3_are_classified_like_those_of_the_store() -> None:
    def answered(status: int, code: str) -> ClientError:
        return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetThing")

    kinds = [
        (NoCredentialsError(), DeniedError),
        (answered(403, "AccessDeniedException"), DeniedError),
        (answered(400, "ValidationException"), PermanentError),
        (answered(429, "Throttling"), TransientError),
        (answered(500, "InternalError"), TransientError),
        (EndpointConnectionError(endpoint_url="https://ce.us-east-1.amazonaws.com"), TransientError),
    ]
    assert [type(classified("ce", error)) for error, _ in kinds] == [kind for _, kind in kinds]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, DeniedError), (403, DeniedError), (404, PermanentError), (422, PermanentError), (503, TransientError)],
)
def test_an_http_status_is_classified_once(status: int, kind: type[SourceError]) -> None:
    answers = httpx.MockTransport(lambda request: httpx.Response(status, text="no"))
    with pytest.raises(SourceError) as caught:
        send(client("http://x", attempts=1, transport=answers), "GET", "y", {})
    assert type(caught.value) is kind
