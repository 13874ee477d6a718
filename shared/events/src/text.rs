//! Text types with a fixed shape. Each type and its JSON Schema accept the same texts.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use crate::{Sequence, Violation, Violations, contracts::wallet::AccountType, violation::escape};

/// Why a text was refused. The message never repeats the text, because it may be personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {expected}")]
pub struct TextError {
    what: &'static str,
    expected: &'static str,
}

impl TextError {
    pub(crate) const fn new(what: &'static str, expected: &'static str) -> Self {
        Self { what, expected }
    }
}

fn length_within(text: &str, min: usize, max: usize) -> bool {
    let length = text.chars().count();
    (min..=max).contains(&length)
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal, $pattern:literal, $min:literal..=$max:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Cow<'static, str>);

        impl $name {
            /// Accepts a text of this type's shape.
            ///
            /// # Errors
            /// [`TextError`] if the text does not have the shape; the message describes it.
            pub fn new(text: impl Into<String>) -> Result<Self, TextError> {
                let text = text.into();
                let shaped: fn(&str) -> bool = $valid;
                if length_within(&text, $min, $max) && shaped(&text) {
                    Ok(Self(Cow::Owned(text)))
                } else {
                    Err(TextError::new($what, $expected))
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;
            fn try_from(text: String) -> Result<Self, TextError> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = TextError;
            fn from_str(text: &str) -> Result<Self, TextError> {
                Self::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string", "pattern": $pattern, "minLength": $min, "maxLength": $max,
                    "x-expected": $expected
                })
            }
        }
    };
}

fn all_then(text: &str, first: fn(char) -> bool, rest: fn(char) -> bool) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(first) && chars.all(rest)
}

fn domain_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    bytes
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        && [bytes.first(), bytes.last()]
            .iter()
            .all(|end| end.is_some_and(|b| *b != b'-'))
}

fn snake_name(text: &str) -> bool {
    all_then(
        text,
        |c| c.is_ascii_lowercase(),
        |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_',
    )
}

// The control characters are those of JSON Schema's regular expressions: C0, DEL and C1.
fn printable(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() && is_deliverable(c))
}

/// Whether a message of SQS can hold this character. SQS refuses a message with any other one, and the dead-letter queue
/// of a bus rule is a queue too, so an event that contained one would reach nobody
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>, read 2026-11-29). JSON
/// escapes the control characters below space; what remains are the noncharacters U+FFFE and U+FFFF.
#[must_use]
pub const fn is_deliverable(c: char) -> bool {
    matches!(c,
        '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

/// The message for a text that SQS cannot carry.
pub(crate) const UNDELIVERABLE: &str =
    "must not contain U+FFFE or U+FFFF, which a queue cannot carry";

/// Whether a JSON text can hold a character that SQS cannot carry, written as it is or as an escape that a hop on the way
/// may undo. It can be wrong in one direction only: [`undeliverable`] decides.
pub(crate) fn may_be_undeliverable(json: &str) -> bool {
    // U+FFFE and U+FFFF are the bytes EF BF BE and EF BF BF.
    let bytes = json.as_bytes();
    bytes
        .windows(3)
        .any(|three| matches!(three, [0xef, 0xbf, 0xbe | 0xbf]))
        || bytes
            .windows(5)
            .any(|five| matches!(five, [b'\\', b'u', b'f' | b'F', b'f' | b'F', b'f' | b'F']))
}

/// The places of a document whose text, or whose field's name, SQS cannot carry.
pub(crate) fn undeliverable(document: &Value) -> Violations {
    fn is_carried(text: &str) -> bool {
        // JSON always escapes the control characters below space.
        text.chars().all(|c| c.is_control() || is_deliverable(c))
    }
    fn look(value: &Value, pointer: &str, found: &mut Violations) {
        match value {
            Value::String(text) if !is_carried(text) => {
                found.push(Violation::new(pointer, UNDELIVERABLE));
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    look(item, &format!("{pointer}/{at}"), found);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    if is_carried(name) {
                        look(field, &format!("{pointer}/{}", escape(name)), found);
                    } else {
                        let message = format!("the name of a field {UNDELIVERABLE}");
                        found.push(Violation::new(pointer, message));
                    }
                }
            }
            _ => {}
        }
    }
    let mut found = Violations::default();
    look(document, "", &mut found);
    found
}

text_type!(
    /// An event type: `domain.action`, e.g. `cloud.minted`. The closed list of domains is [`crate::DOMAINS`].
    EventType, "event_type", "domain.action in lower snake_case, at most 128 characters",
    r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", 3..=128,
    |text| text.split_once('.').is_some_and(|(domain, action)| snake_name(domain) && snake_name(action))
);

impl EventType {
    /// The part before the dot.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.split_once('.').map_or("", |(domain, _)| domain)
    }
}

text_type!(
    /// The kind of thing that an event is about, e.g. `cloud_account`.
    AggregateType, "aggregate_type", "a lower snake_case name of at most 64 characters",
    r"^[a-z][a-z0-9_]*$", 1..=64, snake_name
);

text_type!(
    /// The id of the thing that an event is about. `#` is not allowed: it separates type and id in the event log's key,
    /// and the parts of marks.
    AggregateId, "aggregate_id", "1 to 256 characters without '#', control characters, U+FFFE or U+FFFF",
    r"^[^#\u0000-\u001f\u007f-\u009f\ufffe\uffff]*$", 1..=256,
    |text| printable(text) && !text.contains('#')
);

impl AggregateId {
    /// Makes an id from a text that a narrower type has checked: member and account ids, constants of the contracts.
    /// Only [`contracts!`](crate::contracts!) uses it.
    #[doc(hidden)]
    pub fn of_checked(text: impl Into<String>) -> Self {
        let text = text.into();
        debug_assert!(Self::new(text.as_str()).is_ok(), "not an aggregate id");
        Self(Cow::Owned(text))
    }
}

text_type!(
    /// The publisher of an event. The bus carries it as `source`, in which AWS reserves the prefix `aws.`
    /// (<https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html>, read 2026-11-21).
    Producer, "producer", "1 to 128 letters, digits, '.', '_', '/', '-', not starting with 'aws.'",
    r"^(?!aws\.)[A-Za-z0-9][A-Za-z0-9._/-]*$", 1..=128,
    |text| !text.starts_with("aws.")
        && all_then(text, |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "._/-".contains(c))
);

text_type!(
    /// Names one fact forever (`stripe/{charge_id}`). The domain makes it; it is never a caller's header.
    IdempotencyKey, "idempotency_key", "1 to 255 characters without '#', control characters, U+FFFE or U+FFFF",
    r"^[^#\u0000-\u001f\u007f-\u009f\ufffe\uffff]*$", 1..=255,
    |text| printable(text) && !text.contains('#')
);

text_type!(
    /// The name that an outside system gives to a payment: a bank's, a payment provider's (Stripe's `ch_…`, `pi_…`). It is
    /// part of the idempotency key of the payment's fact, so it is at most 200 characters long and has no `#`.
    ExternalReference, "external_reference", "1 to 200 visible ASCII characters other than '#'",
    r##"^[!-"$-~]+$"##, 1..=200,
    |text| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
);

impl From<ExternalReference> for Text<255> {
    fn from(reference: ExternalReference) -> Self {
        // At most 200 visible ASCII characters, each of which `Text` allows.
        Self(reference.0.into_owned())
    }
}

text_type!(
    /// A member's id: safe in a path, a key and a log line. No member has the id `unallocated`: it names the account of
    /// the credits that belong to no member.
    MemberId, "member_id",
    "1 to 64 letters, digits, '.', '_', ':', '-', starting with a letter or digit, and not 'unallocated'",
    r"^(?!unallocated$)[A-Za-z0-9][A-Za-z0-9._:-]*$", 1..=64,
    |text| text != crate::contracts::cloud::UNALLOCATED
        && all_then(text, |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "._:-".contains(c))
);

text_type!(
    /// A treasury account's number in the chart of accounts, e.g. `1110`.
    AccountId, "account_id", "1 to 20 letters, digits, '.' or '-', starting with a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9.-]*$", 1..=20,
    |text| all_then(text, |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || ".-".contains(c))
);

text_type!(
    /// The stock-keeping number of a product.
    Sku, "sku", "1 to 64 letters, digits, '.', '_', '/' or '-', starting with a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", 1..=64,
    |text| all_then(text, |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "._/-".contains(c))
);

text_type!(
    /// A product's id. A product groups its variants, each of which has a [`Sku`] of its own.
    ProductId, "product_id", "1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$", 1..=64,
    |text| all_then(text, |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "._-".contains(c))
);

text_type!(
    /// The id of a category of products.
    CategoryId, "category_id", "1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$", 1..=64,
    |text| all_then(text, |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "._-".contains(c))
);

text_type!(
    /// A category's part of a path, e.g. `office-chairs`. Of the categories below the same one no two have the same.
    Slug, "slug", "1 to 100 lower-case letters, digits or '-', starting with a letter or digit",
    r"^[a-z0-9][a-z0-9-]*$", 1..=100,
    |text| all_then(
        text,
        |c| c.is_ascii_lowercase() || c.is_ascii_digit(),
        |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    )
);

text_type!(
    /// The id of a customer of the shop.
    CustomerId, "customer_id", "1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$", 1..=64,
    |text| all_then(text, |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "._-".contains(c))
);

text_type!(
    /// The number of an order as people read it, e.g. `ORD-00012345`. No two orders have the same; numbers are left out.
    OrderNumber, "order_number", "ORD- and 8 to 16 digits",
    r"^ORD-[0-9]{8,16}$", 12..=20,
    |text| text.strip_prefix("ORD-").is_some_and(|digits| (8..=16).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit()))
);

impl OrderNumber {
    /// The order number of a number.
    #[must_use]
    pub fn of(number: u64) -> Self {
        // A number of Millrace's has at most 16 digits, like a sequence.
        Self(Cow::Owned(format!(
            "ORD-{:08}",
            number.min(crate::Sequence::MAX)
        )))
    }
}

text_type!(
    /// The number of a quote as people read it, e.g. `QUO-00012345`. No two quotes have the same; numbers are left out.
    QuoteNumber, "quote_number", "QUO- and 8 to 16 digits",
    r"^QUO-[0-9]{8,16}$", 12..=20,
    |text| text.strip_prefix("QUO-").is_some_and(|digits| (8..=16).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit()))
);

impl QuoteNumber {
    /// The quote number of a number.
    #[must_use]
    pub fn of(number: u64) -> Self {
        // As with orders.
        Self(Cow::Owned(format!(
            "QUO-{:08}",
            number.min(crate::Sequence::MAX)
        )))
    }
}

text_type!(
    /// The name of a price tier, e.g. `gold`: the customers of a tier get the same percentage off.
    TierName, "tier", "1 to 50 lower-case letters, digits, '_' or '-', starting with a letter",
    r"^[a-z][a-z0-9_-]*$", 1..=50,
    |text| all_then(text, |c| c.is_ascii_lowercase(), |c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c))
);

text_type!(
    /// The id of a price list. It has no '-', because an aggregate's id joins it to a [`Sku`] with one.
    PriceListId, "price_list_id", "1 to 64 letters, digits, '.' or '_', starting with a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9._]*$", 1..=64,
    |text| all_then(text, |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "._".contains(c))
);

text_type!(
    /// A country by its code of two capital letters, as ISO 3166-1 has it (`RO`). Only the shape is checked.
    CountryCode, "country", "2 capital letters, as ISO 3166-1 has them",
    r"^[A-Z]{2}$", 2..=2,
    |text| text.bytes().all(|byte| byte.is_ascii_uppercase())
);

text_type!(
    /// A supplier's id. It has no '-', because an aggregate's id joins it to a [`Sku`] with one.
    SupplierId, "supplier_id", "1 to 64 letters, digits, '.' or '_', starting with a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9._]*$", 1..=64,
    |text| all_then(text, |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "._".contains(c))
);

text_type!(
    /// Why points moved, e.g. `performance_request`. The domain's rules have a closed list of reasons. Readers accept
    /// any reason, so that the list can grow.
    MoveReason, "reason", "a lower snake_case name of at most 64 characters",
    r"^[a-z][a-z0-9_]*$", 1..=64, snake_name
);

impl MoveReason {
    /// A reason of the rules' closed list, for constants. A constant without the shape does not compile.
    ///
    /// # Panics
    /// If the text does not have the shape of a reason.
    #[must_use]
    pub const fn constant(text: &'static str) -> Self {
        let bytes = text.as_bytes();
        assert!(!bytes.is_empty() && bytes.len() <= 64 && bytes[0].is_ascii_lowercase());
        let mut at = 1;
        while at < bytes.len() {
            let byte = bytes[at];
            assert!(byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            at += 1;
        }
        Self(Cow::Borrowed(text))
    }
}

text_type!(
    /// The number of a ledger entry, `{account_type}-{account_id}/{number}`: 1, 2, 3… per account, without gaps.
    LedgerEntryId, "ledger_entry_id", "an account, '/' and the entry's number, at most 96 characters",
    r"^(user|model)-[A-Za-z0-9._:-]+/[1-9][0-9]*$", 8..=96,
    |text| text.rsplit_once('/').is_some_and(|(account, number)| {
        let id = account.strip_prefix("user-").or_else(|| account.strip_prefix("model-"));
        let of_id = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
        id.is_some_and(|id| !id.is_empty() && id.chars().all(of_id))
            && all_then(number, |c| ('1'..='9').contains(&c), |c| c.is_ascii_digit())
    })
);

impl LedgerEntryId {
    /// The id of an entry in a member's account.
    #[must_use]
    pub fn of(account_type: AccountType, account_id: &MemberId, number: Sequence) -> Self {
        // At most 6 + 64 + 1 + 16 characters, each allowed by its part's type.
        Self(Cow::Owned(format!(
            "{}/{number}",
            account_type.account(account_id)
        )))
    }
}

text_type!(
    /// An e-mail address, checked only for its shape: a local part without quotes, one `@`, and a domain of at least
    /// two labels (international ones in their ASCII form). Only a delivery shows whether the address exists.
    EmailAddress, "email", "an e-mail address of at most 254 characters",
    r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+$",
    5..=254,
    |text| text.split_once('@').is_some_and(|(local, domain)| {
        let atom = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
        (1..=64).contains(&local.len())
            && local.chars().all(atom)
            && domain.contains('.')
            && domain.split('.').all(domain_label)
    })
);

text_type!(
    /// An Ethereum address: `0x` and 40 hexadecimal digits.
    EthereumAddress, "ethereum_address", "0x followed by 40 hexadecimal digits",
    r"^0x[0-9a-fA-F]{40}$", 42..=42,
    |text| text.strip_prefix("0x").is_some_and(|hex| hex.len() == 40 && hex.chars().all(|c| c.is_ascii_hexdigit()))
);

text_type!(
    /// A decimal as text, for more digits than an [`crate::Amount`] holds: on-chain quantities and values computed from
    /// them. It is exact, has a minus sign if it is below zero, and has no exponent.
    DecimalText, "decimal", "a decimal number as text: at most 80 digits before and 36 after the point, no exponent",
    r"^-?(0|[1-9][0-9]{0,79})(\.[0-9]{1,36})?$", 1..=118,
    |text| {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let digits = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
        };
        let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(w, f)| (w, Some(f)));
        digits(whole, 80) && (whole == "0" || !whole.starts_with('0')) && fraction.is_none_or(|part| digits(part, 36))
    }
);

text_type!(
    /// A network that settles payments, e.g. `polygon`.
    NetworkName, "network", "1 to 40 lower-case letters, digits or '-', starting with a letter or digit",
    r"^[a-z0-9][a-z0-9-]*$", 1..=40,
    |text| all_then(
        text,
        |c| c.is_ascii_lowercase() || c.is_ascii_digit(),
        |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    )
);

text_type!(
    /// A consumer's name, which its function, its folder and its marks have too. The longest has
    /// [`crate::LONGEST_FUNCTION_NAME`] characters.
    ConsumerName, "consumer", "1 to 28 lower-case letters, digits or '-', starting with a letter",
    r"^[a-z][a-z0-9-]*$", 1..=28,
    |text| all_then(
        text,
        |c| c.is_ascii_lowercase(),
        |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    )
);

text_type!(
    /// A network's id of a transaction: `0x` and hexadecimal digits on some networks, base 58 on others.
    TxHash, "tx_hash", "1 to 128 letters and digits",
    r"^[A-Za-z0-9]*$", 1..=128,
    |text| text.bytes().all(|b| b.is_ascii_alphanumeric())
);

/// Free text of 1 to `MAX` characters that SQS can carry, without control characters other than line feed and tab.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// Accepts a text of 1 to `MAX` characters.
    ///
    /// # Errors
    /// [`TextError`] if it is empty, too long, or contains such control characters.
    pub fn new(text: impl Into<String>) -> Result<Self, TextError> {
        let text = text.into();
        let clean = text
            .chars()
            .all(|c| matches!(c, '\n' | '\t') || !c.is_control() && is_deliverable(c));
        if clean && length_within(&text, 1, MAX) {
            Ok(Self(text))
        } else {
            Err(TextError::new(
                "text",
                "non-empty, within its length, and without control characters, U+FFFE or U+FFFF",
            ))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl<const MAX: usize> JsonSchema for Text<MAX> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Text{MAX}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "minLength": 1, "maxLength": MAX,
            "pattern": r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufffe\uffff]*$",
            "x-expected": format!("text of 1 to {MAX} characters without control characters, U+FFFE or U+FFFF")
        })
    }
}
