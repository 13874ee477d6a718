//! Sizes and capacity units, as AWS counts them.

use outbox::Index;
use serde_json::Value;

use super::{Item, WRITE_UNIT_BYTES};

/// What a write costs in an index over all attributes: an item that appears, disappears or changes in the index costs
/// one write of it, and an item whose key in the index changes costs two
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations.Writes>).
pub(super) fn index_units(index: Index, before: Option<&Item>, after: Option<&Item>) -> u64 {
    let key = |item: &Item| {
        let part = |name| item.get(name).cloned();
        Some((part(index.partition)?, part(index.sort)?))
    };
    let one = |item: &Item| units(size(item), WRITE_UNIT_BYTES);
    let in_index = |item: Option<&Item>| item.and_then(|item| Some((key(item)?, item.clone())));
    match (in_index(before), in_index(after)) {
        (None, None) => 0,
        (Some((_, only)), None) | (None, Some((_, only))) => one(&only),
        (Some((_, before)), Some((_, after))) if before == after => 0,
        (Some((was, before)), Some((is, after))) if was == is => one(&before).max(one(&after)),
        (Some((_, before)), Some((_, after))) => one(&before) + one(&after),
    }
}

pub(super) fn units(bytes: usize, per_unit: usize) -> u64 {
    u64::try_from(bytes.div_ceil(per_unit).max(1)).unwrap_or(u64::MAX)
}

/// An item's size
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>, read 2026-11-21).
pub(super) fn size(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + size_of_value(value))
        .sum()
}

pub(super) fn size_of_value(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|object| object.iter().next()) else {
        return 0;
    };
    match (kind.as_str(), value) {
        ("S", Value::String(text)) => text.len(),
        // About one byte for two digits, plus one byte.
        ("N", Value::String(number)) => number.len().div_ceil(2) + 1,
        ("L", Value::Array(values)) => {
            3 + values
                .iter()
                .map(|one| 1 + size_of_value(one))
                .sum::<usize>()
        }
        ("M", Value::Object(map)) => 3 + map.len() + size(map),
        _ => 1,
    }
}
