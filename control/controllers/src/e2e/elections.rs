//! Leases: one leader at a time, and the next one when it goes.

use super::Cluster;
use keelson_client::Resource;
use keelson_client::lease::{Election, ElectionConfig};
use std::time::Duration;

fn config(identity: &str) -> ElectionConfig {
    ElectionConfig {
        duration: Duration::from_secs(3),
        renew_deadline: Duration::from_secs(2),
        retry: Duration::from_millis(200),
        ..ElectionConfig::new("kube-system", "test", identity, 7)
    }
}

async fn holder(cluster: &Cluster) -> String {
    let lease = cluster.get(&Resource::LEASES, "kube-system", "test").await.unwrap_or_default();
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_and_the_next_follows() {
    let cluster = Cluster::start(0).await;
    let first = Election::spawn(cluster.admin.clone(), config("first"));
    let mut leading = first.leading();
    leading.wait_for(|leads| *leads).await.unwrap();
    let second = Election::spawn(cluster.admin.clone(), config("second"));
    // Longer than a lease.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(*first.leading().borrow() && !*second.leading().borrow());
    assert_eq!(holder(&cluster).await, "first");

    first.release().await;
    let mut leading = second.leading();
    leading.wait_for(|leads| *leads).await.unwrap();
    assert_eq!(holder(&cluster).await, "second");

    // One that vanishes without a word is succeeded when its lease has expired.
    drop(second);
    let third = Election::spawn(cluster.admin.clone(), config("third"));
    let mut leading = third.leading();
    leading.wait_for(|leads| *leads).await.unwrap();
    let lease = cluster.get(&Resource::LEASES, "kube-system", "test").await.unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 2);

    // The same process after a restart need not wait for its own lease.
    drop(third);
    let again = Election::spawn(cluster.admin.clone(), config("third"));
    let mut leading = again.leading();
    let begin = std::time::Instant::now();
    leading.wait_for(|leads| *leads).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    cluster.stop().await;
}
