"""What a monitoring system reads: `GET /metrics`, in the text formats of Prometheus and OpenMetrics."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sayso.meters import Meters, Metric, Spread, Values
from sayso.server.access import Access, access_of

if TYPE_CHECKING:
    from prometheus_client import Metric as Family


_OPEN_METRICS: Final = "application/openmetrics-text"


def routes(access: Access, meters: Meters) -> list[BaseRoute]:
    async def metrics(request: Request) -> Response:
        # First the gateway's: who may not see those sees none.
        found = [*await access_of(request, access).call(lambda gateway: gateway.metrics()), *meters.read(), _node()]
        # In a thread: writing it down, and loading what does so, would hold up everyone else on this loop.
        body, media = await asyncio.to_thread(_written, found, request.headers.get("accept", ""))
        return Response(body, headers={"Cache-Control": "no-store", "Content-Type": media})

    return [Route("/metrics", metrics, methods=["GET"])]


def _node() -> Metric:
    samples: tuple[tuple[Values, float], ...] = (((version("sayso"),), 1.0),)
    return Metric(name="sayso_node_info", help="This node.", kind="gauge", labels=("version",), samples=samples)


def _written(metrics: Sequence[Metric], accept: str) -> tuple[bytes, str]:
    """The metrics in the format that the caller prefers, and its media type."""
    from prometheus_client import CollectorRegistry, ProcessCollector  # noqa: PLC0415 - most servers are never asked
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415

    registry = CollectorRegistry()  # the library's own one is for whatever else runs in this process
    ProcessCollector(registry=registry)
    registry.register(_Found(metrics))
    # The library stumbles over versions that are none, and repeats those that it does not know.
    encode, media = choose_encoder(_OPEN_METRICS if _OPEN_METRICS in accept else "")
    return encode(registry), media


class _Found:
    """What was read, as the library takes it."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Family]:
        from prometheus_client.core import (  # noqa: PLC0415
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        families = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
        for metric in self._metrics:
            family: Any = families[metric.kind](metric.name, metric.help, labels=metric.labels)
            for values, value in metric.samples:
                if isinstance(value, Spread):
                    family.add_metric(values, _buckets(value), value.sum)
                else:
                    family.add_metric(values, value)
            yield family


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    from prometheus_client.utils import floatToGoString  # noqa: PLC0415

    return [
        (floatToGoString(bound), float(count))  # type: ignore[no-untyped-call]
        for bound, count in zip((*spread.bounds, math.inf), accumulate(spread.counts), strict=True)
    ]
