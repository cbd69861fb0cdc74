"""The stream: validated events in; feature rows, labelled samples and dead letters out."""
