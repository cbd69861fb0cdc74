"""The API: requests and answers, and where a client on this machine finds it.

routes.py     THE table of routes: of it are made router, OpenAPI document and client
endpoint.py   a row of it
slate.py      requests for slates and ads, and the answers
events.py     posted behaviour
documents.py  items and users that are put, changed and taken away
health.py     the answers of health checks
fault.py      the body of an answer that is no success
client.py     the Python client: a call for each row of the table
front.py      the platform's own API, as headrace's own commands ask it
"""
