//! The options of a request (`meta.k8s.io` ListOptions, CreateOptions ...), read off its query and checked as
//! Kubernetes checks them.

use crate::request::query;
use keelson_api::field::{FieldError, FieldErrors, Path};
use keelson_api::status::Status;

const GROUP: &str = "meta.k8s.io";

fn refuse(kind: &str, errors: FieldErrors) -> Result<(), Status> {
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid(GROUP, kind, "", &errors)) }
}

/// How exactly a list must meet the resourceVersion it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    Exact,
    NotOlderThan,
}

/// ListOptions, for lists, watches and deletecollection.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    pub label_selector: String,
    pub field_selector: String,
    /// 0: no limit.
    pub limit: usize,
    pub continue_token: String,
    /// `None` when unset or empty.
    pub resource_version: Option<u64>,
    pub resource_version_match: Option<Match>,
    pub timeout_seconds: Option<u64>,
    pub allow_bookmarks: bool,
    pub send_initial_events: Option<bool>,
}

impl ListOptions {
    pub fn parse(query: &str, watch: bool) -> Result<Self, Status> {
        let mut options = ListOptions::default();
        if query.is_empty() {
            return Ok(options);
        }
        let (mut version, mut matching) = (String::new(), String::new());
        for (key, value) in query::firsts(query) {
            match &*key {
                "labelSelector" => options.label_selector = value.into_owned(),
                "fieldSelector" => options.field_selector = value.into_owned(),
                "continue" => options.continue_token = value.into_owned(),
                "limit" => options.limit = usize::try_from(integer(&value)?).unwrap_or(0),
                "timeoutSeconds" => options.timeout_seconds = u64::try_from(integer(&value)?).ok(),
                "resourceVersion" => version = value.into_owned(),
                "resourceVersionMatch" => matching = value.into_owned(),
                "allowWatchBookmarks" => options.allow_bookmarks = query::truthy(&value),
                "sendInitialEvents" => options.send_initial_events = Some(query::truthy(&value)),
                _ => {}
            }
        }
        let errors =
            if watch { check_watch(&options, &matching) } else { check_list(&options, &version, &matching) };
        refuse("ListOptions", errors)?;
        options.resource_version_match = match matching.as_str() {
            "Exact" => Some(Match::Exact),
            "NotOlderThan" => Some(Match::NotOlderThan),
            _ => None,
        };
        options.resource_version = resource_version(&version)?;
        Ok(options)
    }
}

fn integer(value: &str) -> Result<i64, Status> {
    if value.is_empty() {
        return Ok(0);
    }
    value.parse().map_err(|_| {
        Status::bad_request(format!("strconv.ParseInt: parsing {}: invalid syntax", go_quote(value)))
    })
}

/// A resourceVersion as clients send it: decimal, or empty for none.
pub fn resource_version(text: &str) -> Result<Option<u64>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let quoted = go_quote(text);
        Status::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: invalid syntax"
        ))
    })
}

/// A string as Go's `%q` prints it, near enough for messages: JSON's escapes.
pub fn go_quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn check_list(options: &ListOptions, version: &str, matching: &str) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = Path::new("resourceVersionMatch");
    if !matching.is_empty() {
        if version.is_empty() {
            errors.push(FieldError::forbidden(
                &path,
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        if !options.continue_token.is_empty() {
            errors.push(FieldError::forbidden(
                &path,
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        if !matches!(matching, "Exact" | "NotOlderThan") {
            errors.push(FieldError::not_supported(&path, matching, &["Exact", "NotOlderThan"]));
        }
        if matching == "Exact" && version == "0" {
            errors.push(FieldError::forbidden(
                &path,
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ));
        }
    }
    if options.send_initial_events.is_some() {
        errors.push(FieldError::forbidden(
            &Path::new("sendInitialEvents"),
            "sendInitialEvents is forbidden for list",
        ));
    }
    errors
}

fn check_watch(options: &ListOptions, matching: &str) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = Path::new("resourceVersionMatch");
    match (options.send_initial_events, matching) {
        (None, "") => {}
        (None, _) => errors.push(FieldError::forbidden(
            &path,
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        )),
        (Some(_), "") => errors.push(FieldError::forbidden(
            &path,
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        )),
        (Some(_), "NotOlderThan") => {}
        (Some(_), other) => errors.push(FieldError::not_supported(&path, other, &["NotOlderThan"])),
    }
    if !options.continue_token.is_empty() && options.send_initial_events.is_some() {
        errors.push(FieldError::forbidden(
            &path,
            "resourceVersionMatch is forbidden when continue is provided",
        ));
    }
    errors
}

/// How unknown and duplicate fields of a body are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// CreateOptions, UpdateOptions and PatchOptions.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    pub dry_run: bool,
    pub field_manager: String,
    pub validation: Validation,
    pub force: Option<bool>,
}

impl WriteOptions {
    /// `kind` is the options' kind, for messages: `CreateOptions`, `UpdateOptions` or `PatchOptions`.
    pub fn parse(query: &str, kind: &str) -> Result<Self, Status> {
        let mut options = WriteOptions::default();
        if query.is_empty() {
            return Ok(options);
        }
        let dry_run = dry_runs(query).collect::<Vec<_>>();
        let mut errors = FieldErrors::new();
        for (key, value) in query::firsts(query) {
            match &*key {
                "fieldManager" => options.field_manager = value.into_owned(),
                "force" => options.force = Some(query::truthy(&value)),
                "fieldValidation" => match &*value {
                    "" => {}
                    "Ignore" => options.validation = Validation::Ignore,
                    "Warn" => options.validation = Validation::Warn,
                    "Strict" => options.validation = Validation::Strict,
                    other => errors.push(FieldError::not_supported(
                        &Path::new("fieldValidation"),
                        other,
                        &["Ignore", "Strict", "Warn"],
                    )),
                },
                _ => {}
            }
        }
        check_dry_run(&dry_run, &mut errors);
        check_manager(&options.field_manager, &mut errors);
        refuse(kind, errors)?;
        options.dry_run = !dry_run.is_empty();
        Ok(options)
    }
}

fn check_manager(manager: &str, errors: &mut FieldErrors) {
    let path = Path::new("fieldManager");
    if manager.len() > 128 {
        errors.push(FieldError::too_long(&path, 128));
    }
    if let Some(at) = manager.chars().position(|c| c.is_control()) {
        errors.push(FieldError::invalid(
            &path,
            manager,
            format!("should not contain control characters at {at}"),
        ));
    }
}

/// `dryRun` is a list.
fn dry_runs(query: &str) -> impl Iterator<Item = String> {
    query::pairs(query).filter(|(key, _)| key == "dryRun").map(|(_, value)| value.into_owned())
}

fn check_dry_run(values: &[String], errors: &mut FieldErrors) {
    if !values.is_empty() && (values.len() > 1 || values[0] != "All") {
        errors.push(FieldError::not_supported(&Path::new("dryRun"), values.to_vec(), &["All"]));
    }
}

/// What happens to the objects that an object owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    Orphan,
    Background,
    Foreground,
}

/// DeleteOptions, from the body or, without one, from the query.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    pub dry_run: bool,
    pub grace_period_seconds: Option<i64>,
    pub propagation: Option<Propagation>,
    pub uid: Option<String>,
    pub resource_version: Option<String>,
}

impl DeleteOptions {
    /// `body` is the decoded body; `Null` when there is none.
    pub fn parse(query: &str, body: &serde_json::Value) -> Result<Self, Status> {
        let mut options = DeleteOptions::default();
        let mut dry_run = Vec::new();
        let (mut policy, mut orphan) = (None, None);
        if body.is_object() {
            options.grace_period_seconds = body["gracePeriodSeconds"].as_i64();
            policy = body["propagationPolicy"].as_str().map(str::to_owned);
            orphan = body["orphanDependents"].as_bool();
            options.uid = body["preconditions"]["uid"].as_str().map(str::to_owned);
            options.resource_version = body["preconditions"]["resourceVersion"].as_str().map(str::to_owned);
            dry_run.extend(
                body["dryRun"].as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)),
            );
        } else {
            for (key, value) in query::firsts(query) {
                match &*key {
                    "gracePeriodSeconds" => options.grace_period_seconds = Some(integer(&value)?),
                    "propagationPolicy" => policy = Some(value.into_owned()),
                    "orphanDependents" => orphan = Some(query::truthy(&value)),
                    _ => {}
                }
            }
        }
        // The query's dryRun counts beside a body as well: a dry run must never delete.
        dry_run.extend(dry_runs(query));
        dry_run.dedup();
        let mut errors = FieldErrors::new();
        options.propagation = propagation(policy.as_deref(), orphan, &mut errors);
        check_dry_run(&dry_run, &mut errors);
        refuse("DeleteOptions", errors)?;
        options.dry_run = !dry_run.is_empty();
        Ok(options)
    }
}

fn propagation(policy: Option<&str>, orphan: Option<bool>, errors: &mut FieldErrors) -> Option<Propagation> {
    let path = Path::new("propagationPolicy");
    if policy.is_some() && orphan.is_some() {
        errors.push(FieldError::invalid(
            &path,
            policy.unwrap_or_default(),
            "orphanDependents and deletionPropagation cannot be both set",
        ));
    }
    match (policy, orphan) {
        (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
        (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (None, None) => None,
        (Some(other), _) => {
            errors.push(FieldError::not_supported(
                &path,
                other,
                &["Foreground", "Background", "Orphan", "nil"],
            ));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message<T>(result: Result<T, Status>) -> String {
        result.err().map(|s| s.message).unwrap_or_default()
    }

    #[test]
    fn lists() {
        let check =
            |query: &str, want: &str| assert_eq!(message(ListOptions::parse(query, false)), want, "{query}");
        check("limit=-1", "");
        check("resourceVersion=0", "");
        check("resourceVersion=5&resourceVersionMatch=Exact", "");
        check(
            "resourceVersionMatch=Exact",
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        );
        check(
            "resourceVersion=abc",
            "invalid resource version: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax",
        );
        assert_eq!(ListOptions::parse("limit=-1", false).expect("valid").limit, 0);
        let twice =
            "fieldSelector=metadata.name%3Da&fieldSelector=&labelSelector=a&labelSelector=b&limit=1&limit=2";
        let options = ListOptions::parse(twice, false).expect("valid");
        assert_eq!(
            (options.field_selector.as_str(), options.label_selector.as_str(), options.limit),
            ("metadata.name=a", "a", 1)
        );
        assert_eq!(ListOptions::parse("resourceVersion=", false).expect("valid").resource_version, None);
    }

    #[test]
    fn watches() {
        let check =
            |query: &str, ok: bool| assert_eq!(ListOptions::parse(query, true).is_ok(), ok, "{query}");
        check("sendInitialEvents=true&resourceVersionMatch=NotOlderThan", true);
        check("sendInitialEvents=true", false);
        check("resourceVersionMatch=NotOlderThan", false);
        check("sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=3", false);
    }

    #[test]
    fn writes() {
        assert_eq!(
            message(WriteOptions::parse("dryRun=Some", "CreateOptions")),
            "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported values: \"All\""
        );
        assert!(WriteOptions::parse("dryRun=All", "CreateOptions").expect("valid").dry_run);
        assert!(message(WriteOptions::parse("dryRun=All&dryRun=All", "CreateOptions")).contains("dryRun"));
        let twice = WriteOptions::parse("fieldManager=a&fieldManager=b&force=0&force=1", "PatchOptions")
            .expect("valid");
        assert_eq!((twice.field_manager.as_str(), twice.force), ("a", Some(false)));
    }

    #[test]
    fn deletes() {
        let parse = |query: &str, body| DeleteOptions::parse(query, &body);
        assert_eq!(
            message(parse("", json!({"propagationPolicy": "Wrong"}))),
            "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"Wrong\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
        );
        assert!(parse("dryRun=All", json!({"gracePeriodSeconds": 0})).expect("valid").dry_run);
        let options = parse("gracePeriodSeconds=7&propagationPolicy=Orphan", json!(null)).expect("valid");
        assert_eq!((options.grace_period_seconds, options.propagation), (Some(7), Some(Propagation::Orphan)));
    }
}
