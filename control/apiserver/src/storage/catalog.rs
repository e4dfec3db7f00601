//! The kinds served, as requests find them: each with what is the same for all its objects, made once.

use crate::storage::form::{self, Form, api_version};
use crate::storage::frames::Frames;
use crate::storage::pace::Pace;
use bytes::Bytes;
use keelson_api::kinds::{KindDef, registry};
use keelson_api::schema;
use keelson_api::status::{Status, qualified};
use keelson_store::{Stored, Template};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// A kind and what is derived from it.
pub struct Served {
    pub def: &'static KindDef,
    /// The kind as the store knows it: `deployments.apps`.
    pub store_kind: Arc<str>,
    /// `v1` or `apps/v1`.
    pub api_version: String,
    /// How clients see the objects.
    pub form: Form,
    /// How they are stored: the same, except for a kind that is another view of a stored one.
    pub stored_form: Form,
    /// Watch frames that several watchers share.
    pub frames: Frames,
    /// Wakes the watchers.
    pub pace: Arc<Pace>,
    /// `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"`
    pub list_head: String,
}

impl Served {
    fn new(def: &'static KindDef) -> Self {
        let api_version = api_version(def.group, def.version);
        let stored = def.view.as_ref().map_or(def, |view| view.of);
        let list_head = format!(
            "{{\"kind\":\"{}List\",\"apiVersion\":\"{api_version}\",\"metadata\":{{\"resourceVersion\":\"",
            def.kind
        );
        Self {
            def,
            store_kind: qualified(stored.plural, stored.group).into(),
            api_version,
            form: Form::new(def),
            stored_form: Form::new(stored),
            frames: Frames::new(),
            pace: Pace::new(),
            list_head,
        }
    }
}

impl Served {
    /// Whether stored bytes are what clients see.
    pub fn is_stored_form(&self) -> bool {
        self.def.view.is_none()
    }

    /// A stored object, parsed.
    pub fn read(&self, stored: &Stored) -> Result<Value, Status> {
        let mut object = form::parse(stored)?;
        self.to_view(&mut object);
        Ok(object)
    }

    /// An object ready for the store.
    pub fn template(&self, object: &Value) -> Template {
        let Some(view) = &self.def.view else { return self.form.template(object) };
        let mut stored = object.clone();
        (view.to_stored)(&mut stored);
        schema::complete(view.of.schema, &mut stored);
        self.stored_form.template(&stored)
    }

    /// Stored bytes as clients see them.
    pub fn outgoing(&self, stored: Bytes) -> Bytes {
        if self.is_stored_form() {
            return stored;
        }
        let Ok(mut object) = serde_json::from_slice::<Value>(&stored) else { return stored };
        self.to_view(&mut object);
        self.form.unstored(&object)
    }

    fn to_view(&self, object: &mut Value) {
        if let Some(view) = &self.def.view {
            (view.from_stored)(object);
            schema::complete(self.def.schema, object);
        }
    }
}

/// All kinds served, by group, version and plural name.
pub struct Catalog {
    by_plural: HashMap<&'static str, Vec<Arc<Served>>>,
    all: Vec<Arc<Served>>,
}

impl Catalog {
    pub fn new() -> Self {
        let all: Vec<_> = registry().iter().map(|def| Arc::new(Served::new(def))).collect();
        let mut by_plural: HashMap<_, Vec<_>> = HashMap::new();
        for served in &all {
            by_plural.entry(served.def.plural).or_default().push(Arc::clone(served));
        }
        Self { by_plural, all }
    }

    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Served>> {
        let candidates = self.by_plural.get(plural)?;
        candidates.iter().find(|s| s.def.group == group && s.def.version == version)
    }

    /// A kind of the core group that the machinery itself reads, such as namespaces.
    pub fn core(&self, plural: &str) -> Option<&Arc<Served>> {
        self.find("", "v1", plural)
    }

    /// Every kind, in the order of discovery.
    pub fn all(&self) -> &[Arc<Served>] {
        &self.all
    }
}
