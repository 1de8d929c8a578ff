"""The dashboards of the chart: their rules, their queries on a real Prometheus, their pictures."""
