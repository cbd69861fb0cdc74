"""HTTP: the table of routes, who is answered how, and what one request may take."""
