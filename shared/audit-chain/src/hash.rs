//! SHA-256 over unambiguous encodings.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

/// The text is not a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotHash;

impl fmt::Display for NotHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be 64 lowercase hexadecimal digits")
    }
}

impl std::error::Error for NotHash {}

/// A SHA-256 hash, written as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Stands for the previous entry's hash in the first entry.
    pub const START: Self = Self([0; 32]);

    /// The hash of some parts for one purpose, encoded by `encode`.
    #[must_use]
    pub fn of(purpose: &str, parts: &[&[u8]]) -> Self {
        Self(Sha256::digest(encode(purpose, parts)).into())
    }

    /// The hash's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Encodes the purpose, the number of parts, and each part, with its length (eight bytes, big-endian) in front. So two
/// different lists of parts, or two different purposes, never have the same encoding, wherever the boundaries between
/// the parts lie.
pub(crate) fn encode(purpose: &str, parts: &[&[u8]]) -> Vec<u8> {
    let size = parts.iter().map(|part| part.len() + 8).sum::<usize>();
    let mut bytes = Vec::with_capacity(purpose.len() + 16 + size);
    let length = |of: usize| u64::try_from(of).unwrap_or(u64::MAX).to_be_bytes();
    bytes.extend(length(purpose.len()));
    bytes.extend(purpose.as_bytes());
    bytes.extend(length(parts.len()));
    for part in parts {
        bytes.extend(length(part.len()));
        bytes.extend(*part);
    }
    bytes
}

/// Bytes as lowercase hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            write!(text, "{byte:02x}").ok();
            text
        })
}

/// The bytes of lowercase hexadecimal digits; `None` for any other text.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = NotHash;

    fn from_str(text: &str) -> Result<Self, NotHash> {
        let bytes = unhex(text).ok_or(NotHash)?;
        bytes.try_into().map(Self).map_err(|_| NotHash)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hash_is_read_as_it_is_written_and_nothing_else_is_one() {
        let hash = Hash::of("p", &[b"one"]);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for text in [
            String::new(),
            hash.to_string()[1..].to_owned(),
            hash.to_string().to_uppercase() + "A",
            format!("{hash}00"),
            "é".repeat(32),
        ] {
            assert_eq!(text.parse::<Hash>(), Err(NotHash), "{text}");
        }
        // The example in adr/0021, for comparison by other implementations.
        assert_eq!(
            Hash::of("p", &[]),
            Hash(Sha256::digest(b"\0\0\0\0\0\0\0\x01p\0\0\0\0\0\0\0\0").into())
        );
    }

    proptest! {
        #[test]
        fn no_two_lists_of_parts_have_the_same_encoding(
            one in prop::collection::vec(prop::collection::vec(0..3_u8, 0..4), 0..4),
            other in prop::collection::vec(prop::collection::vec(0..3_u8, 0..4), 0..4),
            purposes in prop_oneof![Just(("a", "a")), Just(("a", "b")), Just(("", "a"))],
        ) {
            fn of(purpose: &str, parts: &[Vec<u8>]) -> Vec<u8> {
                encode(purpose, &parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
            }
            let equal = of(purposes.0, &one) == of(purposes.1, &other);
            prop_assert_eq!(equal, one == other && purposes.0 == purposes.1);
        }
    }
}
