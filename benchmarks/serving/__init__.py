"""A request for a slate, and what it costs beside what it cannot do without.

parts.py           the parts by name, and their flags
shop.py            a shop to serve: generated items with states, users with histories, a version
served.py          `headrace serve` on a shop, or another server, in processes of their own
client.py          connections that ask again as soon as they are answered
floor.py           hello-world, one read of rows, and the ranker's bare forward
one_connection.py  a request over that floor, with 2,000 to 1,000,000 items; ranking given items
saturation.py      many connections: beside hello-world and the tutorial's way, and overload
whole.py           `headrace up`: idle cores, a behaviour and what it changes, new items
"""
