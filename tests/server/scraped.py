"""A scrape of a server, as Prometheus reads it."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import KEY

Samples = dict[str, float]
"""By name and labels, as they are written: `sayso_followers{transport="ws"}`; labels in the order of their names."""


def scrape(url: str, key: str = KEY, accept: str = "text/plain") -> httpx.Response:
    response = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {key}", "Accept": accept}, timeout=30)
    assert response.status_code == 200, response.text
    return response


def samples_of(text: str) -> Samples:
    """What a scrape in the text format of Prometheus holds."""
    return {
        sample.name + _labels(sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def samples(url: str, key: str = KEY) -> Samples:
    return samples_of(scrape(url, key).text)


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{labels[name]}"' for name in sorted(labels)) + "}" if labels else ""
