//! Server-side apply (KEP-555): who owns which field, merging what is applied, conflicts; and the ownership that
//! ordinary writes bring.
//!
//! Works on objects in the form that `schema::complete` gives. Never defaults or validates: what it returns
//! goes on through the same steps as any other write.

mod compare;
mod managers;
mod merge;
mod set;
mod typed;

use crate::kinds::KindDef;
use crate::meta;
use crate::schema::{self, FieldValidation};
use crate::status::{Cause, Details, Status};
use compare::{Comparison, compare};
use managers::{Entry, Operation};
use serde_json::{Map, Value};
use set::FieldSet;
use std::sync::LazyLock;
use typed::Kind;

/// The manager that owns what an object had before its first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Who writes, how and when.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The field manager's name.
    pub manager: &'a str,
    /// The subresource that is written; empty for the object itself.
    pub subresource: &'a str,
    /// RFC 3339.
    pub now: &'a str,
}

fn api_version(def: &KindDef) -> String {
    if def.group.is_empty() { def.version.to_owned() } else { format!("{}/{}", def.group, def.version) }
}

impl Writer<'_> {
    fn entry(&self, def: &KindDef, operation: Operation, set: FieldSet) -> Entry {
        Entry {
            manager: self.manager.to_owned(),
            operation,
            api_version: api_version(def),
            subresource: self.subresource.to_owned(),
            time: self.now.to_owned(),
            set,
        }
    }
}

/// What no manager owns: the object's identity and what the server alone writes.
static UNOWNED: LazyLock<FieldSet> = LazyLock::new(|| {
    const FIELDS: [&str; 8] = [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "generation",
        "managedFields",
        "resourceVersion",
    ];
    let mut set = FieldSet::default();
    set.insert(&["apiVersion"]);
    set.insert(&["kind"]);
    set.insert(&["metadata"]);
    for field in FIELDS {
        set.insert(&["metadata", field]);
    }
    set
});

/// What a write to `subresource` does not change, whatever it says.
fn ignored(def: &KindDef, subresource: &str) -> FieldSet {
    let mut set = FieldSet::default();
    match subresource {
        "" if def.subresources.iter().any(|s| s.name == "status") => set.insert(&["status"]),
        "status" => {
            set.insert(&["spec"]);
            match def.kind {
                "Pod" => {
                    set.insert(&["metadata", "deletionTimestamp"]);
                    set.insert(&["metadata", "ownerReferences"]);
                }
                "Deployment" => set.insert(&["metadata", "labels"]),
                _ => {}
            }
        }
        _ => {}
    }
    set
}

fn kind_of(def: &KindDef) -> Result<Kind, Status> {
    Kind::of_type(def.schema).ok_or_else(|| Status::internal(format!("no type {:?} is known", def.schema)))
}

/// The object that Kubernetes compares a new one with: only what is written even when empty.
fn blank(def: &KindDef) -> Value {
    let mut blank = Value::Object(Map::new());
    schema::complete(def.schema, &mut blank);
    blank
}

fn identified(def: &KindDef, mut object: Value) -> Value {
    if let Value::Object(map) = &mut object {
        map.insert("apiVersion".to_owned(), Value::String(api_version(def)));
        map.insert("kind".to_owned(), Value::String(def.kind.to_owned()));
    }
    object
}

/// Takes from all managers what went, and from the others than `writer` what changed.
fn take_from_others(entries: &mut Vec<Entry>, writer: Option<&Entry>, changes: &Comparison) {
    for entry in entries.iter_mut() {
        if writer.is_some_and(|writer| entry.same_manager(writer)) {
            continue;
        }
        entry.set =
            entry.set.difference(&changes.modified).difference(&changes.added).difference(&changes.removed);
    }
    entries.retain(|entry| !entry.set.is_empty());
}

/// Sets `metadata.managedFields` of `new`, which an ordinary create (`old` absent), update or patch brings.
/// `new` is defaulted and complete, but not yet changed by admission or by the kind's `prepare_*`: what those
/// set belongs to nobody.
pub fn update_managed_fields(def: &KindDef, new: &mut Value, old: Option<&Value>, writer: &Writer<'_>) {
    let Ok(kind) = kind_of(def) else { return };
    let of_old = || old.and_then(managers::read).unwrap_or_default();
    let mut entries = if managers::resets(new) && writer.subresource.is_empty() {
        Vec::new()
    } else if writer.subresource.is_empty() {
        managers::read(new).filter(|entries| !entries.is_empty()).unwrap_or_else(of_old)
    } else {
        of_old()
    };
    managers::strip(new);
    if entries.is_empty() && old.is_some_and(|old| !meta::uid(old).is_empty()) {
        // An object whose owners nobody follows stays so until it is applied to.
        return;
    }
    // Managers in `old` count as a field that went; nobody owns that field.
    let changes = match old {
        Some(old) => compare(old, new, kind),
        None => compare(&blank(def), new, kind),
    };
    let changes = changes.without(&ignored(def, writer.subresource));
    claim(&mut entries, changes, def, writer);
    managers::cap(&mut entries);
    managers::write(new, entries);
    if let Some(old) = old {
        keep_times(new, old);
    }
}

/// Gives the writer what it changed.
fn claim(entries: &mut Vec<Entry>, changes: Comparison, def: &KindDef, writer: &Writer<'_>) {
    take_from_others(entries, None, &changes);
    let mut set = changes.added;
    set.extend(changes.modified);
    set.subtract(&UNOWNED);
    if set.is_empty() {
        return;
    }
    let mut claimed = writer.entry(def, Operation::Update, set);
    if let Some(at) = entries.iter().position(|entry| entry.same_manager(&claimed)) {
        claimed.set.extend(entries.remove(at).set);
    }
    entries.push(claimed);
}

/// A write that changes nothing but the times of managers changes nothing.
fn keep_times(new: &mut Value, old: &Value) {
    if !same_but_managers(new, old) || !same_owners(new, old) {
        return;
    }
    if let Some(fields) = old.pointer("/metadata/managedFields") {
        meta::metadata_mut(new).insert("managedFields".to_owned(), fields.clone());
    }
}

fn same_owners(new: &Value, old: &Value) -> bool {
    let (Some(new), Some(old)) = (managers::read(new), managers::read(old)) else { return false };
    let within = |one: &Entry, all: &[Entry]| all.iter().any(|o| o.same_manager(one) && o.set == one.set);
    new.len() == old.len() && new.iter().all(|entry| within(entry, &old))
}

fn same_but_managers(new: &Value, old: &Value) -> bool {
    let (Value::Object(new), Value::Object(old)) = (new, old) else { return false };
    let none = Map::new();
    let ignored = ["managedFields", "resourceVersion"];
    same_but(metadata_or(new, &none), metadata_or(old, &none), &ignored) && same_but(new, old, &["metadata"])
}

fn metadata_or<'a>(map: &'a Map<String, Value>, none: &'a Map<String, Value>) -> &'a Map<String, Value> {
    map.get("metadata").and_then(Value::as_object).unwrap_or(none)
}

/// Whether two maps are equal but for these keys.
fn same_but(new: &Map<String, Value>, old: &Map<String, Value>, but: &[&str]) -> bool {
    let counts = |map: &Map<String, Value>| map.keys().filter(|key| !but.contains(&key.as_str())).count();
    counts(new) == counts(old)
        && new.iter().all(|(key, value)| but.contains(&key.as_str()) || old.get(key) == Some(value))
}

/// Applies `applied` (the body of an apply patch) as the writer's wish: merges it into `live`, takes out what
/// the writer applied before and no longer does, and settles ownership. `live` is absent when the object is to
/// be created. Returns the object, types checked, not yet defaulted.
pub fn apply(
    def: &KindDef,
    live: Option<&Value>,
    applied: &Value,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Value, Status> {
    let kind = kind_of(def)?;
    check_applied(def, applied, kind)?;
    let mut entries = live.and_then(managers::read).unwrap_or_default();
    entries.retain(|entry| entry.api_version == api_version(def));
    let mut before = live.cloned().unwrap_or_else(|| identified(def, blank(def)));
    managers::strip(&mut before);
    if let (true, Some(_)) = (entries.is_empty(), live) {
        let first = Writer { manager: BEFORE_FIRST_APPLY, subresource: "", now: writer.now };
        let changes = compare(&blank(def), &before, kind).without(&ignored(def, writer.subresource));
        claim(&mut entries, changes, def, &first);
    }

    let ignored = ignored(def, writer.subresource);
    let mut wanted = typed::field_set(applied, kind);
    wanted.subtract_below(&ignored);
    wanted.subtract(&UNOWNED);
    let mut mine = writer.entry(def, Operation::Apply, wanted);
    let last = entries.iter().position(|entry| entry.same_manager(&mine)).map(|at| entries.remove(at));

    let merged = merge::merge(before.clone(), applied, kind);
    let merged = match &last {
        Some(last) => prune(merged, &last.set, &entries, &mine.set, kind),
        None => merged,
    };
    let changes = compare(&before, &merged, kind).without(&ignored);
    let unchanged = before == merged;
    refuse_conflicts(&entries, &changes, force)?;
    take_from_others(&mut entries, Some(&mine), &changes);
    if let (true, Some(last)) = (unchanged, last) {
        mine.time = last.time;
    }
    entries.push(mine);

    let mut object = merged;
    schema::decode(def.schema, &mut object, FieldValidation::Ignore)
        .map_err(|error| Status::new(500, "", error.to_string()))?;
    managers::write(&mut object, entries);
    Ok(object)
}

/// Holds the patch against the kind and its type.
fn check_applied(def: &KindDef, applied: &Value, kind: Kind) -> Result<(), Status> {
    let text = |field: &str| applied.get(field).and_then(Value::as_str).unwrap_or_default();
    let (given, expected) = (text("apiVersion"), api_version(def));
    if given != expected {
        return Err(Status::bad_request(format!(
            "Incorrect version specified in apply patch. Specified patch version: {given}, expected: {expected}"
        )));
    }
    if text("kind") != def.kind {
        return Err(Status::bad_request(format!(
            "{} in version {:?} cannot be applied as a {}",
            text("kind"),
            def.version,
            def.kind
        )));
    }
    if applied.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let errors = typed::validate(applied, kind);
    if errors.is_empty() {
        return Ok(());
    }
    let text = match errors.as_slice() {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    Err(Status::new(
        500,
        "",
        format!(
            "failed to create typed patch object ({}/{}; {}/{}, Kind={}): {text}",
            meta::namespace(applied),
            meta::name(applied),
            def.group,
            def.version,
            def.kind
        ),
    ))
}

/// Takes out what the writer owned by its last apply, but for what it still wants, what others own, and what
/// it did not own.
fn prune(merged: Value, last: &FieldSet, others: &[Entry], mine: &FieldSet, kind: Kind) -> Value {
    let named = |set: &FieldSet| typed::with_named_fields(set, Some(kind));
    let all = named(&typed::field_set(&merged, kind));
    let mut pruned = merged.clone();
    merge::remove(&mut pruned, &named(last), kind);

    let managed = others.iter().fold(mine.clone(), |sum, entry| sum.union(&entry.set));
    let kept = named(&typed::field_set(&pruned, kind)).union(&named(&managed));
    let mut pruned = merged.clone();
    merge::remove(&mut pruned, &all.difference(&kept), kind);

    let gone = all.difference(&named(&typed::field_set(&pruned, kind))).intersection(&named(last));
    let mut result = merged;
    merge::remove(&mut result, &gone, kind);
    result
}

/// The refusal when others own what would change, unless it is forced.
fn refuse_conflicts(entries: &[Entry], changes: &Comparison, force: bool) -> Result<(), Status> {
    if force {
        return Ok(());
    }
    let changed = changes.modified.clone().union(&changes.added);
    let conflicts: Vec<(String, Vec<String>)> = entries
        .iter()
        .map(|entry| (entry.shown(), entry.set.intersection(&changed).paths()))
        .filter(|(_, paths)| !paths.is_empty())
        .collect();
    let count: usize = conflicts.iter().map(|(_, paths)| paths.len()).sum();
    let message = match conflicts.as_slice() {
        [] => return Ok(()),
        [(manager, paths)] if count == 1 => {
            format!("Apply failed with 1 conflict: conflict with {manager}: {}", paths.concat())
        }
        many => {
            let mut sorted: Vec<_> = many.iter().collect();
            sorted.sort();
            let blocks = sorted
                .iter()
                .map(|(manager, paths)| format!("conflicts with {manager}:\n- {}", paths.join("\n- ")));
            format!("Apply failed with {count} conflicts: {}", blocks.collect::<Vec<_>>().join("\n"))
        }
    };
    let mut status = Status::new(409, "Conflict", message);
    let causes = conflicts.into_iter().flat_map(|(manager, paths)| {
        paths.into_iter().map(move |path| Cause {
            reason: "FieldManagerConflict".to_owned(),
            message: format!("conflict with {manager}"),
            field: path,
        })
    });
    status.details = Some(Box::new(Details { causes: causes.collect(), ..Details::default() }));
    Err(status)
}

#[cfg(test)]
mod tests;
