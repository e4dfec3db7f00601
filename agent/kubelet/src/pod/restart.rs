//! Whether a container that ended is to run again: its rules, then its own policy, then its pod's (KEP-5307). Pure.

use super::container::Role;
use super::spec::{ContainerSpec, RestartPolicy, RestartRule};

/// The action of a rule that makes its container run again.
pub const RESTART: &str = "Restart";

/// Whether `spec` runs again after `code`, in a pod with `policy`.
pub fn restarts(spec: &ContainerSpec, role: Role, policy: RestartPolicy, code: i32) -> bool {
    match role {
        Role::Sidecar => return true,
        // It has done its work.
        Role::Init if code == 0 => return false,
        Role::Init | Role::App => {}
    }
    if spec.restart_policy_rules.iter().any(|rule| rule.action == RESTART && meets(rule, code)) {
        return true;
    }
    match (spec.restart_policy.unwrap_or(policy), role) {
        (RestartPolicy::Never, _) => false,
        (RestartPolicy::Always, Role::App) => true,
        (RestartPolicy::Always | RestartPolicy::OnFailure, _) => code != 0,
    }
}

fn meets(rule: &RestartRule, code: i32) -> bool {
    rule.exit_codes.as_ref().is_some_and(|codes| match codes.operator.as_str() {
        "In" => codes.values.contains(&code),
        "NotIn" => !codes.values.contains(&code),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use RestartPolicy::{Always, Never, OnFailure};
    use serde_json::{Value, json};

    #[test]
    fn rules_policies_and_roles() {
        let check = |spec: Value, role: Role, policy: RestartPolicy, expect: [bool; 3]| {
            let container: ContainerSpec = serde_json::from_value(spec.clone()).unwrap();
            let got = [0, 1, 42].map(|code| restarts(&container, role, policy, code));
            assert_eq!(got, expect, "{spec} {role:?} {policy:?}");
        };
        let (all, failed, none) = ([true; 3], [false, true, true], [false; 3]);
        check(json!({}), Role::App, Always, all);
        check(json!({}), Role::App, OnFailure, failed);
        check(json!({}), Role::App, Never, none);
        check(json!({}), Role::Init, Always, failed);
        check(json!({}), Role::Init, Never, none);
        check(json!({"restartPolicy": "Always"}), Role::Sidecar, Never, all);
        check(json!({"restartPolicy": "Always"}), Role::App, Never, all);
        check(json!({"restartPolicy": "Never"}), Role::App, Always, none);
        check(json!({"restartPolicy": "OnFailure"}), Role::App, Always, failed);
        check(json!({"restartPolicy": "Never"}), Role::Init, Always, none);
        let rules = |operator: &str, action: &str| {
            json!({"restartPolicy": "Never", "restartPolicyRules": [
                {"action": action, "exitCodes": {"operator": operator, "values": [42]}}]})
        };
        check(rules("In", "Restart"), Role::App, Always, [false, false, true]);
        check(rules("In", "Restart"), Role::Init, Always, [false, false, true]);
        check(rules("NotIn", "Restart"), Role::App, Always, [true, true, false]);
        check(rules("NotIn", "Restart"), Role::Init, Always, [false, true, false]);
        check(rules("In", "Other"), Role::App, Always, none);
        check(rules("Other", "Restart"), Role::App, Always, none);
    }
}
