//! A certificate request says who asks for it, whatever its author writes there.

use super::Admission;
use serde_json::{Map, Value};

pub fn admit(admission: &Admission<'_>, request: &mut Value) {
    let user = admission.user;
    let Some(spec) = request
        .as_object_mut()
        .and_then(|o| o.entry("spec").or_insert_with(|| Value::Object(Map::new())).as_object_mut())
    else {
        return;
    };
    for field in ["username", "uid", "groups", "extra"] {
        spec.remove(field);
    }
    spec.insert("username".to_owned(), user.username.clone().into());
    if !user.uid.is_empty() {
        spec.insert("uid".to_owned(), user.uid.clone().into());
    }
    if !user.groups.is_empty() {
        spec.insert("groups".to_owned(), user.groups.clone().into());
    }
    if !user.extra.is_empty() {
        let extra: Map<String, Value> =
            user.extra.iter().map(|(key, values)| (key.clone(), values.clone().into())).collect();
        spec.insert("extra".to_owned(), extra.into());
    }
}
