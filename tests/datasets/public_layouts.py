"""A few invented rows in the layouts of public logs, with what is odd about each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

Files = Mapping[str, str]

RETAILROCKET: Final[Files] = {
    "events.csv": """\
timestamp,visitorid,event,itemid,transactionid
1433221332117,257597,view,355908,
1433221952117,257597,addtocart,355908,
1433222276276,257597,transaction,355908,4000
1433221999827,992329,view,248676,
1433223236124,111016,view,318965,
1433223239124,111016,view,999999,
""",
    "item_properties_part1.csv": """\
timestamp,itemid,property,value
1431226800000,355908,categoryid,1338
1431226800000,355908,available,1
1435460400000,355908,790,n21000.000
1431226800000,355908,790,n90.000
1431226800000,248676,categoryid,1338
1431226800000,248676,888,1116713 960601 n277.200
""",
    "item_properties_part2.csv": """\
timestamp,itemid,property,value
1435460400000,355908,available,0
1431226800000,318965,categoryid,209
1431226800000,318965,790,n9600.000
""",
    "category_tree.csv": "categoryid,parentid\n1338,278\n209,293\n278,\n",
}

UCI_ONLINE_RETAIL: Final[Files] = {
    "data.csv": """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,12/1/2010 8:26,2.55,17850,United Kingdom
536365,71053,WHITE METAL LANTERN,6,12/1/2010 8:26,3.39,17850,United Kingdom
536370,22728,ALARM CLOCK BAKELIKE PINK,24,12/1/2010 8:45,3.75,12583,France
536414,22139,"POSTE FRANÇAISE, 12",56,12/1/2010 11:52,0,,United Kingdom
536544,21773,DECORATIVE ROSE BATHROOM BOTTLE,1,12/1/2010 14:32,2.51,,United Kingdom
C536391,71053,WHITE METAL LANTERN,-6,12/2/2010 10:24,3.39,17850,United Kingdom
536589,21777,,-10,12/1/2010 16:50,0,,United Kingdom
""",
}

H_AND_M: Final[Files] = {
    "transactions_train.csv": """\
t_dat,customer_id,article_id,price,sales_channel_id
2018-09-20,000058a12d5b43e67d22,0663713001,0.05083050847457627,2
2018-09-20,000058a12d5b43e67d22,0541518023,0.030491525423728813,2
2018-09-20,00007d2de826758b65a9,0663713001,0.05083050847457627,1
2018-09-20,00007d2de826758b65a9,0663713001,0.05083050847457627,1
2018-09-21,00007d2de826758b65a9,0663713001,0.05083050847457627,1
""",
    "articles.csv": """\
article_id,product_code,prod_name,product_type_name,product_group_name,graphical_appearance_name,\
colour_group_name,index_group_name,detail_desc
0663713001,0663713,Atlanta Push Body Harlow,Underwear body,Underwear,Solid,Black,Ladieswear,\
"Lace push-up body with underwired, moulded, padded cups."
0541518023,0541518,Rae Push (Melbourne) 2p,Bra,Underwear,Solid,Light Pink,Ladieswear,
""",
    "customers.csv": """\
customer_id,FN,Active,club_member_status,fashion_news_frequency,age,postal_code
000058a12d5b43e67d22,,,ACTIVE,NONE,49.0,52043ee2162cf5aa7ee7
00007d2de826758b65a9,1.0,1.0,ACTIVE,Regularly,,4b6efa810052043ee216
""",
}

OLIST: Final[Files] = {
    "olist_orders_dataset.csv": """\
"order_id","customer_id","order_status","order_purchase_timestamp","order_approved_at"
"o1","c1","delivered","2017-10-02 10:56:33","2017-10-02 11:07:15"
"o2","c2","shipped","2018-07-24 20:41:37",""
"o3","c3","canceled","2018-08-08 08:38:49",""
""",
    "olist_order_items_dataset.csv": """\
"order_id","order_item_id","product_id","seller_id","shipping_limit_date","price","freight_value"
"o1",1,"p1","s1","2017-10-06 11:07:15",29.99,8.72
"o1",2,"p1","s1","2017-10-06 11:07:15",29.99,8.72
"o2",1,"p2","s2","2018-07-30 03:24:27",118.70,22.76
"o3",1,"p2","s2","2018-08-13 08:55:23",118.70,19.22
""",
    "olist_customers_dataset.csv": """\
"customer_id","customer_unique_id","customer_zip_code_prefix","customer_city","customer_state"
"c1","u1","03149","sao paulo","SP"
"c2","u2","47813","barreiras","BA"
"c3","u1","03149","sao paulo","SP"
""",
    "olist_products_dataset.csv": """\
"product_id","product_category_name","product_name_lenght","product_photos_qty"
"p1","utilidades_domesticas",40,1
"p2","perfumaria",29,1
"p3",,,
""",
    "product_category_name_translation.csv": """\
\ufeffproduct_category_name,product_category_name_english
utilidades_domesticas,housewares
perfumaria,perfumery
""",
}

MIND: Final[Files] = {
    "behaviors.tsv": """\
1\tU13740\t11/11/2019 9:05:58 AM\tN20678 N20495\tN55689-1 N35729-0
2\tU91836\t11/12/2019 6:11:30 PM\t\tN20678-0 N20495-1 N55689-0
3\tU73700\t11/14/2019 7:01:48 AM\tN35729\tN35729-0 N20678-0
""",
    "news.tsv": """\
N55689\tsports\tfootball_nfl\tCharles Rogers dead at 38\t"He's gone", they say\thttps://a/1\t[]\t[]
N35729\tnews\tnewscrime\tPorsche launches into second story\t\thttps://a/2\t[{"Label": "P"}]\t[]
N20678\tsports\tfootball_nfl\tThe "quoted\tA\thttps://a/3\t[]\t[]
N20495\tsports\tbasketball_nba\tOf the game\tA\thttps://a/4\t[]\t[]
""",
}

ENCODINGS: Final = {"data.csv": "latin-1"}  # in which that log is published


def written(folder: Path, files: Files) -> Path:
    """The folder with these files."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding=ENCODINGS.get(name, "utf-8"))
    return folder
