# Read a topic's table with Polars, where the server keeps its data in ./data. Run with:
#   pip install polars "pyiceberg[pyarrow]" && python read_polars.py
import polars

orders = polars.scan_iceberg("data/warehouse/default/orders")
print(orders.select("id", "customer", "amount", "kafka_offset").sort("id").collect())
