//! Label selectors and field selectors: parsing, validation and matching, with Kubernetes' messages.

mod fields;
mod lexer;
mod parser;

pub use fields::{FieldSelector, FieldTerm};

use crate::field::{FieldError, FieldErrors, Path};
use crate::{meta, names};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// A map of labels, in whatever form it comes.
pub trait Labels {
    fn get(&self, key: &str) -> Option<&str>;
}

impl Labels for Map<String, Value> {
    fn get(&self, key: &str) -> Option<&str> {
        Map::get(self, key)?.as_str()
    }
}

impl Labels for BTreeMap<String, String> {
    fn get(&self, key: &str) -> Option<&str> {
        BTreeMap::get(self, key).map(String::as_str)
    }
}

impl<L: Labels> Labels for Option<L> {
    fn get(&self, key: &str) -> Option<&str> {
        self.as_ref()?.get(key)
    }
}

impl<L: Labels + ?Sized> Labels for &L {
    fn get(&self, key: &str) -> Option<&str> {
        (**self).get(key)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Equals,
    DoubleEquals,
    NotEquals,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    /// Sorted, without duplicates.
    values: Vec<String>,
}

impl Requirement {
    fn new(key: &str, operator: Operator, mut values: Vec<String>) -> Result<Self, String> {
        use Operator::*;
        values.sort_unstable();
        values.dedup();
        let path = Path::new("values");
        let shown = || Value::from(values.clone());
        let mut errors = FieldErrors::new();
        if let Err(error) = check_key(key, &Path::new("key")) {
            errors.push(error);
        }
        match operator {
            In | NotIn if values.is_empty() => errors.push(FieldError::invalid(
                &path,
                shown(),
                "for 'in', 'notin' operators, values set can't be empty",
            )),
            Equals | DoubleEquals | NotEquals if values.len() != 1 => errors.push(FieldError::invalid(
                &path,
                shown(),
                "exact-match compatibility requires one single value",
            )),
            Exists | DoesNotExist if !values.is_empty() => errors.push(FieldError::invalid(
                &path,
                shown(),
                "values set must be empty for exists and does not exist",
            )),
            GreaterThan | LessThan => {
                for (i, value) in values.iter().enumerate().filter(|(_, v)| v.parse::<i64>().is_err()) {
                    let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
                    errors.push(FieldError::invalid(&path.index(i), value.as_str(), detail));
                }
            }
            _ => {}
        }
        for (i, value) in values.iter().enumerate() {
            let messages = names::label_value(value);
            if !messages.is_empty() {
                let path = path.index(i).key(key);
                errors.push(FieldError::invalid(&path, value.as_str(), messages.join("; ")));
            }
        }
        if errors.is_empty() {
            Ok(Self { key: key.to_owned(), operator, values })
        } else {
            Err(joined(&errors))
        }
    }

    fn matches(&self, labels: &impl Labels) -> bool {
        use Operator::*;
        let value = labels.get(&self.key);
        let has = |value: &str| self.values.iter().any(|v| v == value);
        match self.operator {
            In | Equals | DoubleEquals => value.is_some_and(has),
            NotIn | NotEquals => !value.is_some_and(has),
            Exists => value.is_some(),
            DoesNotExist => value.is_none(),
            GreaterThan | LessThan => {
                let Some(value) = value.and_then(|v| v.parse::<i64>().ok()) else { return false };
                let Some(bound) = self.values.first().and_then(|v| v.parse::<i64>().ok()) else {
                    return false;
                };
                if self.operator == GreaterThan { value > bound } else { value < bound }
            }
        }
    }
}

fn check_key(key: &str, path: &Path) -> Result<(), FieldError> {
    let messages = names::qualified_name(key);
    if messages.is_empty() { Ok(()) } else { Err(FieldError::invalid(path, key, messages.join("; "))) }
}

fn joined(errors: &FieldErrors) -> String {
    match errors.as_slice() {
        [one] => one.to_string(),
        many => format!("[{}]", many.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// What a set of labels must fulfil.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSelector {
    /// All must hold; sorted by key.
    requirements: Vec<Requirement>,
    nothing: bool,
}

impl LabelSelector {
    /// Matches every set of labels.
    pub fn everything() -> Self {
        Self { requirements: Vec::new(), nothing: false }
    }

    /// Matches no set of labels.
    pub fn nothing() -> Self {
        Self { requirements: Vec::new(), nothing: true }
    }

    /// Reads the form of a query: `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from_requirements(parser::parse(text)?))
    }

    fn from_requirements(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { requirements, nothing: false }
    }

    /// Reads a `meta.k8s.io` LabelSelector: null matches nothing, `{}` everything.
    pub fn from_object(selector: &Value) -> Result<Self, String> {
        let Some(selector) = selector.as_object() else { return Ok(Self::nothing()) };
        let mut requirements = Vec::new();
        for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            let value = value.as_str().unwrap_or_default().to_owned();
            requirements.push(Requirement::new(key, Operator::Equals, vec![value])?);
        }
        for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            let key = expression.get("key").and_then(Value::as_str).unwrap_or_default();
            let operator = match expression.get("operator").and_then(Value::as_str).unwrap_or_default() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(format!("{other:?} is not a valid label selector operator")),
            };
            let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
            let values = values.filter_map(Value::as_str).map(str::to_owned).collect();
            requirements.push(Requirement::new(key, operator, values)?);
        }
        Ok(Self::from_requirements(requirements))
    }

    /// Whether every set of labels matches.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty() && !self.nothing
    }

    pub fn matches(&self, labels: &impl Labels) -> bool {
        !self.nothing && self.requirements.iter().all(|r| r.matches(labels))
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.requirements.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            let key = &requirement.key;
            let values = requirement.values.join(",");
            match requirement.operator {
                Operator::In => write!(f, "{key} in ({values})"),
                Operator::NotIn => write!(f, "{key} notin ({values})"),
                Operator::Equals => write!(f, "{key}={values}"),
                Operator::DoubleEquals => write!(f, "{key}=={values}"),
                Operator::NotEquals => write!(f, "{key}!={values}"),
                Operator::Exists => write!(f, "{key}"),
                Operator::DoesNotExist => write!(f, "!{key}"),
                Operator::GreaterThan => write!(f, "{key}>{values}"),
                Operator::LessThan => write!(f, "{key}<{values}"),
            }?;
        }
        Ok(())
    }
}

/// The rules of a `meta.k8s.io` LabelSelector that stands at `path`; null is valid.
pub fn validate_label_selector(selector: &Value, path: &Path) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if let Some(labels) = selector.get("matchLabels").and_then(Value::as_object) {
        meta::validate_labels(&mut errors, &path.child("matchLabels"), labels);
    }
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    for (i, expression) in expressions.enumerate() {
        validate_expression(&mut errors, expression, &path.child("matchExpressions").index(i));
    }
    errors
}

fn validate_expression(errors: &mut FieldErrors, expression: &Value, path: &Path) {
    let text = |field: &str| expression.get(field).and_then(Value::as_str).unwrap_or_default();
    let values = expression.get("values").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let at = path.child("values");
    match text("operator") {
        "In" | "NotIn" if values.is_empty() => {
            errors.push(FieldError::required(&at, "must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(FieldError::forbidden(
            &at,
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        )),
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => {
            errors.push(FieldError::invalid(&path.child("operator"), other, "not a valid selector operator"));
        }
    }
    let key = text("key");
    errors.extend(
        names::qualified_name(key).into_iter().map(|m| FieldError::invalid(&path.child("key"), key, m)),
    );
    for (i, value) in values.iter().filter_map(Value::as_str).enumerate() {
        let messages = names::label_value(value).into_iter();
        errors.extend(messages.map(|m| FieldError::invalid(&at.index(i), value, m)));
    }
}

#[cfg(test)]
mod tests;
