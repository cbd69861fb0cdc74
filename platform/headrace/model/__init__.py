"""The ranker, in plain torch: tables, towers, calibration, batches. Nothing here knows Ray."""
