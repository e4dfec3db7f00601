use super::*;

const HEAD: &str = "apiVersion: keelson.dev/v1alpha1\nkind: ServerConfig\n";

#[track_caller]
fn check(body: &str, wanted: Result<&ServerConfig, &str>) {
    let result = ServerConfig::from_yaml(&format!("{HEAD}{body}")).and_then(|config| {
        config.check()?;
        Ok(config)
    });
    match (result, wanted) {
        (Ok(config), Ok(wanted)) => assert_eq!(&config, wanted),
        (Err(error), Err(wanted)) => assert_eq!(error.to_string(), wanted),
        (result, _) => panic!("{body}: {result:?}"),
    }
}

#[test]
fn files() {
    let default = ServerConfig::default();
    check("", Ok(&default));
    check("securePort: null\n", Ok(&default));
    check(
        "stateDir: /tmp/x\nsecurePort: 7443\nserviceCIDR: 10.0.0.0/16\nclusterDNS: 10.0.0.10\nadvertiseAddress: 10.1.2.3\n\
         nodePortRange: 30000-30100\neventTTL: 90m\ncontinueTTL: 10s\ntlsSANs: [api.example.com]\n",
        Ok(&ServerConfig {
            state_dir: "/tmp/x".into(),
            secure_port: 7443,
            service_cidr: "10.0.0.0/16".parse().unwrap(),
            cluster_dns: "10.0.0.10".parse().unwrap(),
            advertise_address: Some("10.1.2.3".parse().unwrap()),
            node_port_range: PortRange { first: 30000, last: 30100 },
            event_ttl: "1h30m".parse().unwrap(),
            continue_ttl: "10s".parse().unwrap(),
            tls_sans: vec!["api.example.com".to_owned()],
            ..default
        }),
    );
    check(
        "sercurePort: 1\n",
        Err("configuration: unknown key \"sercurePort\"; did you mean \"securePort\"?"),
    );
    check(
        "serviceCidr: 1\n",
        Err("configuration: unknown key \"serviceCidr\"; did you mean \"serviceCIDR\"?"),
    );
    check("colour: red\n", Err("configuration: unknown key \"colour\""));
    check(
        "securePort: 70000\n",
        Err("configuration: securePort: invalid value: integer `70000`, expected u16"),
    );
    check(
        "serviceCIDR: here\n",
        Err("configuration: serviceCIDR: \"here\" is no IPv4 network such as 10.96.0.0/12"),
    );
    check(
        "nodePortRange: 10-5\n",
        Err("configuration: nodePortRange: \"10-5\" is no port range such as 30000-32767"),
    );
    check(
        "eventTTL: soon\n",
        Err("configuration: eventTTL: \"soon\" is no length of time such as 1h, 90m or 1h30m0s"),
    );
    check("eventTTL: 0s\n", Err("eventTTL: 0s must be at least 1s"));
    check("continueTTL: 0s\n", Err("continueTTL: 0s must be at least 1s"));
    check(
        "clusterDNS: 10.96.0.1\n",
        Err(
            "clusterDNS: 10.96.0.1 must be an address of serviceCIDR 10.96.0.0/12 other than 10.96.0.1, which is the API's",
        ),
    );
    check("clusterCIDR: 10.96.0.0/16\n", Err("clusterCIDR: 10.96.0.0/16 overlaps serviceCIDR 10.96.0.0/12"));
    check(
        "clusterDomain: Cluster.local\n",
        Err("clusterDomain: \"Cluster.local\" is no domain name in lower case"),
    );
}

#[test]
fn a_file_says_what_it_is() {
    let message = |text: &str| ServerConfig::from_yaml(text).unwrap_err().to_string();
    assert_eq!(
        message("securePort: 1\n"),
        "configuration: apiVersion is missing, wanted apiVersion: keelson.dev/v1alpha1"
    );
    assert_eq!(
        message("apiVersion: v1\nkind: ServerConfig\n"),
        "configuration: apiVersion is \"v1\", wanted \"keelson.dev/v1alpha1\""
    );
    assert_eq!(message("[1]"), "configuration: a configuration is a mapping of keys to values");
    assert!(message("a: [").starts_with("configuration: "));
    assert_eq!(ServerConfig::from_yaml("# nothing\n\n").unwrap(), ServerConfig::default());
}

#[test]
fn flags_go_before_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.yaml");
    std::fs::write(&path, format!("{HEAD}securePort: 7443\ntlsSANs: [a]\nclusterDomain: x.y\n")).unwrap();
    let flags = Flags { secure_port: Some(8443), tls_sans: vec!["b".to_owned()], ..Flags::default() };
    let config = ServerConfig::load(Some(&path), flags).unwrap();
    assert_eq!(
        (config.secure_port, config.tls_sans, config.cluster_domain.as_str()),
        (8443, vec!["a".into(), "b".into()], "x.y")
    );
    let missing = ServerConfig::load(Some(Path::new("/nowhere/x.yaml")), Flags::default()).unwrap_err();
    assert!(missing.to_string().starts_with("cannot read /nowhere/x.yaml: "), "{missing}");
}
