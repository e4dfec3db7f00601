//! Which objects a list or watch is about: its selectors, checked against what the kind lets one select, and the
//! cheapest way to judge an object: by its key, by its metadata, or by all of it.

use crate::request::options::ListOptions;
use crate::storage::catalog::Served;
use keelson_api::selector::{FieldSelector, LabelSelector};
use keelson_api::status::Status;
use keelson_store::Stored;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Selectors of one request.
#[derive(Debug)]
pub struct Selection {
    labels: Option<LabelSelector>,
    /// Terms on other fields than name and namespace.
    fields: Option<FieldSelector>,
    /// Terms on `metadata.name` and `metadata.namespace`, which the key answers.
    by_key: Option<FieldSelector>,
}

#[derive(Deserialize)]
struct Labels {
    #[serde(default)]
    labels: Option<Map<String, Value>>,
}

const NAME: &str = "metadata.name";
const NAMESPACE: &str = "metadata.namespace";

impl Selection {
    pub fn parse(served: &Served, options: &ListOptions) -> Result<Self, Status> {
        let labels = match options.label_selector.as_str() {
            "" => None,
            text => {
                let selector = LabelSelector::parse(text).map_err(Status::bad_request)?;
                (!selector.is_empty()).then_some(selector)
            }
        };
        let (mut fields, mut by_key) = (None, None);
        if !options.field_selector.is_empty() {
            let selector = FieldSelector::parse(&options.field_selector).map_err(Status::bad_request)?;
            for term in selector.terms() {
                check_field(served, &term.field)?;
            }
            let keyed = |field: &str| field == NAME || field == NAMESPACE;
            if selector.terms().iter().any(|t| !keyed(&t.field)) {
                fields = Some(selector);
            } else if !selector.is_empty() {
                by_key = Some(selector);
            }
        }
        Ok(Self { labels, fields, by_key })
    }

    /// Whether every object matches.
    pub fn is_everything(&self) -> bool {
        self.labels.is_none() && self.fields.is_none() && self.by_key.is_none()
    }

    /// The one name that can match, if the selector says so.
    pub fn exact_name(&self) -> Option<&str> {
        self.by_key.as_ref().or(self.fields.as_ref())?.exact(NAME)
    }

    /// Whether judging an object needs it parsed as a whole.
    pub fn needs_object(&self) -> bool {
        self.fields.is_some()
    }

    /// Judges a stored object, parsing as little of it as the selectors need.
    pub fn matches_stored(&self, served: &Served, key: &str, stored: &Stored) -> bool {
        if !self.matches_key(served, key) {
            return false;
        }
        if self.fields.is_some() {
            return served.read(stored).is_ok_and(|object| self.matches_object(served, key, &object));
        }
        let Some(selector) = &self.labels else { return true };
        let mut metadata = serde_json::Deserializer::from_slice(served.stored_form.metadata(&stored.bytes));
        Labels::deserialize(&mut metadata).is_ok_and(|metadata| selector.matches(&metadata.labels))
    }

    /// Judges a parsed object, of the form that is stored.
    pub fn matches_object(&self, served: &Served, key: &str, object: &Value) -> bool {
        if !self.matches_key(served, key) {
            return false;
        }
        if let Some(selector) = &self.labels
            && !selector.matches(&object["metadata"]["labels"].as_object())
        {
            return false;
        }
        let Some(fields) = &self.fields else { return true };
        fields.matches(|field| match field {
            NAME => Some(Cow::Borrowed(name_of(served, key))),
            NAMESPACE => Some(Cow::Borrowed(namespace_of(served, key))),
            _ => {
                let (_, value) = served.def.selectable.iter().find(|(label, _)| *label == field)?;
                Some(Cow::Owned(value(object)))
            }
        })
    }

    fn matches_key(&self, served: &Served, key: &str) -> bool {
        let Some(selector) = &self.by_key else { return true };
        selector.matches(|field| {
            Some(Cow::Borrowed(if field == NAME { name_of(served, key) } else { namespace_of(served, key) }))
        })
    }
}

fn name_of<'a>(served: &Served, key: &'a str) -> &'a str {
    if served.def.namespaced { key.split_once('/').map_or(key, |(_, name)| name) } else { key }
}

fn namespace_of<'a>(served: &Served, key: &'a str) -> &'a str {
    if served.def.namespaced { key.split_once('/').map_or("", |(namespace, _)| namespace) } else { "" }
}

fn check_field(served: &Served, field: &str) -> Result<(), Status> {
    let selectable = served.def.selectable;
    if field == NAME || field == NAMESPACE || selectable.iter().any(|(label, _)| *label == field) {
        return Ok(());
    }
    Err(Status::bad_request(if selectable.is_empty() {
        format!("\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    } else {
        format!("field label not supported: {field}")
    }))
}
