//! Impersonation: acting as somebody else, for those who may.

use super::attributes::Attributes;
use http::{HeaderMap, HeaderValue};
use keelson_api::identity::{
    GROUP_AUTHENTICATED, GROUP_SERVICE_ACCOUNTS, GROUP_UNAUTHENTICATED, USER_ANONYMOUS, UserInfo,
};
use keelson_api::percent;
use keelson_api::status::Status;

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";

/// The user that the headers ask to act as, when they ask and `check` lets the requester do so.
pub(super) fn impersonate(
    headers: &HeaderMap,
    check: &dyn Fn(&Attributes<'_>) -> Result<(), Status>,
) -> Result<Option<UserInfo>, Status> {
    let values = |name: &str| -> Result<Vec<String>, Status> {
        headers.get_all(name).iter().map(|value| text(name, value)).collect()
    };
    let (users, mut groups, uids) = (values(USER)?, values(GROUP)?, values(UID)?);
    let username = users.into_iter().next().unwrap_or_default();
    let uid = uids.into_iter().next().unwrap_or_default();
    let extra = extra(headers)?;
    if username.is_empty() {
        if groups.is_empty() && uid.is_empty() && extra.is_empty() {
            return Ok(None);
        }
        return Err(Status::internal("requested impersonation of a group, uid or extra without a user"));
    }
    let asked_groups = groups.clone();
    match service_account(&username) {
        Some((namespace, name)) => {
            may(check, "serviceaccounts", "", namespace, name)?;
            if groups.is_empty() {
                groups =
                    vec![GROUP_SERVICE_ACCOUNTS.to_owned(), format!("{GROUP_SERVICE_ACCOUNTS}:{namespace}")];
            }
        }
        None => may(check, "users", "", "", &username)?,
    }
    for group in &asked_groups {
        may(check, "groups", "", "", group)?;
    }
    if !uid.is_empty() {
        may(check, "uids", "", "", &uid)?;
    }
    for (key, value) in extra.iter().flat_map(|(key, list)| list.iter().map(move |value| (key, value))) {
        may(check, "userextras", key, "", value)?;
    }
    let implied = if username == USER_ANONYMOUS { GROUP_UNAUTHENTICATED } else { GROUP_AUTHENTICATED };
    if !groups.iter().any(|group| group == GROUP_AUTHENTICATED || group == GROUP_UNAUTHENTICATED) {
        groups.push(implied.to_owned());
    }
    Ok(Some(UserInfo { username, uid, groups, extra }))
}

/// Whether the requester may impersonate the named thing.
fn may(
    check: &dyn Fn(&Attributes<'_>) -> Result<(), Status>,
    resource: &str,
    subresource: &str,
    namespace: &str,
    name: &str,
) -> Result<(), Status> {
    // Users and their groups are of the core group, finer parts of an identity of authentication's.
    let group = if matches!(resource, "uids" | "userextras") { "authentication.k8s.io" } else { "" };
    check(&Attributes {
        verb: "impersonate",
        version: "v1",
        is_resource: true,
        group,
        resource,
        subresource,
        namespace,
        name,
        ..Attributes::default()
    })
}

/// A header's value, which may be in any script. What cannot be read is refused: left out, the request would be done
/// by the requester.
fn text(name: &str, value: &HeaderValue) -> Result<String, Status> {
    let text = std::str::from_utf8(value.as_bytes());
    text.map(str::to_owned).map_err(|_| Status::bad_request(format!("the header {name} is not UTF-8")))
}

fn extra(headers: &HeaderMap) -> Result<std::collections::BTreeMap<String, Vec<String>>, Status> {
    let mut extra = std::collections::BTreeMap::<String, Vec<String>>::new();
    for (name, value) in headers {
        let Some(key) = name.as_str().strip_prefix(EXTRA) else { continue };
        let value = text(name.as_str(), value)?;
        // Names of headers cannot have every character: keys are escaped in them.
        extra.entry(percent::decode(key, false).into_owned()).or_default().push(value);
    }
    Ok(extra)
}

fn service_account(username: &str) -> Option<(&str, &str)> {
    username.strip_prefix("system:serviceaccount:")?.split_once(':').filter(|(_, name)| !name.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], wanted: Option<UserInfo>, asked: &[&str]) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let questions = RefCell::new(Vec::new());
        let user = impersonate(&map, &|attributes| {
            assert_eq!(attributes.verb, "impersonate");
            questions.borrow_mut().push(format!(
                "{}/{}/{} {}/{}",
                attributes.group,
                attributes.resource,
                attributes.subresource,
                attributes.namespace,
                attributes.name
            ));
            Ok(())
        });
        assert_eq!(user.unwrap(), wanted);
        assert_eq!(*questions.borrow(), asked);
    }

    fn user(username: &str, groups: &[&str]) -> UserInfo {
        UserInfo {
            username: username.to_owned(),
            groups: groups.iter().map(|&g| g.to_owned()).collect(),
            ..UserInfo::default()
        }
    }

    #[test]
    fn who_is_asked_for() {
        check(&[], None, &[]);
        check(&[("Impersonate-User", "u")], Some(user("u", &["system:authenticated"])), &["/users/ /u"]);
        check(
            &[("Impersonate-User", "u"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b")],
            Some(user("u", &["a", "b", "system:authenticated"])),
            &["/users/ /u", "/groups/ /a", "/groups/ /b"],
        );
        check(
            &[("Impersonate-User", "system:serviceaccount:ns:sa")],
            Some(UserInfo::service_account("ns", "sa")),
            &["/serviceaccounts/ ns/sa"],
        );
        check(
            &[("Impersonate-User", "system:anonymous")],
            Some(user("system:anonymous", &["system:unauthenticated"])),
            &["/users/ /system:anonymous"],
        );
        // Escapes are decoded; what is none stays, and so does a plus sign.
        for (header, key) in [
            ("Impersonate-Extra-a%2fb", "a/b"),
            ("Impersonate-Extra-a%+1", "a%+1"),
            ("Impersonate-Extra-a+%20", "a+ "),
            ("Impersonate-Extra-a%ff", "a%ff"),
        ] {
            let mut with_extra = user("u", &["system:authenticated"]);
            with_extra.extra.insert(key.to_owned(), vec!["v".to_owned()]);
            let asked = format!("authentication.k8s.io/userextras/{key} /v");
            check(&[("Impersonate-User", "u"), (header, "v")], Some(with_extra), &["/users/ /u", &asked]);
        }
    }

    #[test]
    fn names_in_any_script() {
        check(
            &[("Impersonate-User", "jürgen"), ("Impersonate-Group", "εργάτες")],
            Some(user("jürgen", &["εργάτες", "system:authenticated"])),
            &["/users/ /jürgen", "/groups/ /εργάτες"],
        );
        for header in ["impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-a"] {
            let mut map = HeaderMap::new();
            map.insert(header, HeaderValue::from_bytes(b"j\xfcrgen").unwrap());
            let refused = impersonate(&map, &|_| Ok(())).unwrap_err();
            assert_eq!((refused.code, refused.message), (400, format!("the header {header} is not UTF-8")));
        }
    }

    #[test]
    fn refusals() {
        let mut map = HeaderMap::new();
        map.insert("Impersonate-Group", "system:masters".parse().unwrap());
        assert!(impersonate(&map, &|_| Ok(())).is_err(), "a group without a user");
        map.insert("Impersonate-User", "u".parse().unwrap());
        let refuse_groups = |attributes: &Attributes<'_>| match attributes.resource {
            "groups" => Err(Status::unauthorized()),
            _ => Ok(()),
        };
        assert!(impersonate(&map, &refuse_groups).is_err());
    }
}
