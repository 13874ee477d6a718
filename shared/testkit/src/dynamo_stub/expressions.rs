//! The condition and update expressions that this project sends.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    Item, Refused,
    requests::{invalid, text},
};

/// Terms joined by AND, or by OR.
pub(super) fn holds(
    expression: &str,
    request: &Value,
    item: Option<&Item>,
) -> Result<bool, Refused> {
    if expression.contains(" OR ") {
        for one in expression.split(" OR ") {
            if term(one, request, item)? {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    for one in expression.split(" AND ") {
        if !term(one, request, item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn term(text: &str, request: &Value, item: Option<&Item>) -> Result<bool, Refused> {
    let unknown = || invalid(&format!("the stub does not know the condition {text}"));
    let stored = |placeholder: &str| {
        let name = request["ExpressionAttributeNames"][placeholder]
            .as_str()
            .unwrap_or(placeholder);
        item.and_then(|item| item.get(name))
    };
    if let Some((function, rest)) = text.split_once('(') {
        let found = stored(rest.strip_suffix(')').ok_or_else(unknown)?).is_some();
        return match function {
            "attribute_exists" => Ok(found),
            "attribute_not_exists" => Ok(!found),
            _ => Err(unknown()),
        };
    }
    let mut words = text.split(' ');
    let (Some(name), Some(comparison), Some(value), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(unknown());
    };
    let Some(stored) = stored(name) else {
        return Ok(false);
    };
    let wanted = &request["ExpressionAttributeValues"][value];
    match comparison {
        "=" => Ok(stored == wanted),
        "<" => Ok(number(stored)? < number(wanted)?),
        _ => Err(unknown()),
    }
}

pub(super) fn number(value: &Value) -> Result<Decimal, Refused> {
    text(&value["N"])?
        .parse()
        .map_err(|_| invalid(&format!("{value} is not a number")))
}

/// `ADD #n0 :v0, #n1 :v1`.
pub(super) fn added(write: &Value, key: &Item, before: Option<&Item>) -> Result<Item, Refused> {
    let expression = text(&write["UpdateExpression"])?;
    let terms = expression
        .strip_prefix("ADD ")
        .ok_or_else(|| invalid(&format!("the stub does not know the update {expression}")))?;
    let mut item = before.unwrap_or(key).clone();
    for term in terms.split(", ") {
        let (name, value) = term
            .split_once(' ')
            .ok_or_else(|| invalid(&format!("the stub does not know the update {expression}")))?;
        let name = write["ExpressionAttributeNames"][name]
            .as_str()
            .unwrap_or(name);
        let mut sum = number(&write["ExpressionAttributeValues"][value])?;
        if let Some(stored) = item.get(name) {
            sum += number(stored)?;
        }
        item.insert(name.to_owned(), json!({"N": sum.normalize().to_string()}));
    }
    Ok(item)
}
