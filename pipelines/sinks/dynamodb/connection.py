"""A boto3 client with its own retries and kinds of errors, which sends batches as they were encoded."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Self
from urllib.parse import urlsplit

import boto3
from botocore import exceptions as aws
from botocore.config import Config
from botocore.parsers import ResponseParserError

from pipelines.errors import ConfigError, SinkError
from pipelines.settings import DynamoSettings, is_loopback
from pipelines.sinks.dynamodb.target import PARTITION_KEY, SORT_KEY, LoadOptions
from pipelines.sinks.errors import RemoteError, SinkAuthenticationError, SinkUnavailableError

_LOG = logging.getLogger(__name__)

#: No answer, or one that broke off.
_DROPPED = (aws.ConnectionError, aws.HTTPClientError, aws.IncompleteReadError, ResponseParserError)
_NO_CREDENTIALS = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.TokenRetrievalError,
    aws.NoAuthTokenError,
)
#: Refusals that did nothing and pass.
_OVERLOAD = (
    "ProvisionedThroughputExceededException", "ThrottlingException", "Throttling",
    "RequestLimitExceeded", "LimitExceededException",
)  # fmt: skip
_AUTHENTICATION = (
    "AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId", "ExpiredTokenException",
    "InvalidSignatureException", "IncompleteSignatureException", "IncompleteSignature", "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException", "MissingAuthenticationToken",
)  # fmt: skip


class PassingError(SinkError):
    """One try failed for a transient reason."""


class _Encoded(dict[str, Any]):
    """Request items that are encoded already; botocore is shown an empty list of them."""

    def __init__(self, table: str, body: bytes) -> None:
        super().__init__({table: []})
        self.body = body


class Connection:
    """Requests to DynamoDB. Every request that the sink makes may be made twice without harm.

    Use as a context manager; threads may share it. Credentials are found by boto3 in its usual places; a
    missing region, and an address or profile that is not valid, are errors of the configuration.
    """

    def __init__(self, settings: DynamoSettings, options: LoadOptions) -> None:
        self._settings = settings
        self._http = options.http
        config = Config(
            connect_timeout=options.connect_timeout_s,
            read_timeout=options.read_timeout_s,
            max_pool_connections=options.threads + 2,
            retries={"total_max_attempts": 1},  # its own would hide throttling from our backoff
            parameter_validation=False,
            # A proxy cannot reach our loopback.
            proxies={} if is_loopback(urlsplit(settings.endpoint_url).hostname) else None,
        )
        try:
            self._client = boto3.session.Session().client(
                "dynamodb",
                region_name=settings.region or None,
                endpoint_url=settings.endpoint_url or None,
                config=config,
            )
        except aws.NoRegionError:
            raise ConfigError("no AWS region is set: set MILLRACE_DYNAMODB__REGION") from None
        except (aws.ProfileNotFound, aws.ConfigParseError, ValueError) as error:
            raise ConfigError(f"DynamoDB's client cannot be made: {error}") from None
        events = self._client.meta.events
        events.register("before-parameter-build.dynamodb.BatchWriteItem", _keep_body)
        events.register("before-call.dynamodb.BatchWriteItem", _put_body)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.close()

    @property
    def where(self) -> str:
        """Address and region, for messages."""
        meta = self._client.meta
        return f"{meta.endpoint_url} ({meta.region_name})"

    def attempt(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Make one request, by a method of the boto3 client such as ``get_item``, once.

        Raises ``PassingError`` if there is no answer or the service is overloaded, ``RemoteError`` if it
        refused for another reason, ``SinkAuthenticationError`` if it refused the credentials or they lack a
        permission, and ``ConfigError`` if there are none.
        """
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
        except aws.ClientError as error:
            raise self._kind(operation, error) from error
        except _DROPPED as error:
            raise PassingError(f"{operation}: no answer ({type(error).__name__}: {error})") from error
        except _NO_CREDENTIALS as error:
            raise ConfigError(
                f"boto3 found no usable credentials for DynamoDB ({type(error).__name__}): set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the machine a role"
            ) from None
        return answer

    def call(self, operation: str, *, unless: str | None = None, **arguments: Any) -> dict[str, Any]:
        """Make a request, and repeat it after transient failures; see :meth:`attempt`.

        A refusal with the code ``unless`` is no error: the answer is then empty. Raises
        ``SinkUnavailableError`` if all tries failed.
        """
        last = ""
        for attempt in self._http.tries():
            try:
                return self.attempt(operation, **arguments)
            except RemoteError as error:
                if error.code != unless:
                    raise
                return {}
            except PassingError as error:
                last = str(error)
                _LOG.warning("%s (try %d of %d)", last, attempt + 1, self._http.attempts)
        raise self.unavailable(self._http.attempts, last)

    def query_keys(self, table: str, partition_key: str) -> list[dict[str, Any]]:
        """Keys of all items with a partition key, read consistently, all pages."""
        query: dict[str, Any] = {
            "TableName": table,
            "ConsistentRead": True,
            "KeyConditionExpression": f"{PARTITION_KEY} = :key",
            "ExpressionAttributeValues": {":key": {"S": partition_key}},
            "ProjectionExpression": f"{PARTITION_KEY}, {SORT_KEY}",
        }
        answer = self.call("query", **query)
        found: list[dict[str, Any]] = answer.get("Items", [])
        while answer.get("LastEvaluatedKey"):
            answer = self.call("query", **query, ExclusiveStartKey=answer["LastEvaluatedKey"])
            found += answer.get("Items", [])
        return found

    def put_batch(self, table: str, lines: Sequence[str]) -> dict[str, Any]:
        """Put at most 25 items that are encoded already, each ``{"PutRequest":{"Item":{...}}}``, in one try.

        botocore would walk through every number of every item in Python, which costs more than the service
        takes; the body is therefore put together from the lines that the rows were encoded to.
        """
        requests = f'{{"RequestItems":{{"{table}":[{",".join(lines)}]}},"ReturnConsumedCapacity":"TOTAL"}}'
        return self.attempt("batch_write_item", RequestItems=_Encoded(table, requests.encode()))

    def unavailable(self, tries: int, last: str) -> SinkUnavailableError:
        """Build the error of a service that stayed unavailable."""
        return SinkUnavailableError(
            f"DynamoDB at {self.where} did not complete a request in {tries} tries, last: {last}. "
            "Run the publish again later: it resumes where it stopped"
        )

    def _kind(self, operation: str, error: aws.ClientError) -> SinkError:
        answer: dict[str, Any] = error.response.get("Error", {})
        code, message = str(answer.get("Code", "")), str(answer.get("Message", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        said = f"{operation}: HTTP {status} {code} {message}".strip()
        if code in _OVERLOAD or status >= 500 or status == 429:
            return PassingError(said)
        if code in _AUTHENTICATION:
            return SinkAuthenticationError(
                f"DynamoDB at {self.where} refused the credentials: {said}. The role needs DescribeTable, GetItem, "
                "BatchGetItem, PutItem and BatchWriteItem on the table, and Query and DeleteItem to forget people"
            )
        return RemoteError(said, status=status, code=code)


def _keep_body(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    """Before botocore encodes the parameters: keep what is encoded already."""
    items = params["RequestItems"]
    if isinstance(items, _Encoded):
        context["encoded_items"] = items.body
        params["RequestItems"] = dict(items)  # botocore tells kinds of values by their exact type


def _put_body(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    """Before the request is signed: put it in."""
    if "encoded_items" in context:
        params["body"] = context["encoded_items"]
