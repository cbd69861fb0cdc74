"""The HTTP layer: the table of routes, access control, and the limits of one request.

routes.py   the table of routes (`headrace.api.routes`), answered by a replica
route.py    one of them
openapi.py  the table as an OpenAPI document
router.py   from a request to its route's answer, and what HTTP says where there is none
door.py     what is asked of every request before its route sees it
auth.py     whose key a request carries, and what it may do
rate.py     how often one key or one address may ask
site.py     Host, Origin, and what browsers are told
problem.py  answers with the status of an error
body.py     what may be posted, how large and how slowly
budget.py   threads and places of some routes, apart from the others'
"""
