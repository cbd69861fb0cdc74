"""Display: the parts' own reports, aggregated for the live view and the report.

totals.py  what the parts say, put together
screen.py  the live table, or plain lines
report.py  the summary at the end
"""
