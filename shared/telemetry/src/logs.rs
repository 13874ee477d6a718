//! Log lines as flat JSON objects: the event's fields and the fields of the spans around it.

use std::{error::Error as StdError, fmt};

use serde_json::{Map, Value};
use time::{
    OffsetDateTime, format_description::StaticFormatDescription, macros::format_description,
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    EnvFilter,
    layer::{Context, Layer, SubscriberExt as _},
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

const TIME: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Starts logging for a function, at the level in `RUST_LOG` (default `info`). Later calls have no effect.
///
/// A line holds `timestamp` (UTC), `level`, `service`, `target` and `message`, then the fields of the spans around it,
/// from the outermost inwards, and then its own. If two fields have the same name, the inner one is written.
#[expect(
    clippy::disallowed_methods,
    reason = "logging starts before any settings are read, and RUST_LOG is its own"
)]
pub fn init(service: &'static str) {
    let (filter, refused) = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Err(_) => (EnvFilter::new("info"), None),
        Ok(text) => match EnvFilter::try_new(&text) {
            Ok(filter) => (filter, None),
            Err(error) => (EnvFilter::new("info"), Some(error.to_string())),
        },
    };
    let lines = Lines {
        service,
        write: crate::write_line,
        now: OffsetDateTime::now_utc,
    };
    let first = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .is_ok();
    if let (true, Some(error)) = (first, refused) {
        tracing::warn!(error, "RUST_LOG is invalid, logging at info");
    }
}

/// The layer that writes lines.
struct Lines<W> {
    service: &'static str,
    write: W,
    now: fn() -> OffsetDateTime,
}

/// A span's fields, kept beside it.
struct SpanFields(Map<String, Value>);

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields.0));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(SpanFields(fields)) = span.extensions_mut().get_mut::<SpanFields>()
        {
            let mut recorded = Fields::default();
            values.record(&mut recorded);
            fields.extend(recorded.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Map::new();
        let moment = (self.now)();
        line.insert(
            "timestamp".into(),
            moment.format(TIME).unwrap_or_default().into(),
        );
        line.insert("level".into(), event.metadata().level().as_str().into());
        line.insert("service".into(), self.service.into());
        line.insert("target".into(), event.metadata().target().into());
        let mut fields = Map::new();
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            if let Some(SpanFields(of_span)) = span.extensions().get::<SpanFields>() {
                fields.extend(of_span.clone());
            }
        }
        let mut own = Fields::default();
        event.record(&mut own);
        fields.extend(own.0);
        // A field must not replace one of the line's own.
        for (name, value) in fields {
            if line.contains_key(&name) {
                line.insert(format!("field.{name}"), value);
            } else {
                line.insert(name, value);
            }
        }
        (self.write)(&Value::Object(line).to_string());
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        // `r#type` is how the macro writes a field whose name is a keyword.
        self.0
            .insert(name.strip_prefix("r#").unwrap_or(name).to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }
    fn record_error(&mut self, field: &Field, value: &(dyn StdError + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(inner) = source {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            source = inner.source();
        }
        self.put(field, text.into());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;

    fn lines_of(act: impl FnOnce()) -> Vec<Value> {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&written);
        let lines = Lines {
            service: "cloud-api",
            write: move |line: &str| sink.lock().unwrap().push(line.to_owned()),
            now: || OffsetDateTime::from_unix_timestamp_nanos(1_795_219_200_123_456_789).unwrap(),
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), act);
        let written = written.lock().unwrap();
        written
            .iter()
            .map(|line| {
                assert!(!line.contains('\n'), "one object per line");
                serde_json::from_str(line).expect("a line is JSON")
            })
            .collect()
    }

    #[test]
    fn a_line_holds_the_fields_of_its_spans_and_its_own_flat() {
        let lines = lines_of(|| {
            let outer = tracing::info_span!(
                "request",
                correlation_id = "c-1",
                attempt = 1,
                later = tracing::field::Empty
            );
            let _outer = outer.enter();
            outer.record("later", "known now");
            let inner = tracing::info_span!("record", attempt = 2_u64);
            let _inner = inner.enter();
            tracing::warn!(
                outcome = "parked",
                ok = false,
                share = 0.5,
                "two\nlines \"quoted\""
            );
        });
        assert_eq!(
            lines,
            [json!({
                "timestamp": "2026-11-21T00:00:00.123Z",
                "level": "WARN",
                "service": "cloud-api",
                "target": "telemetry::logs::tests",
                "message": "two\nlines \"quoted\"",
                "correlation_id": "c-1",
                "later": "known now",
                "attempt": 2,
                "outcome": "parked",
                "ok": false,
                "share": 0.5,
            })]
        );
    }

    #[test]
    fn a_field_cannot_pass_itself_off_as_the_level_or_time() {
        let lines = lines_of(|| tracing::info!(level = "critical", timestamp = 5, "x"));
        assert_eq!(lines[0]["level"], "INFO");
        assert_eq!(lines[0]["field.level"], "critical");
        assert_eq!(lines[0]["field.timestamp"], 5);
    }

    #[test]
    fn an_error_is_told_with_its_sources() {
        #[derive(Debug)]
        struct Outer(std::io::Error);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("cannot read")
            }
        }
        impl StdError for Outer {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&self.0)
            }
        }
        let error = Outer(std::io::Error::other("gone"));
        let lines = lines_of(|| tracing::error!(error = &error as &dyn StdError, "failed"));
        assert_eq!(lines[0]["error"], "cannot read: gone");
    }
}
