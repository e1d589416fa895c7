"""Who looks after the assets, how fresh they are to be, and what a training asks of a cluster."""

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


def cluster_tags(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """What a training's step asks of Kubernetes (dagster-k8s); elsewhere nobody reads it.

    Args:
        environment: `AGRI_K8S_GPUS` (default 1; 0 asks for none) and `AGRI_K8S_MEMORY` (default 16Gi).
    """
    limits = {"memory": environment.get("AGRI_K8S_MEMORY", "16Gi")}
    if (devices := environment.get("AGRI_K8S_GPUS", "1")) != "0":
        limits["nvidia.com/gpu"] = devices
    return {"dagster-k8s/config": {"container_config": {"resources": {"limits": limits}}}}
