"""Ads: campaigns, and the auction that says who is shown and for how much."""
