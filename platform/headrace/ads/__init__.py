"""Ads: campaigns, and the auction that says who is shown and for how much.

campaign.py  campaigns and their file
auction.py   who wins and for how much
budgets.py   money: reserved, charged, given back
"""
