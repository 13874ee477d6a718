//! The way back after outages longer than the stream remembers: walks the log for pending rows and publishes them.
