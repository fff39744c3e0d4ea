//! Topics as Iceberg tables: columns to Parquet, committed exactly once.
