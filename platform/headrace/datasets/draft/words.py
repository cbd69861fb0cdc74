"""Words in the names of columns and in values, by what they mean: English ones as shops use
them, and the commonest of three other languages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

# What a column is, by the words in its name.
ROLES: Final[Mapping[str, frozenset[str]]] = {
    role: frozenset(words.split())
    for role, words in {
        "user_id": "user customer visitor member client account buyer shopper person reader viewer "
        "listener subscriber guest uid cust usr u kunde kundennr client cliente usuario",
        "item_id": "item product article sku asin isbn ean upc gtin stock material iid pid goods "
        "movie film song track book news video listing content i artikel produkt "
        "produit producto articulo",
        "time": "time timestamp ts date datetime dt dat at when created occurred purchased t "
        "datum zeit fecha hora heure",
        "action": "action event behavior behaviour activity interaction operation",
        "rating": "rating stars star score grade rate",
        "money": "price amount total revenue paid cost sum sales unitprice spend preis betrag "
        "prix montant precio importe",
        "quantity": "quantity qty units pieces num count menge anzahl quantite cantidad",
        "currency": "currency curr ccy",
        "request_id": "request session impression pageview pv visit slate page view search",
        "position": "position pos rank slot place index",
        "surface": "surface page placement screen section channel tab",
        "title": "title name headline label",
        "description": "description desc details text abstract summary body",
        "categories": "category categories genre genres tag tags department class subcategory cat "
        "group type",
        "image": "image picture photo img thumbnail poster cover",
        "vector": "vector embedding",
        "property": "property attribute key",
        "value": "value",
        "order": "order invoice basket transaction receipt ticket bestellung auftrag "
        "commande pedido",
        "of_item": "brand color colour size maker manufacturer model material author publisher",
        "of_user": "country city region state gender sex age segment tier zip postal occupation "
        "language income device os browser",
    }.items()
}
IDS: Final = frozenset("id ids no nr number code key num uuid guid hash".split())

# What was done, by the name of a column of yes and no, or by a value of an action column; the first
# that has a word of it. Who opens an item's own page has chosen it: such a view is a click.
DEEDS: Final[Mapping[str, frozenset[str]]] = {
    action: frozenset(words.split())
    for action, words in {
        "": "remove removed delete deleted cancel cancelled undo return returned refund refunded",
        "add_to_cart": "cart basket bag addtocart addtobasket",
        "purchase": "purchase purchased buy bought order ordered transaction transactions paid "
        "checkout sale sold converted conversion booking booked orders "
        "sales purchases bestellungen commandes pedidos",
        "hide": "hide hidden dismiss dismissed dislike disliked skip skipped downvote not",
        "report": "report reported spam abuse",
        "share": "share shared forward retweet repost",
        "like": "like liked likes fav favorite favourite wishlist wish save saved upvote bookmark",
        "long_view": "long longview complete completed finish finished",
        "click": "click clicked clicks open opened tap select view viewed views pageview pv detail "
        "details visit visits browse read watch",
        "shown": "impression impressions impr shown show exposure exposed display displayed",
    }.items()
}
SHOWN: Final = "shown"  # of a value: an impression
BUYS: Final = "purchase"
LIKELY: Final = ("click", BUYS, "add_to_cart", "like")  # of rows that do not say what was done
_HUMPS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD: Final = re.compile(r"[^\W\d_]+|\d+")


def words_of(name: str) -> tuple[str, ...]:
    """The words in a name: the same two of customerID, Customer-Id and customer_id:token."""
    spaced = _HUMPS.sub(" ", name.partition(":")[0])
    return tuple(word.lower() for word in _WORD.findall(spaced))


def fit(name: str, role: str) -> int:
    """How well a name fits a role: 3 it says so, 2 nearly, 1 among other words, 0 not at all."""
    words, known = set(words_of(name)), ROLES[role]
    glued = {word: word.removesuffix("id") for word in words if word.endswith("id")}  # visitorid
    mine = words & known | {word for word, stem in glued.items() if stem in known}
    if not mine:
        return 0
    if words - mine - IDS:
        return 1
    says_so = words & IDS or mine & set(glued) or role not in ("user_id", "item_id")
    return 3 if says_so else 2


def is_id(name: str) -> bool:
    """Whether a name ends as those of ids do."""
    return (words_of(name) or ("",))[-1] in IDS


def deed(name: str) -> str | None:
    """The action that a value or the name of a column means: empty where it undoes one, None where
    it means none that is known."""
    words = set(words_of(name))
    return next((action for action, known in DEEDS.items() if words & known), None)
