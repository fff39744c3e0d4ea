# Read a topic's table with DuckDB, where the server keeps its data in ./data. Run with:
#   pip install duckdb && python read_duckdb.py
import duckdb

print(duckdb.sql("""
    SELECT id, customer, amount, placed_at, note
    FROM iceberg_scan('data/warehouse/default/orders')
    ORDER BY id
"""))
