//! Whether templates, alarms, code and rights fit together. A binary of its own beside the crate that renders the templates: it needs
//! nothing else, so `make check-wiring` answers within seconds.

mod settings;
mod wiring;
