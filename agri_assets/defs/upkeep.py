"""Who looks after the assets, how fresh they are to be, when they are tried again, and what a cluster is asked for."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dagster as dg

DATA_OWNERS, MODEL_OWNERS = ["team:data-platform"], ["team:machine-learning"]
"""Shown in the web UI, by which people find whom to ask."""

NIGHTLY = dg.FreshnessPolicy.time_window(warn_window=timedelta(days=2), fail_window=timedelta(days=7))
WEEKLY = dg.FreshnessPolicy.time_window(warn_window=timedelta(days=8), fail_window=timedelta(days=15))
"""What the schedules of these names keep: late after one that failed, stale after several."""

HOST_RETRIES = dg.RetryPolicy(max_retries=3, delay=60, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""Where another host is read: about a minute, two and four after it did not answer."""


def cluster_tags(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """What a training's step asks of Kubernetes (dagster-k8s); elsewhere nobody reads it.

    Args:
        environment: `AGRI_K8S_GPUS` (default 1; 0 asks for none) and `AGRI_K8S_MEMORY` (default 16Gi).
    """
    limits = {"memory": environment.get("AGRI_K8S_MEMORY", "16Gi")}
    if (devices := environment.get("AGRI_K8S_GPUS", "1")) != "0":
        limits["nvidia.com/gpu"] = devices
    return {"dagster-k8s/config": {"container_config": {"resources": {"limits": limits}}}}
