use super::*;
use keelson_proto::cni::{Command, Request};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

fn environment<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
}

/// A socket that answers one request with fixed bytes and returns what it was asked.
fn agent(reply: &'static [u8]) -> (PathBuf, std::thread::JoinHandle<Request>) {
    let unique = format!("keelson-cni-test-{}-{:p}", std::process::id(), reply);
    let path = std::env::temp_dir().join(unique);
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let bound = path.clone();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        stream.write_all(reply).unwrap();
        std::fs::remove_file(bound).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    });
    (path, thread)
}

#[test]
fn version_needs_no_agent() {
    let asked = run(&environment(&[("CNI_COMMAND", "VERSION")]), br#"{"cniVersion":"1.1.0"}"#);
    assert_eq!(asked.unwrap().unwrap()["supportedVersions"], json!(["0.4.0", "1.0.0", "1.1.0"]));
}

#[test]
fn a_request_is_carried_whole_and_its_result_printed() {
    let (socket, thread) = agent(br#"{"ok":{"ips":[]}}"#);
    let config = json!({"cniVersion": "1.0.0", "name": "keelson", "socket": socket}).to_string();
    let variables = [
        ("CNI_COMMAND", "ADD"),
        ("CNI_CONTAINERID", "abc"),
        ("CNI_NETNS", "/run/netns/x"),
        ("CNI_IFNAME", "eth0"),
        ("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAME=web;K8S_POD_NAMESPACE=default"),
    ];
    let printed = run(&environment(&variables), config.as_bytes()).unwrap();
    assert_eq!(printed, Some(json!({"ips": []})));
    let request = thread.join().unwrap();
    assert_eq!((request.command, request.container_id.as_str()), (Command::Add, "abc"));
    assert_eq!(request.args["K8S_POD_NAME"], "web");
    assert_eq!(request.config["name"], "keelson");
}

#[test]
fn the_agents_error_is_the_plugins() {
    let (socket, thread) = agent(br#"{"error":{"code":11,"msg":"not yet"}}"#);
    let config = json!({"cniVersion": "1.0.0", "socket": socket}).to_string();
    let error = run(&environment(&[("CNI_COMMAND", "STATUS")]), config.as_bytes()).unwrap_err();
    thread.join().unwrap();
    assert_eq!(
        failure(&error, config.as_bytes()),
        json!({"cniVersion": "1.0.0", "code": 11, "msg": "not yet"})
    );
}

#[test]
fn what_is_wrong_is_said_in_cni_codes() {
    let check = |variables: &[(&str, &str)], input: &str, expected: u32| {
        let error = run(&environment(variables), input.as_bytes()).unwrap_err();
        assert_eq!(error.code, expected, "{}", error.msg);
    };
    check(&[("CNI_COMMAND", "ADD")], "{", code::DECODING_FAILURE);
    check(&[("CNI_COMMAND", "PLAY")], "{}", code::INVALID_ENVIRONMENT);
    check(&[], "{}", code::INVALID_ENVIRONMENT);
    check(&[("CNI_COMMAND", "ADD")], "{}", code::INVALID_CONFIG);
    check(&[("CNI_COMMAND", "ADD")], r#"{"socket":"/nonexistent/socket"}"#, code::TRY_AGAIN);
}
