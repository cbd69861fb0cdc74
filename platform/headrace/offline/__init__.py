"""The offline store: what the topics carried, as Parquet files, and what is made from them."""
