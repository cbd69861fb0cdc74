"""Monitoring: status, progress and health of the parts, as documents and metrics.

progress.py        progressive quality per window of impressions
documents.py       what each running part says about itself, a struct for each
status.py          these documents in Redis, written and read
monitor.py         what a worker sees of the rows that it writes
health.py          what the workers say about the features, put together
health_report.py   the same as tables, and as a document
quality_table.py   progressive quality by slice of the traffic, as a table
exporter.py        health as Prometheus metrics
metrics_server.py  these over HTTP, for this machine or for keys
"""
