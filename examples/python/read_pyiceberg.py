# Read a topic's table with PyIceberg, through the catalog that the server keeps in ./data. Run with:
#   pip install "pyiceberg[sql-sqlite,pyarrow]" && python read_pyiceberg.py
from pyiceberg.catalog.sql import SqlCatalog

catalog = SqlCatalog("fletch", uri="sqlite:///data/catalog.db", warehouse="data/warehouse")
orders = catalog.load_table("default.orders")
for order in orders.scan(row_filter="amount > 20").to_arrow().to_pylist():
    print(order["id"], order["customer"], order["amount"], order["kafka_timestamp"])
