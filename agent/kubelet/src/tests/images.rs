//! Images on the node: names that cannot be, what the node's status lists, and what goes when the disk is full.

use super::image::{BUSYBOX, PAUSE, UNUSED};
use super::stage::{Stage, eventually};
use crate::cri::Cri;
use crate::images::{Collector, Disk, Rules, Thresholds};
use crate::machine::Usage;
use serde_json::{Value, json};
use std::io;

/// A disk of 1000 bytes; what its images take is theirs, not the machine's.
struct Fake {
    available: u64,
}

impl Disk for Fake {
    fn usage(&self) -> io::Result<Usage> {
        Ok(Usage { capacity: 1000, available: self.available })
    }
}

fn reason(status: &Value) -> &str {
    status["containerStatuses"][0]["state"]["waiting"]["reason"].as_str().unwrap_or("")
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_cannot_be_and_what_the_node_lists() {
    let stage = Stage::start().await;
    stage.pod("bad", json!({"hostNetwork": true, "containers": [{"name": "c", "image": "Some/Image:1:2"}]}));
    let status = stage.until("bad", 10, |s| reason(s) == "InvalidImageName").await;
    let words = "Failed to apply default image tag \"Some/Image:1:2\": couldn't parse image name \"Some/Image:1:2\": \
                 invalid reference format";
    assert_eq!(status["containerStatuses"][0]["state"]["waiting"]["message"], words);
    assert_eq!(status["phase"], "Pending");
    for expect in [format!("InspectFailed: {words}"), "Failed: Error: InvalidImageName".to_owned()] {
        eventually(&expect, || stage.events("bad").contains(&expect)).await;
    }
    let listed = || {
        let node = stage.api.get("nodes", "", "node").unwrap_or_default();
        let images = node["status"]["images"].as_array().cloned().unwrap_or_default();
        images.iter().any(|i| i["names"][0] == BUSYBOX && i["sizeBytes"].as_u64() > Some(0))
    };
    eventually("busybox in the node's status", listed).await;
    for reason in ["NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID", "NodeReady"] {
        let expect = format!("{reason}: Node node status is now: {reason}");
        eventually(&expect, || stage.events("node").contains(&expect)).await;
    }
    eventually("the start", || stage.events("node").contains(&"Starting: Starting kubelet.".to_owned()))
        .await;
}

/// What is there is used as it is; `Always` asks the registry in any case.
#[tokio::test(flavor = "multi_thread")]
async fn the_pull_policy_decides_over_what_is_there() {
    // Nobody listens there.
    const IMAGE: &str = "127.0.0.1:1/busybox:1";
    let stage = Stage::start().await;
    stage.containerd.ctr(&["images", "tag", BUSYBOX, IMAGE]);
    let cri = Cri::new(&stage.containerd.socket()).unwrap();
    while cri.image_status(IMAGE).await.unwrap().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for (name, policy) in [("absent", "IfNotPresent"), ("never", "Never"), ("always", "Always")] {
        stage.pod(
            name,
            json!({"hostNetwork": true, "terminationGracePeriodSeconds": 0, "containers": [
            {"name": "c", "image": IMAGE, "imagePullPolicy": policy, "command": ["sleep", "1000"]}]}),
        );
    }
    let pulling = format!("Pulling: Pulling image \"{IMAGE}\"");
    let present = format!("Pulled: Container image \"{IMAGE}\" already present on machine");
    for name in ["absent", "never"] {
        stage.until_ready(name).await;
        eventually(&present, || stage.events(name).contains(&present)).await;
        assert!(!stage.events(name).contains(&pulling), "{name}: {:?}", stage.events(name));
    }
    stage.until("always", 20, |s| ["ErrImagePull", "ImagePullBackOff"].contains(&reason(s))).await;
    eventually(&pulling, || stage.events("always").contains(&pulling)).await;
    assert!(!stage.events("always").contains(&present), "{:?}", stage.events("always"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_unused_images_and_no_others() {
    let stage = Stage::start().await;
    stage.pod("a", json!({"hostNetwork": true, "containers": [{"name": "c", "command": ["sleep", "1000"]}]}));
    stage.until_ready("a").await;
    let names = || stage.containerd.ctr(&["images", "ls", "-q"]);
    let has = |name: &str| names().lines().any(|n| n == name);
    let unused = || UNUSED.into_iter().filter(|name| has(name)).count();
    assert_eq!(unused(), 2, "{}", names());

    let cri = Cri::new(&stage.containerd.socket()).unwrap();
    let mut collector = Collector::default();
    let mut round = async |available: u64, now: u64| {
        let rules = Rules {
            sandbox_image: PAUSE.to_owned(),
            thresholds: Thresholds { high: 85, low: 80 },
            age_ms_min: 120_000,
        };
        let outcome = collector.collect(&cri, &rules, now, &Fake { available }).await.unwrap();
        (outcome.wanted, outcome.freed > 0, outcome.shortage())
    };
    assert_eq!(round(151, 1000).await, (0, false, None), "the disk is not too full");
    let words = |wanted: u64| {
        let words = "Failed to garbage collect required amount of images. Attempted to free";
        Some(format!("{words} {wanted} bytes, but only found 0 bytes eligible to free."))
    };
    assert_eq!(
        round(150, 120_999).await,
        (50, false, words(50)),
        "the images came two minutes ago, not earlier"
    );
    assert_eq!(unused(), 2, "{}", names());
    assert_eq!(round(150, 121_000).await, (50, true, None));
    assert_eq!(unused(), 1, "no more go than must: {}", names());
    assert_eq!(round(150, 122_000).await, (50, true, None));
    assert_eq!(unused(), 0, "{}", names());
    assert_eq!(round(0, 1_000_000).await, (200, false, words(200)), "what is left is used");
    assert!(has(BUSYBOX) && has(PAUSE), "{}", names());
    assert_eq!(stage.status("a")["phase"], "Running");
}
