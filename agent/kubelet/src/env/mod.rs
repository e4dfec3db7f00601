//! A container's environment, command and arguments, resolved from everything that they may refer to. Pure.

pub mod expand;
pub mod fields;
pub mod services;

use crate::pod::spec::{ContainerSpec, EnvSource, Pod};
use expand::expand;
use fields::NodeFacts;
use keelson_client::views::{ConfigMap, Secret};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The ConfigMaps and Secrets of the pod's namespace that its containers refer to; absent ones are not in.
#[derive(Default)]
pub struct Objects {
    pub config_maps: BTreeMap<String, Arc<ConfigMap>>,
    pub secrets: BTreeMap<String, Arc<Secret>>,
}

/// Names of the objects that a container's environment refers to.
pub fn references(container: &ContainerSpec) -> (Vec<String>, Vec<String>) {
    let sources = || container.env.iter().filter_map(|e| e.value_from.as_ref());
    let config_maps = sources()
        .filter_map(|s| s.config_map_key_ref.as_ref().map(|r| r.name.clone()))
        .chain(container.env_from.iter().filter_map(|e| e.config_map_ref.as_ref().map(|r| r.name.clone())));
    let secrets = sources()
        .filter_map(|s| s.secret_key_ref.as_ref().map(|r| r.name.clone()))
        .chain(container.env_from.iter().filter_map(|e| e.secret_ref.as_ref().map(|r| r.name.clone())));
    (config_maps.collect(), secrets.collect())
}

/// Variables in the order in which they were first set.
#[derive(Default)]
struct Variables {
    list: Vec<(String, String)>,
    index: BTreeMap<String, usize>,
}

impl Variables {
    fn set(&mut self, name: &str, value: String) {
        match self.index.get(name) {
            Some(at) => self.list[*at].1 = value,
            None => {
                self.index.insert(name.to_owned(), self.list.len());
                self.list.push((name.to_owned(), value));
            }
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.index.get(name).map(|at| self.list[*at].1.as_str())
    }
}

/// The environment of `container`: services first, then `envFrom`, then `env`; later ones win.
pub fn resolve(
    pod: &Pod,
    container: &ContainerSpec,
    objects: &Objects,
    services: Vec<(String, String)>,
    facts: &NodeFacts<'_>,
) -> Result<Vec<(String, String)>, String> {
    let mut all = Variables::default();
    for (name, value) in services {
        all.set(&name, value);
    }
    for from in &container.env_from {
        add_all(&mut all, from, objects)?;
    }
    for var in &container.env {
        let value = match &var.value_from {
            Some(source) => match lookup(pod, container, source, objects, facts)? {
                Some(value) => value,
                None => continue,
            },
            None => expand(&var.value, |name| all.get(name)),
        };
        all.set(&var.name, value);
    }
    Ok(all.list)
}

fn add_all(all: &mut Variables, from: &crate::pod::spec::EnvFrom, objects: &Objects) -> Result<(), String> {
    if let Some(reference) = &from.config_map_ref {
        match objects.config_maps.get(&reference.name) {
            Some(map) => {
                for (key, value) in &map.data {
                    all.set(&format!("{}{key}", from.prefix), value.clone());
                }
            }
            None if reference.optional => {}
            None => return Err(format!("configmap \"{}\" not found", reference.name)),
        }
    }
    if let Some(reference) = &from.secret_ref {
        match objects.secrets.get(&reference.name) {
            Some(secret) => {
                for (key, value) in &secret.data {
                    let text = String::from_utf8_lossy(&value.0).into_owned();
                    all.set(&format!("{}{key}", from.prefix), text);
                }
            }
            None if reference.optional => {}
            None => return Err(format!("secret \"{}\" not found", reference.name)),
        }
    }
    Ok(())
}

/// The value behind `valueFrom`; `None` when it is optional and absent.
fn lookup(
    pod: &Pod,
    container: &ContainerSpec,
    source: &EnvSource,
    objects: &Objects,
    facts: &NodeFacts<'_>,
) -> Result<Option<String>, String> {
    if let Some(field) = &source.field_ref {
        return fields::field(pod, &field.field_path, facts).map(Some);
    }
    if let Some(resource) = &source.resource_field_ref {
        return fields::resource(pod, Some(container), resource, facts).map(Some);
    }
    let namespace = &pod.meta.namespace;
    if let Some(key) = &source.config_map_key_ref {
        let Some(map) = objects.config_maps.get(&key.name) else {
            return absent(key.optional, || format!("configmap \"{}\" not found", key.name));
        };
        return match map.data.get(&key.key) {
            Some(value) => Ok(Some(value.clone())),
            None => absent(key.optional, || {
                format!("couldn't find key {} in ConfigMap {namespace}/{}", key.key, key.name)
            }),
        };
    }
    if let Some(key) = &source.secret_key_ref {
        let Some(secret) = objects.secrets.get(&key.name) else {
            return absent(key.optional, || format!("secret \"{}\" not found", key.name));
        };
        return match secret.data.get(&key.key) {
            Some(value) => Ok(Some(String::from_utf8_lossy(&value.0).into_owned())),
            None => absent(key.optional, || {
                format!("couldn't find key {} in Secret {namespace}/{}", key.key, key.name)
            }),
        };
    }
    Err("valueFrom is of a kind that is not served (only fieldRef, resourceFieldRef, configMapKeyRef and secretKeyRef are)".to_owned())
}

fn absent(optional: bool, message: impl Fn() -> String) -> Result<Option<String>, String> {
    if optional { Ok(None) } else { Err(message()) }
}

/// `command` and `args` with `$(NAME)` replaced.
pub fn command_line(container: &ContainerSpec, env: &[(String, String)]) -> (Vec<String>, Vec<String>) {
    let values: BTreeMap<&str, &str> = env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let all = |list: &[String]| list.iter().map(|text| expand(text, |n| values.get(n).copied())).collect();
    (all(&container.command), all(&container.args))
}

#[cfg(test)]
mod tests;
