"""Watches how a program performs: alerts while it runs, and sampling that follows a budget."""

from __future__ import annotations

from otel_ext.monitor.alert import Alert
from otel_ext.monitor.budget_sampler import BudgetSampler
from otel_ext.monitor.performance import PerformanceMonitor
from otel_ext.monitor.thresholds import Thresholds
from otel_ext.monitor.watch import MemorySample

__all__ = ["Alert", "BudgetSampler", "MemorySample", "PerformanceMonitor", "Thresholds"]
