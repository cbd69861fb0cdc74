"""Display: what the parts say, put together for the live view and the report."""
