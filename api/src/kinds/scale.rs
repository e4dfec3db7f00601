//! Scale (autoscaling/v1): the number of replicas of a workload, by itself.

use crate::field::{FieldErrors, Path};
use crate::selector::LabelSelector;
use crate::validation::check;
use crate::validation::value::{at, int, object_mut, set};
use serde_json::{Map, Value, json};

/// The Scale of a Deployment or ReplicaSet.
pub fn from(object: &Value) -> Value {
    let (spec, metadata) = (at(object, "spec"), at(object, "metadata"));
    let kept = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"];
    let metadata = kept
        .iter()
        .filter_map(|field| Some(((*field).to_owned(), metadata.get(field)?.clone())))
        .collect::<Map<_, _>>();
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": {},
        "status": {"replicas": int(at(object, "status"), "replicas").unwrap_or_default()},
    });
    match int(spec, "replicas") {
        None | Some(0) => {}
        Some(replicas) => scale["spec"]["replicas"] = replicas.into(),
    }
    let selector = LabelSelector::from_object(at(spec, "selector")).map(|selector| selector.to_string());
    if let Ok(selector) = selector
        && !selector.is_empty()
    {
        scale["status"]["selector"] = selector.into();
    }
    scale
}

/// What is wrong with a Scale beyond its metadata.
pub fn validate(scale: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    check::not_negative(at(scale, "spec"), "replicas", &Path::new("spec"), &mut errors);
    errors
}

/// Writes the number of replicas of a valid Scale into its Deployment or ReplicaSet. The update is then one of
/// the main resource: `prepare_update` advances its generation.
pub fn apply(object: &mut Value, scale: &Value) {
    let replicas = int(at(scale, "spec"), "replicas").unwrap_or_default();
    if let Some(spec) = object_mut(object, "spec") {
        set(spec, "replicas", replicas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let mut object = json!({
            "metadata": {"name": "d", "uid": "u", "labels": {"a": "b"}},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "a"}}}, "status": {"replicas": 1},
        });
        let mut scale = from(&object);
        assert_eq!(scale["metadata"], json!({"name": "d", "uid": "u"}));
        assert_eq!(scale["spec"]["replicas"], 2);
        assert_eq!(scale["status"], json!({"replicas": 1, "selector": "app=a"}));
        scale["spec"]["replicas"] = 5.into();
        assert!(validate(&scale).is_empty());
        apply(&mut object, &scale);
        assert_eq!(object["spec"]["replicas"], 5);
        scale["spec"]["replicas"] = (-2).into();
        assert_eq!(
            validate(&scale)[0].to_string(),
            "spec.replicas: Invalid value: -2: must be greater than or equal to 0"
        );
    }
}
