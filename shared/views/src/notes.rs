//! In-app notes: notices that a member sees in the application.

use std::time::Duration;

use events::{EventId, MemberId, Timestamp};
use outbox::{Cursor, Key, Query, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long a note is kept after the event happened.
pub const NOTE_LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The icon of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Icon {
    /// The member received something.
    Success,
    /// Information.
    Info,
}

/// A note to a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// The title, a few words.
    pub title: String,
    /// The text, one sentence of plain text. A page that shows it as HTML must escape it.
    pub body: String,
    /// The target of the note: a path under the application's URL.
    pub link: String,
    /// The icon.
    pub icon: Icon,
    /// When the event happened.
    pub created_at: Timestamp,
    /// The event that the note is about.
    pub event_id: EventId,
}

/// A note as it is stored.
#[derive(Debug, Serialize)]
pub struct StoredNote<'a> {
    #[serde(flatten)]
    note: &'a Note,
    /// DynamoDB TTL, seconds since 1970.
    expires_at: i64,
}

impl Note {
    /// The key of the note's row, by time within the member's partition. There is one note per event and `kind`.
    #[must_use]
    pub fn key(&self, table: &Table, member_id: &MemberId, kind: &str) -> Key {
        // A timestamp's text has a fixed width, so it sorts by time.
        let sk = format!("{}#{}#{kind}", self.created_at, self.event_id);
        table.key(partition(member_id), sk)
    }

    /// The row.
    #[must_use]
    pub fn stored(&self) -> StoredNote<'_> {
        StoredNote {
            note: self,
            expires_at: self.created_at.plus(NOTE_LIFE).unix_seconds(),
        }
    }
}

fn partition(member_id: &MemberId) -> String {
    format!("note#{member_id}")
}

/// A page of a member's [`Note`]s, newest first.
#[must_use]
pub fn page(table: &Table, member_id: &MemberId, limit: u32, after: Option<Cursor>) -> Query {
    Query {
        descending: true,
        after,
        ..Query::partition(table, partition(member_id), limit)
    }
}

#[cfg(test)]
mod tests {
    use outbox::{Store, encode_item, memory::MemoryStore};

    use super::*;

    fn note(minute: u8, id: u8) -> Note {
        Note {
            title: format!("{minute}/{id}"),
            body: "body".into(),
            link: "/cloud".into(),
            icon: Icon::Info,
            created_at: format!("2026-11-21T10:{minute:02}:00.000Z")
                .parse()
                .expect("a moment"),
            event_id: format!("00000000-0000-7000-8000-0000000000{id:02}")
                .parse()
                .expect("an id"),
        }
    }

    #[tokio::test]
    async fn notes_come_newest_first_page_by_page_and_only_the_members_own() {
        let (store, table) = (MemoryStore::new(), Table::domain("notifications"));
        let mine = MemberId::new("member-1").expect("an id");
        // An id that begins with the first one's text.
        let other = MemberId::new("member-10").expect("an id");
        for (member, note) in [
            (&mine, note(9, 1)),
            (&mine, note(11, 2)),
            (&mine, note(11, 3)),
            (&other, note(12, 4)),
        ] {
            let item = encode_item(&note.key(&table, member, "sent"), &note.stored());
            let put = store.put_all(&table, &[item.expect("writes")]).await;
            put.expect("answers");
        }
        let mut after = None;
        let mut titles = Vec::new();
        loop {
            let asked = store.query(&page(&table, &mine, 2, after)).await;
            let found = asked.expect("answers");
            for item in found.items {
                let key = table.key("note#member-1", "*");
                let read: Note = outbox::decode_item(&key, item).expect("reads");
                titles.push(read.title);
            }
            after = found.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(titles, ["11/3", "11/2", "9/1"]);
    }

    #[test]
    fn a_note_goes_a_year_after_what_it_tells() {
        let stored = serde_json::to_value(note(0, 1).stored()).expect("serialises");
        let days = (stored["expires_at"].as_i64().expect("seconds")
            - note(0, 1).created_at.unix_seconds())
            / 86_400;
        assert_eq!(days, 365);
    }
}
