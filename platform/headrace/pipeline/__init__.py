"""The request path: named stages over one context, in pure functions of what a replica holds."""
