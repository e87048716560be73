"""An S3 bucket on a real server (moto) for tests of what lies in object stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import boto3
from moto.server import ThreadedMotoServer

from energy_assets.storage import Storage


@contextmanager
def s3_bucket() -> Iterator[Storage]:
    """A storage root in a fresh bucket of its own name, as moto's servers of one process share their buckets."""
    name = f"lake-{uuid4().hex[:12]}"
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    options = {
        "aws_endpoint": f"http://{host}:{port}",
        "aws_region": "eu-west-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    try:
        s3 = boto3.client(
            "s3",
            endpoint_url=options["aws_endpoint"],
            region_name=options["aws_region"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        yield Storage(f"s3://{name}/root", options)
    finally:
        server.stop()
