"""One step of the stream: records in, effects out, without any input or output."""
