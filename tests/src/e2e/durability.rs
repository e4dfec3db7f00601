//! It is durable: the server is killed again and again under writing clients, and loses power under them; every write
//! that it acknowledged is there.
//!
//! kill -9 leaves the page cache alone, so a second test puts the server's folder on a file system that loses what was
//! not synced, and a third shows that the second would notice.

use super::writers::{Acknowledged, Writers, assert_kept, client, list, lost, watch};
use crate::harness::{Disk, TestCluster, eventually, without_sync};
use nix::sys::signal::Signal;
use std::sync::Arc;
use std::time::Duration;

const WRITERS: usize = 64;
const ROUNDS: usize = 20;
/// How long the server lives under load in each round.
const LIFE: Duration = Duration::from_millis(500);
/// A restart and what follows from it.
const SOON: Duration = Duration::from_secs(30);

/// Kills the server and waits for its end.
fn kill_server(cluster: &TestCluster) {
    cluster.server().unwrap().signal(Signal::SIGKILL);
    assert!(cluster.server().unwrap().wait(SOON), "the server ends");
}

#[test]
fn every_acknowledged_write_survives_kill_9() {
    let cluster = TestCluster::up("durable", 1, "auto");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let start: u64 = runtime.block_on(list(&client(&cluster))).unwrap().resource_version.parse().unwrap();
    let seen = Acknowledged::default();
    let watch = runtime.spawn(watch(client(&cluster), start, Arc::clone(&seen)));
    let writers = Writers::start(&runtime, &cluster, WRITERS);
    for _ in 0..ROUNDS {
        writers.go_on();
        std::thread::sleep(LIFE);
        kill_server(&cluster);
        cluster.start_server().unwrap();
    }
    writers.go_on();
    let acknowledged = runtime.block_on(writers.end());
    let found = assert_kept(&runtime, &cluster, &acknowledged);
    // What was not acknowledged may be there or not; the watch must have told of all that is, and of nothing else.
    eventually("the watch to tell of every write", SOON, || {
        assert!(!watch.is_finished(), "the watch goes on from revision to revision");
        let seen = seen.lock().unwrap();
        let missing: Vec<_> = found.iter().filter(|(name, at)| seen.get(*name) != Some(*at)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("of {}: {missing:?}", found.len())) }
    });
    assert_eq!(seen.lock().unwrap().len(), found.len(), "the watch told of writes that are not there");
    eprintln!("{} writes acknowledged, {} stored over {ROUNDS} deaths", acknowledged.len(), found.len());
    watch.abort();
    cluster.finish();
}

/// Whether the server answers at all.
fn serves(cluster: &TestCluster) -> Result<(), String> {
    cluster.kubectl(33).ask(&["get", "--raw", "/readyz"]).map(drop)
}

#[test]
fn every_acknowledged_write_survives_a_power_loss() {
    let cluster = TestCluster::prepared("power-loss", 0);
    let disk = Disk::make(&cluster);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    cluster.start_server().unwrap();
    eventually("the server to serve", SOON, || serves(&cluster));
    let writers = Writers::start(&runtime, &cluster, WRITERS);
    for _ in 0..5 {
        writers.go_on();
        std::thread::sleep(LIFE);
        disk.cut_power();
        kill_server(&cluster);
        disk.restore();
        cluster.start_server().unwrap();
    }
    writers.go_on();
    let acknowledged = runtime.block_on(writers.end());
    let found = assert_kept(&runtime, &cluster, &acknowledged);
    eprintln!("{} writes acknowledged, {} stored over 5 power losses", acknowledged.len(), found.len());
    cluster.finish();
}

/// The same with a server whose syncs do nothing: acknowledged writes must be missing, or the server cannot even read
/// what is left. If not, the test above shows nothing.
#[test]
fn a_server_that_does_not_sync_is_caught() {
    let cluster = TestCluster::prepared("no-sync", 0);
    let disk = Disk::make(&cluster);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // The first life syncs, so that what is lost are writes, not the certificates.
    cluster.start_server().unwrap();
    eventually("the server to serve", SOON, || serves(&cluster));
    kill_server(&cluster);
    without_sync(|| cluster.start_server().unwrap());
    eventually("the server to serve", SOON, || serves(&cluster));
    let writers = Writers::start(&runtime, &cluster, WRITERS);
    writers.go_on();
    std::thread::sleep(LIFE);
    disk.cut_power();
    kill_server(&cluster);
    let acknowledged = runtime.block_on(writers.end());
    disk.restore();
    cluster.start_server().unwrap();
    let missing = eventually("the server to serve or to end", SOON, || {
        if !cluster.server().unwrap().is_running() {
            return Ok(acknowledged.len());
        }
        serves(&cluster)?;
        let stored = runtime.block_on(list(&client(&cluster))).map_err(|error| error.to_string())?;
        Ok(lost(&acknowledged, &stored))
    });
    assert!(missing > 0, "all of {} writes are there, synced or not", acknowledged.len());
    eprintln!("without syncs {missing} of {} acknowledged writes are lost", acknowledged.len());
    cluster.finish();
}
