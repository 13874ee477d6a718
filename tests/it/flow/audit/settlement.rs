//! What is damaged of payments and settlements, of what their events tell, and of the feed.
