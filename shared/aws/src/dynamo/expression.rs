//! Conditions, key conditions and transactions as DynamoDB expressions.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, Put, TransactWriteItem, Update,
};
use outbox::{Condition, Fault, FaultKind, Key, Query, Reason, SortKey, Write, attribute};

use super::items::{attribute_of, attributes, key_attributes};
use super::{ABOVE, Attributes, COMMIT, QUERY, rejected};

/// The placeholders of an expression, and the names and values they stand for.
#[derive(Default)]
pub(super) struct Expression {
    names: Vec<String>,
    values: Vec<AttributeValue>,
}

impl Expression {
    pub(super) fn name(&mut self, name: &str) -> String {
        let place = self
            .names
            .iter()
            .position(|known| known == name)
            .unwrap_or_else(|| {
                self.names.push(name.to_owned());
                self.names.len() - 1
            });
        format!("#n{place}")
    }

    pub(super) fn value(&mut self, value: AttributeValue) -> String {
        self.values.push(value);
        format!(":v{}", self.values.len() - 1)
    }

    pub(super) fn condition(
        &mut self,
        operation: &'static str,
        key: &Key,
        condition: &Condition,
    ) -> Result<String, Fault> {
        let here = self.name(key.table.partition());
        Ok(match condition {
            Condition::Absent => format!("attribute_not_exists({here})"),
            Condition::Present => format!("attribute_exists({here})"),
            Condition::Equals(wanted) => {
                let mut terms = vec![format!("attribute_exists({here})")];
                for (name, value) in wanted {
                    let value = attribute_of(operation, value)?;
                    terms.push(format!("{} = {}", self.name(name), self.value(value)));
                }
                terms.join(" AND ")
            }
            Condition::OlderThan(version) => {
                let stored = self.name(attribute::VERSION);
                let version = self.value(AttributeValue::N(version.to_string()));
                format!("attribute_not_exists({here}) OR {stored} < {version}")
            }
        })
    }

    pub(super) fn names(&self) -> Option<HashMap<String, String>> {
        let names: HashMap<String, String> = self
            .names
            .iter()
            .enumerate()
            .map(|(place, name)| (format!("#n{place}"), name.clone()))
            .collect();
        (!names.is_empty()).then_some(names)
    }

    pub(super) fn values(&self) -> Option<Attributes> {
        let values: Attributes = self
            .values
            .iter()
            .enumerate()
            .map(|(place, value)| (format!(":v{place}"), value.clone()))
            .collect();
        (!values.is_empty()).then_some(values)
    }
}

/// The key condition of a query. `None` if no row can match.
pub(super) fn key_condition(
    query: &Query,
    expression: &mut Expression,
) -> Result<Option<String>, Fault> {
    let (partition, sort) = match query.index {
        Some(index) => (index.partition, Some(index.sort)),
        None => (query.table.partition(), query.table.sort()),
    };
    let partition = format!(
        "{} = {}",
        expression.name(partition),
        expression.value(AttributeValue::S(query.pk.clone()))
    );
    if query.from.is_none() && query.prefix.is_none() {
        return Ok(Some(partition));
    }
    let Some(sort) = sort else {
        let why = "a range on a table without sort key";
        return Err(Fault::new(FaultKind::Rejected, QUERY, why));
    };
    let sort = expression.name(sort);
    let range = match (&query.from, &query.prefix) {
        (None, None) => return Ok(Some(partition)),
        (Some(from), None) => {
            let comparison = if query.descending { "<=" } else { ">=" };
            format!("{sort} {comparison} {}", expression.value(sort_value(from)))
        }
        // `begins_with` refuses an empty text. Every text begins with it, so the condition is not needed.
        (None, Some(prefix)) if prefix.is_empty() => return Ok(Some(partition)),
        (None, Some(prefix)) => {
            let prefix = expression.value(AttributeValue::S(prefix.clone()));
            format!("begins_with({sort}, {prefix})")
        }
        (Some(SortKey::Number(_)), Some(_)) => {
            let why = "a number as the start of a range of texts";
            return Err(Fault::new(FaultKind::Rejected, QUERY, why));
        }
        // DynamoDB accepts one condition on the sort key, so a prefix with a start becomes a range.
        (Some(SortKey::Text(from)), Some(prefix)) => {
            let above = format!("{prefix}{ABOVE}");
            let (low, high) = if query.descending {
                (prefix, from.min(&above))
            } else {
                (from.max(prefix), &above)
            };
            if low > high {
                return Ok(None);
            }
            let low = expression.value(AttributeValue::S(low.clone()));
            let high = expression.value(AttributeValue::S(high.clone()));
            format!("{sort} BETWEEN {low} AND {high}")
        }
    };
    Ok(Some(format!("{partition} AND {range}")))
}

pub(super) fn transact_item(write: &Write) -> Result<TransactWriteItem, Fault> {
    let mut expression = Expression::default();
    let table = write.key().table.name();
    let builder = TransactWriteItem::builder();
    Ok(match write {
        Write::Put {
            key,
            item,
            condition,
        } => {
            let condition = expression.condition(COMMIT, key, condition)?;
            let put = Put::builder()
                .table_name(table)
                .set_item(Some(attributes(COMMIT, item)?))
                .condition_expression(condition)
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values());
            builder.put(put.build().map_err(rejected(COMMIT))?)
        }
        Write::Add { key, amounts } => {
            let mut terms = Vec::with_capacity(amounts.len());
            for (name, amount) in amounts {
                let amount = AttributeValue::N(amount.normalize().to_string());
                terms.push(format!(
                    "{} {}",
                    expression.name(name),
                    expression.value(amount)
                ));
            }
            let update = Update::builder()
                .table_name(table)
                .set_key(Some(key_attributes(COMMIT, key)?))
                .update_expression(format!("ADD {}", terms.join(", ")))
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values());
            builder.update(update.build().map_err(rejected(COMMIT))?)
        }
        Write::Check { key, condition } => {
            let condition = expression.condition(COMMIT, key, condition)?;
            let check = ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key_attributes(COMMIT, key)?))
                .condition_expression(condition)
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values());
            builder.condition_check(check.build().map_err(rejected(COMMIT))?)
        }
        Write::Delete { key, condition } => {
            let condition = expression.condition(COMMIT, key, condition)?;
            let delete = Delete::builder()
                .table_name(table)
                .set_key(Some(key_attributes(COMMIT, key)?))
                .condition_expression(condition)
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values());
            builder.delete(delete.build().map_err(rejected(COMMIT))?)
        }
    }
    .build())
}

/// The codes are documented for `TransactWriteItems`
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>, read 2026-11-21).
pub(super) fn reason_of(reason: &CancellationReason) -> Reason {
    match reason.code() {
        None | Some("None") => Reason::None,
        Some("ConditionalCheckFailed") => Reason::ConditionFailed,
        Some("TransactionConflict") => Reason::Conflict,
        Some("ThrottlingError" | "ProvisionedThroughputExceeded") => Reason::Throttled,
        Some(code) => Reason::Other(format!(
            "{code}: {}",
            reason.message().unwrap_or("no message")
        )),
    }
}

pub(super) fn sort_value(key: &SortKey) -> AttributeValue {
    match key {
        SortKey::Number(number) => AttributeValue::N(number.to_string()),
        SortKey::Text(text) => AttributeValue::S(text.clone()),
    }
}
