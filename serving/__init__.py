"""Ray Serve deployments.

__main__.py     deploys it
deployment.py   the deployment, without what a replica imports
app.py          a replica: what answers the routes
health.py       /livez, /readyz, /healthz
reporter.py     what a replica says of itself in Redis
impressions.py  impressions on their way to the log, behind the answers
breaker.py      a server that does not answer is left alone until it does
recommend.py    the stages by which a request becomes a slate
lists.py        lists beside slates: given items ranked, similar ones, what trends
ads.py          the stages by which a request becomes ads
explain.py      why items get their scores
loopback.py     keeps a replica's own server off the network
campaigns.yaml  campaigns to try, for MovieLens-100K
"""
